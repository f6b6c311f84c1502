"""How many steps run at once, and where a device's lock lies."""

from __future__ import annotations

import pytest

from lib_copier.steps import device as devices
from lib_copier.steps.plan import plan


@pytest.mark.parametrize(
    ("device", "has_gpu", "expected"),
    [("cpu", True, 3), ("auto", False, 3), ("auto", True, 1), ("cuda", True, 1), ("cuda:1", False, 1)],
)
def test_only_a_processor_does_several_steps_at_once(monkeypatch, device, has_gpu, expected):
    monkeypatch.setattr(devices, "_has_gpu", lambda: has_gpu)
    monkeypatch.setattr(devices, "granted_cores", lambda: 3)
    assert devices.steps_at_once(device, 8) == expected
    assert devices.steps_at_once(device, 1) == 1
    # Beside a GPU's step the processor does one that can be done there.
    here = devices.executor_for(device, 8, None)
    assert (here.at_once, here.beside) == (expected, int(expected == 1))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, 1),
        ({"edits": ("outline", "flat", "contrast")}, 3),
        ({"origins": ("one", "two"), "edits": ("outline",)}, 2),
        ({"edits": ("outline", "flat"), "project__method": "pairs"}, 2),
        # The second copier follows the first's way.
        ({"project__method": "difference"}, 1),
        # The control learns as the edit LoRA did.
        ({"sweep__control": True}, 1),
    ],
)
def test_the_cores_are_for_those_that_train_side_by_side(recipe, wanted, expected):
    assert devices.trainings_at_once(plan(recipe(**wanted))) == expected


def test_each_gpu_has_its_own_lock_and_the_processor_none(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "_has_gpu", lambda: True)
    monkeypatch.setenv(devices.LOCKS_VARIABLE, str(tmp_path))
    assert devices.device_lock("cpu") is None
    assert devices.device_lock("auto") == devices.device_lock("cuda:0") == tmp_path / "gpu-0.lock"
    assert devices.device_lock("cuda:1") == tmp_path / "gpu-1.lock"
    monkeypatch.setattr(devices, "_has_gpu", lambda: False)
    assert devices.device_lock("auto") is None, "without a GPU nobody waits for one"
