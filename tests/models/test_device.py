"""Devices and number formats, with a stand-in for the GPUs that tests do not have."""

from __future__ import annotations

import json

import pytest
import torch

from lib_copier.errors import InputError
from lib_copier.models.device import choose_device, choose_dtype, tell_device


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs of a compute capability; the list tells which became the current one."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    # What torch says of a GPU that emulates bf16, too.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)

    def make(*capability: int) -> list[torch.device]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        return current

    return make


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_bf16_is_for_training_where_the_gpu_computes_in_it(two_gpus, capability, dtype):
    two_gpus(*capability)
    device = torch.device("cuda:1")
    assert choose_dtype("auto", device, is_training=True) is getattr(torch, dtype)
    assert choose_dtype("auto", device) is torch.float16
    assert choose_dtype("fp32", device, is_training=True) is torch.float32


def test_a_processor_computes_in_fp32():
    assert choose_dtype("auto", torch.device("cpu"), is_training=True) is torch.float32
    with pytest.raises(InputError, match="fp8"):
        choose_dtype("fp8", torch.device("cpu"))


def test_the_named_gpu_becomes_the_current_one(two_gpus):
    current = two_gpus(8, 0)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert current == [torch.device("cuda:1")]
    with pytest.raises(InputError, match="cuda:2"):
        choose_device("cuda:2")
    choose_device("cpu")
    assert len(current) == 1


def test_a_device_is_told_by_what_changes_results(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"NVIDIA number {device.index}")
    for name in ("cpu", "cuda:1", "mps"):
        tell_device(torch.device(name))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [{"event": "device", "kind": kind} for kind in ("CPU", "NVIDIA number 1", "MPS")]
