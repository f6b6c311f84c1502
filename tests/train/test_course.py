"""Steered trainings on tiny checkpoints: the rate found, the best state kept, broken off, followed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from lib_copier.errors import CancelledError, CopierError
from lib_copier.model_file.header import read_header
from lib_copier.settings.training import Turn
from lib_copier.train import course, goal, preview
from lib_copier.train.goal import CopyGoal, Sight
from tests.train.outcomes import StopAt, are_equal, tensors

SEARCH = 45
"""Steps that the search takes on this checkpoint; it asks before each whether to stop."""
STEERED = {"find_rate": True, "batch_size": 2, "steps": 24, "copied_every": 3, "copied_psnr": 90.0}


@pytest.fixture(autouse=True)
def rough_looks(monkeypatch):
    """What a course does with its looks is the same however many steps their pictures are drawn in."""
    monkeypatch.setattr(preview, "_SAMPLING_STEPS", 2)


@pytest.mark.slow
def test_the_rate_is_found_whatever_it_begins_with(make_config, run, tmp_path):
    found = []
    for factor in (0.03, 30.0):
        output = str(tmp_path / f"{factor}.safetensors")
        config = make_config(**STEERED, learning_rate=1e-3 * factor, output=output)
        found.append(run(dataclasses.replace(config, copied_psnr=None, steps=2)).course["learning_rate"])
    assert max(found) / min(found) < 3.0


@pytest.mark.slow
def test_the_search_leaves_nothing_behind(make_config, run, tmp_path):
    """A training at the rate that was found, typed in as turns, gives the same bytes."""
    config = make_config(**STEERED, output=str(tmp_path / "a.safetensors"))
    told = run(config).course
    turns = tuple(Turn(**turn) for turn in told["turns"])
    followed = make_config(**STEERED | {"find_rate": False}, output=str(tmp_path / "b.safetensors"))
    run(
        dataclasses.replace(
            followed, copied_psnr=None, turns=turns, stop_after=told["kept_step"], learning_rate=1e-3
        )
    )
    assert told["kept_step"] > 0 and are_equal(config.output, followed.output)
    for output in (config.output, followed.output):
        assert float(read_header(output).metadata["ss_learning_rate"]) == told["learning_rate"]


@pytest.mark.slow
def test_broken_off_again_and_again_it_ends_as_an_unbroken_one(make_config, run, tmp_path, monkeypatch):
    """In the search, at a look, just after a turn and before the last one."""
    monkeypatch.setattr(goal, "BELOW_CEILING", -100.0)  # Out of reach: it goes on to the last step.
    whole, broken = (
        make_config(**STEERED, output=str(tmp_path / f"{name}.safetensors"), work_dir=str(tmp_path / name))
        for name in "ab"
    )
    first = run(whole)
    assert {turn["step"] for turn in first.course["turns"]} == {0, 9, 15, 21}
    # The search asks before each of its steps too, and begins anew where it was broken off.
    for stop in (SEARCH - 20, SEARCH + 3, 10 - 3, 19 - 10):
        with pytest.raises(CancelledError):
            run(broken, StopAt(stop, "pause"))
        assert not broken.output.exists()
    second = run(broken)
    assert are_equal(whole.output, broken.output)
    assert first.course == second.course and first.steps == second.steps


def test_the_best_state_is_kept_not_the_last(make_config, run, tmp_path, monkeypatch):
    scores = iter([-5.0, -1.0, -3.0, -4.0, -7.0, -7.0, -7.0, -7.0])
    kept: dict[int, dict[str, np.ndarray]] = {}

    def look(self, step):
        kept[step] = {
            f"{layer.name}.up": layer.masters[1].detach().numpy().copy()
            for layer in self._run.step.network.layers
        }
        self.found = [next(scores)]
        return Sight(self.found[0], self.found[0], is_reached=False)

    monkeypatch.setattr(CopyGoal, "look", look)
    config = make_config(**STEERED)
    told = run(config).course
    assert told["kept_step"] == 6 and told["score_db"] == -1.0 and not told["is_reached"]
    written = tensors(config.output)
    assert all(np.array_equal(written[name], value) for name, value in kept[6].items())
    assert told["turns"][1]["back_to"] == 12 and told["turns"][1]["step"] == 12


def test_a_goal_that_cannot_be_reached_ends_before_all_steps(make_config, run, monkeypatch):
    monkeypatch.setattr(CopyGoal, "look", lambda self, step: Sight(1.0, 1.0, False))
    result = run(make_config(**STEERED | {"steps": 400, "find_rate": False, "learning_rate": 1e-4}))
    assert result.ended == "spent" and result.steps < 60 and result.course["is_reached"] is False


def test_the_goal_is_never_more_than_the_vae_can_show(make_config, run):
    told = run(make_config(**STEERED | {"find_rate": False, "steps": 3})).course
    assert told["goal_db"] < 90.0


def test_a_loss_that_explodes_is_gone_back_from(make_config, run):
    config = make_config(**STEERED | {"find_rate": False, "steps": 60}, max_grad_norm=0, optimizer="sgd")
    result = run(dataclasses.replace(config, learning_rate=1e6))
    assert len(result.course["turns"]) > 1
    assert all(np.isfinite(array).all() for array in tensors(config.output).values())


@pytest.fixture
def learn_an_edit(make_config, run, tmp_path, write_picture, monkeypatch):
    """Trains on an edited picture with the losses that its looks are given; a look each so many steps."""

    def learn(losses, *, steps, every):
        write_picture(tmp_path / "before.png", 2)
        before = str(tmp_path / "before.png")
        picture = {"path": str(tmp_path / "origin.png"), "caption": "cat", "origin": before}
        found = iter(losses)
        monkeypatch.setattr(goal.HeldLoss, "__call__", lambda self: next(found))
        monkeypatch.setattr(course.SteeredCourse, "begin", lambda self, take_step, held_loss: None)
        config = make_config(pictures=[picture], steps=steps)
        return run(dataclasses.replace(config, find_rate=True, copied_every=every))

    return learn


def test_an_edit_is_learned_until_little_of_it_is_left(learn_an_edit):
    # 10 dB after two steps, 20 after four: 15 are wanted, and to begin anew there are too few steps.
    result = learn_an_edit([0.4, 0.04, 0.004], steps=78, every=2)
    assert (result.ended, result.steps, result.course["score_db"]) == ("reached", 4, 20.0)


@pytest.mark.slow
def test_an_edit_learned_in_a_rush_is_learned_again_at_a_lower_rate(learn_an_edit):
    result = learn_an_edit([0.4, 0.004, 0.1, 0.04, 0.02, 0.004], steps=100, every=20)
    assert (result.ended, result.steps, result.course["kept_step"]) == ("reached", 100, 100)
    first, second = result.course["turns"]
    assert (second["step"], second["back_to"]) == (20, 0) and second["rate"] == first["rate"] / 4


def test_nothing_to_learn_is_one_clear_line(make_config, run, monkeypatch):
    monkeypatch.setattr(course, "search", lambda start, step, held: (_flat(start), 5))
    with pytest.raises(CopierError, match="Nothing is learned at any rate"):
        run(make_config(**STEERED))


def test_a_checkpoint_that_predicts_no_numbers_is_one_clear_line(make_config, run, monkeypatch):
    monkeypatch.setattr(course.HeldLoss, "__call__", lambda self: math.nan)
    from lib_copier.train import loop

    monkeypatch.setattr(loop.HeldLoss, "__call__", lambda self: math.nan)
    with pytest.raises(CopierError, match="before the first step"):
        run(make_config(**STEERED))


def test_pictures_without_numbers_are_one_clear_line(make_config, run, monkeypatch):
    from lib_copier.train.preview import Painter

    monkeypatch.setattr(
        Painter, "decode", lambda self, latents: torch.full((len(latents), 3, 64, 64), math.nan)
    )
    with pytest.raises(CopierError, match="NaN"):
        run(make_config(**STEERED | {"find_rate": False}))


def _flat(start):
    from lib_copier.train.rate import RangeTest

    return RangeTest(start, [(0.0, 1.0), (start, 1.0), (10.0, 1.0)])
