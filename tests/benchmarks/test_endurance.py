"""A slider comes out the same, byte for byte, however often the child that makes it is killed."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.endurance import killed
from lib_copier.model_file.families import SD1
from lib_copier.models.tiny import TINY, random_checkpoint


@pytest.mark.slow
def test_kills_are_not_felt_and_leave_nobody_behind(tmp_path) -> None:
    checkpoint = tmp_path / "tiny.safetensors"
    size = dataclasses.replace(TINY["sd1"], channels=(32, 64), depths=(1, 0))
    random_checkpoint(checkpoint, SD1, size=size)
    found = killed(tmp_path, checkpoint, kills=2, seed=3)
    assert found["kills"] == 2 and found["other_bytes"] == 0 and found["orphans"] == 0
