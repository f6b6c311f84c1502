"""Kept parts: the same numbers, nobody's changes, within a budget, and never those of a file that is gone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import psutil
import pytest
import torch

from lib_copier.model_file.families import FAMILIES
from lib_copier.models.attach import bake
from lib_copier.models.checkpoint import Checkpoint, load_checkpoint
from lib_copier.models.kept import KEPT, KeptParts, file_state
from lib_copier.models.tiny import random_checkpoint, random_lora


@pytest.fixture
def keeping() -> Iterator[KeptParts]:
    KEPT.keep(0.5)
    yield KEPT
    KEPT.keep(0.0)
    KEPT.free()


def weights(checkpoint: Checkpoint) -> list[torch.Tensor]:
    modules = (checkpoint.unet, checkpoint.vae, *checkpoint.text_encoders)
    return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return len(first) == len(second) and all(map(torch.equal, first, second))


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_second_load_shares_the_tensors_and_nothing_else(family, checkpoint_path, keeping) -> None:
    first = load_checkpoint(checkpoint_path(family))
    before = weights(first)
    bake(first, random_lora(first), 1.0)
    first.unet.train().requires_grad_(True)
    first.unet.conv_in.register_forward_hook(lambda *_: None)
    first.unet.conv_in.forward = None
    first.unet.to(memory_format=torch.channels_last)
    first.vae.to(torch.float64)
    second = load_checkpoint(checkpoint_path(family))
    assert second.vae.decoder.conv_in.weight.data_ptr() == third_vae(checkpoint_path(family))
    assert equal(weights(second), before)
    assert not second.unet.training and not any(one.requires_grad for one in second.unet.parameters())
    assert not second.unet.conv_in._forward_hooks and callable(second.unet.conv_in.forward)
    assert second.unet.conv_in.weight.is_contiguous()
    assert second.prediction_type == first.prediction_type


def third_vae(path) -> int:
    return int(load_checkpoint(path, parts=("vae",)).vae.decoder.conv_in.weight.data_ptr())


def test_a_file_that_was_replaced_is_another_though_size_and_time_are_the_same(tmp_path, keeping) -> None:
    path, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    random_checkpoint(path, FAMILIES["sd1"], seed=1)
    random_checkpoint(other, FAMILIES["sd1"], seed=2)
    before, state, digest = weights(load_checkpoint(path)), path.stat(), KEPT.sha256(path)
    shutil.copyfile(other, path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    assert equal(weights(load_checkpoint(path)), weights(load_checkpoint(other)))
    assert not equal(weights(load_checkpoint(path)), before)
    assert KEPT.sha256(path) == KEPT.sha256(other) != digest


def test_nothing_is_kept_unless_it_is_said(checkpoint_path) -> None:
    load_checkpoint(checkpoint_path())
    assert not KEPT._parts


def test_the_least_used_goes_where_room_is_short(monkeypatch) -> None:
    shelf = KeptParts()
    shelf.keep(1.0)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("", (), {"total": 8 * 4 * 3})())
    made = []

    def linear(name: str, width: int = 8):
        return shelf.take((name,), lambda: made.append(name) or torch.nn.Linear(width, 1, bias=False))

    for name in ("a", "b", "c", "a", "d", "a", "b"):
        linear(name)
    assert made == ["a", "b", "c", "d", "b"]
    linear("too large", 100)
    assert not shelf.has(("too large",)) and shelf.has(("b",))
    shelf.free()
    assert not shelf.has(("b",))


def test_a_missing_file_has_a_state_too(tmp_path) -> None:
    assert file_state(tmp_path / "none") == (str(tmp_path / "none"),)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_is_kept_on_the_gpu_is_given_back(checkpoint_path, keeping) -> None:
    from lib_copier.worker.service import free

    before = torch.cuda.memory_allocated()
    load_checkpoint(checkpoint_path(), device="cuda")
    assert torch.cuda.memory_allocated() > before
    free()
    assert torch.cuda.memory_allocated() <= before + (16 << 20)
