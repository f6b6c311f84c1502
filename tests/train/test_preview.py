"""Pictures underway: one a prompt, the same for the same seed."""

from __future__ import annotations

import torch

from lib_copier.train.prepare import prepare
from lib_copier.train.preview import UNSEEN_PROMPTS


def test_pictures_depend_on_the_prompt_s_place_and_the_seed(make_config):
    found = []
    for seed in (0, 0, 1):
        run = prepare(make_config(copied_psnr=30, copied_every=2, seed=seed), log=print)
        rows = [run.prompt_rows[prompt] for prompt in UNSEEN_PROMPTS]
        found.append(run.painter.paint(rows, tuple(run.pictures[0].latents.shape), None))
    assert found[0].shape == (len(UNSEEN_PROMPTS), 3, 64, 64)
    assert found[0].min() >= -1 and found[0].max() <= 1
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
