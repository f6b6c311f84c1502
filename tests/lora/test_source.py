"""Old checkpoints: unknown classes become inert, nothing is ever imported or run."""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np
import pytest

from lib_copier.errors import InputError
from lib_copier.lora.source import PickledFile, open_checkpoint, placeholder

torch = pytest.importorskip("torch")


def test_weights_are_read_in_every_type(tmp_path):
    tensors = {"a": torch.randn(4, 3).half(), "b": torch.randn(5).bfloat16(), "c": torch.tensor(3)}
    torch.save({"state_dict": tensors, "epoch": 4}, tmp_path / "m.ckpt")
    source = open_checkpoint(tmp_path / "m.ckpt")
    assert source.header.shapes == {"a": (4, 3), "b": (5,), "c": ()}
    assert np.array_equal(source.read("a"), tensors["a"].numpy())
    assert np.array_equal(source.read("b").astype(np.float32), tensors["b"].float().numpy())
    assert np.array_equal(source.read_rows("a", 1, 3), tensors["a"][1:3].numpy())
    source.close()


def save_with_unknown_class(path, *, is_zip=True):
    """A file that names a trainer's class, saved while that class exists and read after it is gone."""
    module = types.ModuleType("vanished_trainer.callbacks")

    class ModelCheckpoint:
        def __init__(self):
            self.best = 0.5

    ModelCheckpoint.__module__, ModelCheckpoint.__qualname__ = module.__name__, "ModelCheckpoint"
    module.ModelCheckpoint = ModelCheckpoint
    sys.modules["vanished_trainer"] = types.ModuleType("vanished_trainer")
    sys.modules[module.__name__] = module
    try:
        content = {"state_dict": {"a": torch.ones(2, 2)}, "callbacks": {ModelCheckpoint: ModelCheckpoint()}}
        torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    finally:
        del sys.modules[module.__name__], sys.modules["vanished_trainer"]


@pytest.mark.skipif(not hasattr(torch.serialization, "safe_globals"), reason="needs torch 2.5")
@pytest.mark.parametrize("is_zip", [True, False])
def test_unknown_classes_become_placeholders(tmp_path, is_zip):
    save_with_unknown_class(tmp_path / "old.ckpt", is_zip=is_zip)
    with PickledFile(tmp_path / "old.ckpt") as source:
        assert source.header.shapes == {"a": (2, 2)}
    assert "vanished_trainer" not in sys.modules


def test_placeholders_do_nothing():
    kind = placeholder("some.module.Name")
    thing = kind(1, two=3)
    thing.__setstate__({"x": 1})
    assert vars(thing) == {}
    assert (kind.__module__, kind.__qualname__) == ("some.module", "Name")


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_pickle_never_runs(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}, "x": Attack(tmp_path / "ran")}, tmp_path / "evil.ckpt")
    try:
        PickledFile(tmp_path / "evil.ckpt").close()
    except InputError as error:
        assert "\n" not in str(error)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps([1, 2]), b"PK\x03\x04broken"])
def test_broken_files_are_one_clear_line(tmp_path, content):
    (tmp_path / "bad.ckpt").write_bytes(content)
    with pytest.raises(InputError):
        open_checkpoint(tmp_path / "bad.ckpt")
    with pytest.raises(InputError, match="no such file"):
        open_checkpoint(tmp_path / "missing.ckpt")
    with pytest.raises(InputError, match="is a folder"):
        open_checkpoint(tmp_path)
