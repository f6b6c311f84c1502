"""Before the first step: base LoRAs are baked in, and photos come to the checkpoint's resolution."""

from __future__ import annotations

import torch

from lib_copier.train.feed import Feed
from lib_copier.train.prepare import prepare


def test_base_loras_change_the_model_that_is_trained(make_config, run, tmp_path):
    copier = make_config(
        output=str(tmp_path / "copier.safetensors"), train_text_encoder=True, learning_rate=1e-2
    )
    run(copier)
    prepared = [
        prepare(make_config(base_loras=[{"path": str(copier.output), "weight": weight}]), log=print)
        for weight in (0.0, 1.0)
    ]
    plain, baked = (_answer(one, Feed(make_config(), one).batch(0)) for one in prepared)
    assert not torch.allclose(plain, baked)
    untouched = prepare(make_config(), log=print)
    assert torch.equal(plain, _answer(untouched, Feed(make_config(), untouched).batch(0)))


def _answer(prepared, batch) -> torch.Tensor:
    with torch.no_grad():
        return prepared.step.loss(batch)


def test_only_pictures_for_buckets_are_scaled(make_config, write_picture, tmp_path):
    photo = str(write_picture(tmp_path / "photo.png", 1, (1024, 512)))
    notes: list[str] = []
    config = make_config(pictures=[{"path": photo, "origin": photo}], bucketed=True)
    (found,) = prepare(config, log=notes.append).sources
    assert found.size == (640, 320) and found.origin.shape == found.pixels.shape
    assert notes[0] == "photo.png: Brought from 1024x512 to 640x320."
    own = make_config(pictures=[{"path": str(write_picture(tmp_path / "own.png", 1, (72, 64)))}])
    assert prepare(own, log=print).sources[0].size == (72, 64)
