"""Equal work gives equal bytes: a LoRA's metadata loses the hour and this machine, its tensors nothing."""

from __future__ import annotations

import json

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from lib_copier.steps.records import VOLATILE, forget_time


def metadata(path) -> dict[str, str]:
    with safe_open(path, framework="numpy") as file:
        return file.metadata()


def test_only_what_differs_between_two_runs_goes(tmp_path):
    tensors = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.ones(3, np.float32)}
    kept = {"ss_network_dim": "8", "modelspec.title": "x"}
    for name in ("first", "second"):
        changing = {key: f"{name} {key}" for key in VOLATILE}
        # A folder is another one on another machine; what was learned from it is not.
        changing["ss_tag_frequency"] = json.dumps({f"folder of the {name}": {"a house": 2}})
        save_file(tensors, tmp_path / name, {**kept, **changing})
        forget_time(tmp_path / name)
        assert metadata(tmp_path / name) == {**kept, "ss_tag_frequency": '{"1": {"a house": 2}}'}
    # safetensors itself lists metadata in another order each time.
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    found = load_file(tmp_path / "first")
    assert all(found[key].dtype == tensors[key].dtype for key in tensors)
    assert all(np.array_equal(found[key], tensors[key]) for key in tensors)


def test_a_file_that_tells_nothing_of_it_is_not_written_again(tmp_path):
    path = tmp_path / "x"
    save_file({"a": np.ones(1, np.float32)}, path, {"ss_network_dim": "8"})
    before = path.stat()
    forget_time(path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
