"""Walks come back from their file as they were, and what is none is told."""

from __future__ import annotations

import pytest
import torch

from lib_copier.errors import InputError
from lib_copier.models.walks import Walk


@pytest.fixture
def walk() -> Walk:
    torch.manual_seed(0)
    return Walk(
        torch.randn(3, 4, 2, 5), torch.tensor([14.6, 3.0, 0.1]), torch.tensor(4.0), "ぼやけた, blurry"
    )


def test_a_walk_comes_back(walk, tmp_path):
    walk.write(tmp_path / "a.walk")
    found = Walk.read(tmp_path / "a.walk")
    assert torch.equal(found.states, walk.states.half().float())
    assert torch.equal(found.sigmas, walk.sigmas) and float(found.cfg_scale) == 4.0
    assert found.negative_prompt == "ぼやけた, blurry"


def test_what_is_no_walk_is_told(walk, tmp_path):
    path = tmp_path / "a.walk"
    path.write_bytes(b"PNG")
    with pytest.raises(InputError, match="holds no walk"):
        Walk.read(path)
    with pytest.raises(InputError, match="holds no walk"):
        Walk.read(tmp_path / "none.walk")
    for broken in (
        Walk(walk.states[0], walk.sigmas, walk.cfg_scale),
        Walk(walk.states, walk.sigmas[:2], walk.cfg_scale),
        Walk(walk.states, walk.sigmas, walk.sigmas.clone()),
        Walk(walk.states, -walk.sigmas, walk.cfg_scale),
    ):
        broken.write(path)
        with pytest.raises(InputError, match="shapes do not fit"):
            Walk.read(path)
