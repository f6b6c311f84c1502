"""Parts read ahead are those that lie in the file; faults come out where the tensors are taken."""

from __future__ import annotations

import threading

import pytest
import torch

from lib_copier.errors import InputError
from lib_copier.model_file.keys import UNET_PREFIX
from lib_copier.models.ahead import WeightReader
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.source import ModelFile

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_read_ahead_is_what_the_file_holds(checkpoint_path, dtype):
    with (
        ModelFile.open(checkpoint_path()) as file,
        WeightReader(checkpoint_path(), {"unet": dtype}, device=CPU) as reader,
    ):
        there = file.under(UNET_PREFIX)
        ahead = reader.take("unet")
    assert ahead.keys() == there.keys() and len(there) > 100
    assert all(ahead[name].dtype == dtype for name in there)
    assert all(torch.equal(ahead[name], there[name].to(dtype)) for name in there)


def test_a_checkpoint_takes_the_weights_over(checkpoint_path, loaded):
    with WeightReader(checkpoint_path(), {"unet": torch.float32}, device=CPU) as reader:
        unet = load_checkpoint(checkpoint_path(), parts=("unet",), reader=reader).unet
    expected = loaded().unet.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in unet.state_dict().items())


def test_a_broken_file_is_told_when_the_weights_are_wanted(tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{")
    with (
        WeightReader(tmp_path / "cut.safetensors", {"unet": torch.float32}, device=CPU) as reader,
        pytest.raises(InputError),
    ):
        reader.take("unet")


def test_no_thread_is_left_behind(checkpoint_path):
    with WeightReader(checkpoint_path(), {"unet": torch.float32}, device=CPU):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("weights")]


def test_weights_of_a_pickle_are_not_those_of_its_map(tmp_path):
    state = {f"{UNET_PREFIX}a": torch.ones(4), f"{UNET_PREFIX}b": torch.ones(2, 3)}
    torch.save({"state_dict": state}, tmp_path / "old.ckpt")
    with ModelFile.open(tmp_path / "old.ckpt") as file:
        first = file.under(UNET_PREFIX)
        first[f"{UNET_PREFIX}a"].zero_()
        assert torch.equal(file.under(UNET_PREFIX)[f"{UNET_PREFIX}a"], torch.ones(4))
