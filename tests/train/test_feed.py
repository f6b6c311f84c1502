"""Batches: the same noise for every picture, masks at the latents' size, whatever step comes first."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from lib_copier.train.feed import Feed
from lib_copier.train.prepare import prepare


def test_two_pictures_start_alike_and_get_the_same_noise(make_config, write_picture, tmp_path):
    picture = write_picture(tmp_path / "edited.png", 2)
    runs = []
    for pictures in (None, [{"path": str(picture), "caption": "a dog"}]):
        config = make_config(batch_size=2, **({"pictures": pictures} if pictures else {}))
        prepared = prepare(config, log=print)
        runs.append((prepared, Feed(config, prepared)))
    (first, first_feed), (second, second_feed) = runs
    for a, b in zip(first.step.network.masters, second.step.network.masters, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.pictures[0].latents, second.pictures[0].latents)
    for step in range(6):
        a, b = first_feed.batch(step), second_feed.batch(step)
        assert torch.equal(a.noise, b.noise)
        assert torch.equal(a.timesteps, b.timesteps)


def test_masked_places_are_not_learned(make_config, write_picture, tmp_path):
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    pictures = [{"path": str(write_picture(tmp_path / "a.png", 1)), "mask": str(tmp_path / "mask.png")}]
    config = make_config(pictures=pictures)
    prepared = prepare(config, log=print)
    batch = Feed(config, prepared).batch(0)
    assert torch.equal(batch.mask[0, 0], torch.cat([torch.ones(8, 4), torch.zeros(8, 4)], dim=1))


def test_a_batch_is_the_same_wherever_a_run_begins(make_config):
    config = make_config(steps=200, batch_size=2)
    run = prepare(config, log=print)
    through, directly = Feed(config, run), Feed(config, run)
    for step in range(70):
        batch = through.batch(step)
    again = directly.batch(69)
    for name in ("latents", "noise", "timesteps", "captions"):
        assert torch.equal(getattr(batch, name), getattr(again, name)), name


def test_pairs_of_one_size_share_batches_and_each_is_learned_as_often(make_config, write_picture, tmp_path):
    paths = [str(write_picture(tmp_path / f"{seed}.png", seed)) for seed in range(4)]
    pairs = [{"path": path, "origin": paths[0], "caption": path} for path in paths]
    config = make_config(pictures=pairs, opposite=True, batch_size=2, steps=4, shuffle_caption=False)
    run = prepare(config, log=print)
    feed, learned = Feed(config, run), []
    for step in range(4):
        batch = feed.batch(step)
        assert batch.latents.shape == batch.origin.shape == batch.noise.shape
        for latents, row in zip(batch.latents, batch.captions.tolist(), strict=True):
            place = next(n for n, one in enumerate(run.pictures) if torch.equal(one.latents[0], latents))
            assert run.captions.texts[row] == paths[place], "each has its own caption"
            learned.append(place)
    assert sorted(learned[:4]) == sorted(learned[4:]) == [0, 1, 2, 3]


def test_either_sign_meets_the_whole_range_of_time_steps(make_config, write_picture, tmp_path):
    """Spread draws rise through a batch, whose halves are learned at opposite signs."""
    pair = [
        {
            "path": str(write_picture(tmp_path / "1.png", 1)),
            "origin": str(write_picture(tmp_path / "0.png", 0)),
        }
    ]
    config = make_config(pictures=pair, opposite=True, batch_size=4, steps=40, timestep_sampling="stratified")
    feed = Feed(config, prepare(config, log=print))
    drawn = torch.stack([feed.batch(step).timesteps for step in range(40)])
    for half in (drawn[:, :2], drawn[:, 2:]):
        counts = torch.histc(half.float(), bins=4, min=0, max=1000)
        assert counts.tolist() == pytest.approx([20] * 4, abs=1)


def test_another_seed_draws_other_time_steps(make_config):
    config = make_config(batch_size=4)
    run = prepare(config, log=print)
    first, other = (Feed(replace(config, seed=seed), run).batch(0) for seed in (0, 1))
    assert first.timesteps.tolist() != other.timesteps.tolist()
