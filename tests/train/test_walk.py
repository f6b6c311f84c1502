"""What is learned along a walk is what the walk goes through, and leads to the edit."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lib_copier.errors import FaultsError, InputError
from lib_copier.generate.samplers import WALKS, dpmpp_2m, euler
from lib_copier.model_file.families import SD1, SDXL
from lib_copier.models.noise import NoiseSchedule
from lib_copier.models.walks import Walk
from lib_copier.train.feed import Feed
from lib_copier.train.prepare import prepare
from lib_copier.train.step import Batch, Guidance, TrainingStep
from lib_copier.train.timesteps import TimeSteps
from lib_copier.train.walk import LearnedWalk, guidance_of, shared_walk

SCHEDULES = [
    NoiseSchedule.create("epsilon"),
    NoiseSchedule.create("v_prediction"),
    NoiseSchedule.create("v_prediction", zero_terminal_snr=True),
]


def some_walk(schedule: NoiseSchedule, steps: int = 8, seed: int = 0) -> tuple[Walk, torch.Tensor]:
    """A walk by random answers, and the latents where it ends."""
    generator = torch.Generator().manual_seed(seed)
    sigmas = WALKS["Euler"].levels(schedule, steps)
    answers = torch.randn(steps, 1, 4, 2, 2, generator=generator)
    states: list[torch.Tensor] = []

    def answer(x: torch.Tensor, step: int) -> torch.Tensor:
        states.append(x[0])
        return answers[step]

    start = torch.randn(1, 4, 2, 2, generator=generator) * sigmas[0]
    end = euler(answer, start, sigmas, lambda: start)
    return Walk(torch.stack(states), torch.tensor(sigmas[:-1]), torch.tensor(4.0)), end


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_picture_noised_by_its_walk_is_the_walks_state(schedule):
    walk, latents = some_walk(schedule)
    learned = LearnedWalk.of(walk, latents, schedule, "a.png")
    times = torch.from_numpy(learned.timesteps)
    noisy = schedule.add_noise(latents.expand(8, -1, -1, -1), learned.noise, times)
    scaled = walk.states / (walk.sigmas.reshape(-1, 1, 1, 1) ** 2 + 1.0).sqrt()
    # Whole time steps: the levels of a walk lie between them.
    assert torch.allclose(noisy, scaled, atol=0.02)
    assert learned.places(learned.timesteps).tolist() == list(range(8))


@pytest.mark.parametrize(
    ("walk_by", "gamma", "within"),
    # DPM++ 2M looks back: it leads a little less where shares rise.
    [(euler, None, 1e-4), (euler, 0.04, 1e-4), (dpmpp_2m, None, 1e-4), (dpmpp_2m, 0.04, 0.1)],
)
def test_where_answers_are_changed_by_their_shares_a_state_leads_as_far(walk_by, gamma, within):
    schedule = SCHEDULES[0]
    sigmas = WALKS["Euler"].levels(schedule, 20)
    answers, change = torch.randn(20, 1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    start = torch.randn(1, 4, 2, 2) * sigmas[0]
    walk, latents = some_walk(schedule, 20)
    learned = LearnedWalk.of(walk, latents, schedule, "a.png")
    shares = learned.shares(gamma)
    ways: list[list[torch.Tensor]] = [[], []]

    def answering(kept: list[torch.Tensor], moved: float):
        def answer(x: torch.Tensor, step: int) -> torch.Tensor:
            kept.append(x)
            return answers[step] + moved * shares[step] * change

        return answer

    for kept, moved in zip(ways, (0.0, 1.0), strict=True):
        walk_by(answering(kept, moved), start, sigmas, lambda: start)
    for plain, changed, lead in zip(*ways, learned.leads(shares), strict=True):
        assert torch.allclose(changed - plain, lead * change, rtol=0.0, atol=within)


def test_the_edit_comes_once_a_model_can_know_where_it_will_be():
    walk, latents = some_walk(SCHEDULES[0], 20)
    learned = LearnedWalk.of(walk, latents, SCHEDULES[0], "a.png")
    shares = learned.shares(0.04)
    assert np.interp(5.0, learned.sigmas[::-1], shares[::-1]) == pytest.approx(0.5, abs=0.03)
    assert shares[0] < 0.02 and shares[-1] > 0.999 and (np.diff(shares) > 0).all()
    assert (learned.shares(None) == 1.0).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_steps_are_drawn_by_what_they_add_to_the_picture(make_config, schedule):
    walk, latents = some_walk(schedule)
    learned = LearnedWalk.of(walk, latents, schedule, "a.png")
    config = make_config(min_snr_gamma=0.02, batch_size=4, timestep_sampling="stratified")
    plan = TimeSteps.of(config, schedule, learned)
    drawn = np.concatenate([plan.draw(step) for step in range(400)])
    assert set(drawn) <= set(learned.timesteps)
    seen = learned.timesteps[learned.sigmas < 7.0]
    shares = np.array([(drawn == step).mean() for step in seen])
    reaches = learned.reaches()[learned.sigmas < 7.0]
    assert np.allclose(shares / shares.sum(), reaches / reaches.sum(), atol=0.01)
    # Chance times weight is the square of what an error of the picture there adds.
    snr = schedule.snr(torch.from_numpy(seen))
    error = snr + 1.0 if schedule.prediction_type == "v_prediction" else snr
    found = torch.from_numpy(shares) * plan.weights[torch.from_numpy(seen)] * error
    assert np.allclose(found / found.sum(), (reaches**2) / (reaches**2).sum(), atol=0.02)


def test_a_range_without_a_step_of_the_walk_is_told(make_config):
    walk, latents = some_walk(SCHEDULES[0])
    learned = LearnedWalk.of(walk, latents, SCHEDULES[0], "a.png")
    with pytest.raises(InputError, match="No walk has a step from 5 to 6"):
        TimeSteps.of(make_config(timestep_min=5, timestep_max=6), SCHEDULES[0], learned)


def test_walks_of_one_training_are_of_one_kind():
    schedule = SCHEDULES[0]
    first, shorter = (LearnedWalk.of(*some_walk(schedule, steps), schedule, "a.png") for steps in (8, 6))
    assert shared_walk([first, first]) is first and shared_walk([None, None]) is None
    unlike = [replace(first, cfg_scale=7.0), replace(first, without="blurry")]
    for others in ([first, shorter], [first, None], [None, first], *([first, one] for one in unlike)):
        with pytest.raises(InputError, match="differ"):
            shared_walk(others)
    assert guidance_of(None, schedule, SD1, 0, None) is None


def test_guidance_compares_with_the_words_of_the_negative_prompt_or_with_what_stands_for_none():
    schedule = SCHEDULES[0]
    walk, latents = some_walk(schedule)
    bare = LearnedWalk.of(walk, latents, schedule, "a.png")
    worded = LearnedWalk.of(
        replace(walk, negative_prompt="(blurry:1.3), <lora:x:1>"), latents, schedule, "a.png"
    )
    assert (bare.without, worded.without) == (None, "blurry")
    found = {
        (family, one.without): guidance_of(one, schedule, family, 3, None).is_blank
        for family in (SD1, SDXL)
        for one in (bare, worded)
    }
    # SDXL learned no prompt as zeros, SD1 as the encoding of an empty text.
    assert [where for where, is_blank in found.items() if is_blank] == [(SDXL, None)]


def test_a_blank_row_is_shown_to_the_model_as_zeros():
    class Asked(torch.nn.Linear):
        def forward(self, noisy, timesteps, hidden, added_cond_kwargs=None, return_dict=False):
            self.seen = (hidden, added_cond_kwargs["text_embeds"])
            return (noisy,)

    def conditioning(rows):
        return rows.reshape(-1, 1, 1).float() + torch.ones(len(rows), 2, 3), torch.ones(len(rows), 4)

    unet, table = Asked(1, 1), torch.ones(1000)
    seen = {}
    for is_blank in (False, True):
        guidance = Guidance(4.0, 9, table, table, is_blank=is_blank)
        step = TrainingStep(
            unet, conditioning, None, SimpleNamespace(), SCHEDULES[0], None, guidance=guidance
        )
        noisy, rows = torch.zeros(2, 4, 2, 2), torch.tensor([1, 2])
        step._predict(noisy, Batch(noisy, noisy, torch.tensor([5, 6]), rows, time_ids=torch.zeros(1, 6)))
        seen[is_blank] = unet.seen
    for plain, blank in zip(seen[False], seen[True], strict=True):
        assert torch.equal(plain[:2], blank[:2]) and plain[2:].any() and not blank[2:].any()


def test_a_walk_to_another_size_is_told():
    walk, latents = some_walk(SCHEDULES[0])
    with pytest.raises(InputError, match="The walk to a.png"):
        LearnedWalk.of(walk, latents.repeat(1, 1, 2, 1), SCHEDULES[0], "a.png")


@pytest.fixture
def walked(make_config, write_picture, tmp_path):
    """A training on two pairs, each with a walk."""
    schedule = SCHEDULES[0]
    pictures = []
    for seed in (1, 2):
        origin, edited = (str(write_picture(tmp_path / f"{seed}{x}.png", seed + x)) for x in (0, 5))
        states = torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
        sigmas = torch.tensor(WALKS["Euler"].levels(schedule, 6)[:-1])
        walk = tmp_path / f"{seed}.walk"
        Walk(states * sigmas.reshape(-1, 1, 1, 1), sigmas, torch.tensor(4.0)).write(walk)
        pictures.append({"path": edited, "origin": origin, "caption": f"cat {seed}", "walk": str(walk)})
    more = {"other_prompts": ["", "a dog"], "other_prompt_share": 0.9, "shuffle_caption": False}
    return make_config(pictures=pictures, opposite=True, batch_size=4, min_snr_gamma=0.02, **more)


def test_the_guided_answer_is_what_is_learned_with_each_pictures_own_caption(walked):
    run = prepare(walked, log=print)
    step, batch = run.step, Feed(walked, run).batch(0)
    assert set(run.captions.texts) == {"cat 1", "cat 2"}
    with torch.no_grad():
        for layer in step.network.layers:
            layer.up.normal_(std=0.1)
        schedule = step._schedule
        without = torch.full_like(batch.captions, len(run.captions.texts))
        times = batch.timesteps
        walk = run.pictures[0].walk
        shares = walk.shares(0.02)
        found = (values[walk.places(times.numpy())] for values in (walk.leads(shares), shares))
        shown, seen = (torch.from_numpy(one).float().reshape(-1, 1, 1, 1) for one in found)

        def guided(picture):
            noisy = schedule.add_noise(picture, batch.noise, times)
            prompted = step._asked(noisy, batch)
            empty = step._asked(noisy, replace(batch, captions=without))
            return empty + 4.0 * (prompted - empty)

        with step.network.silent():
            printed = guided(batch.origin)
        # Asked ahead, a few states at once, it is the same.
        assert torch.allclose(batch.printed, printed, rtol=1e-4, atol=1e-5)
        wanted = 0.0
        sides = ((1.0, [0, 1], step.network._multiplied(1.0)), (-1.0, [2, 3], step.network.turned()))
        for sign, rows, side in sides:
            change = sign * (batch.latents - batch.origin)
            with side:
                found = guided(batch.origin + shown * change)
            moved = printed + schedule.answer_to(shown * change, seen * change, times)
            errors = (found - moved).square().mean(dim=(1, 2, 3))
            wanted += 0.5 * float((errors * run.timesteps.weights[times])[rows].mean())
        assert float(step.loss(batch)) == pytest.approx(wanted, rel=1e-4)


def test_a_training_along_walks_is_the_same_wherever_it_goes_on(walked, run):
    whole = run(walked)
    first = run(replace(walked, steps=6, stop_after=6, output=walked.output.with_name("b.safetensors")))
    assert whole.final_loss == first.final_loss
    prepared = prepare(walked, log=print)
    one, other = Feed(walked, prepared), Feed(walked, prepared)
    one.batch(0)
    assert torch.equal(one.batch(5).noise, other.batch(5).noise)


def test_a_walk_without_its_origin_is_refused(make_config, write_picture, tmp_path):
    picture, walk = write_picture(tmp_path / "a.png", 1), tmp_path / "a.walk"
    some_walk(SCHEDULES[0])[0].write(walk)
    with pytest.raises(FaultsError, match="a walk leads to an origin"):
        make_config(pictures=[{"path": str(picture), "walk": str(walk)}])
