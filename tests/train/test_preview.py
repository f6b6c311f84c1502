"""Pictures underway: one a prompt, the same for the same seed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lib_copier.models.noise import NoiseSchedule
from lib_copier.settings.training import UNSEEN
from lib_copier.train.prepare import prepare
from lib_copier.train.preview import Painter


def test_pictures_depend_on_the_prompt_s_place_and_the_seed(make_config):
    found = []
    for seed in (0, 0, 1):
        run = prepare(make_config(copied_psnr=30, copied_every=2, seed=seed), log=print)
        rows = [run.prompt_rows[prompt] for prompt in UNSEEN]
        found.append(run.painter.paint(rows, tuple(run.pictures[0].latents.shape), None))
    assert found[0].shape == (len(UNSEEN), 3, 64, 64)
    assert found[0].min() >= -1 and found[0].max() <= 1
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_an_empty_negative_prompt_is_nothing_to_sdxl(monkeypatch):
    """As in the WebUI: zeros, text and pooled text, beside the prompt as it was encoded."""
    asked = []

    def unet(x, time, hidden, added_cond_kwargs=None, return_dict=False):
        asked.append((hidden, added_cond_kwargs))
        return (torch.zeros_like(x),)

    def conditioning(rows):
        ones = torch.ones(len(rows), 77, 4) * (rows[:, None, None] + 1.0)
        return (ones, ones[:, 0] if has_pooled else None)

    painter = Painter(unet, None, conditioning, NoiseSchedule.create(), negative_row=4, seed=0)
    monkeypatch.setattr(Painter, "decode", lambda self, latents: latents)
    size = torch.zeros(1, 6)
    for has_pooled in (True, False):
        asked.clear()
        painter.paint([1], (1, 4, 2, 2), size if has_pooled else None)
        hidden, added = asked[0]
        assert hidden[1].eq(2.0).all() and hidden[0].eq(0.0 if has_pooled else 5.0).all()
        if has_pooled:
            pooled = SimpleNamespace(**added).text_embeds
            assert pooled[0].eq(0.0).all() and pooled[1].eq(2.0).all()


def test_where_memory_runs_short_pictures_are_drawn_one_after_another(monkeypatch):
    sizes = []

    def unet(x, time, hidden, added_cond_kwargs=None, return_dict=False):
        sizes.append(len(x))
        if len(x) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return (torch.zeros_like(x),)

    def conditioning(rows):
        return torch.ones(len(rows), 77, 4), None

    painter = Painter(unet, None, conditioning, NoiseSchedule.create(), negative_row=4, seed=0)
    monkeypatch.setattr(Painter, "decode", lambda self, latents: latents)
    most = 99
    whole = painter.paint([1, 2, 3], (1, 4, 2, 2), None)
    most = 2
    assert torch.equal(painter.paint([1, 2, 3], (1, 4, 2, 2), None), whole)
    assert sizes.count(6) == 13 and sizes.count(2) == 36
    most = 1
    with pytest.raises(RuntimeError, match="out of memory"):
        painter.paint([1, 2, 3], (1, 4, 2, 2), None)
