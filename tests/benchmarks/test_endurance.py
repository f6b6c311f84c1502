"""A slider comes out the same, byte for byte, however often the child that makes it is killed."""

from __future__ import annotations

import pytest

from benchmarks.endurance import killed
from lib_copier.model_file.families import SD1
from lib_copier.models.tiny import random_checkpoint


@pytest.mark.slow
def test_kills_are_not_felt_and_leave_nobody_behind(tmp_path) -> None:
    checkpoint = tmp_path / "tiny.safetensors"
    random_checkpoint(checkpoint, SD1)
    found = killed(tmp_path, checkpoint, kills=3, seed=3)
    assert found["kills"] == 3 and found["other_bytes"] == 0 and found["orphans"] == 0
