"""Checkpoints that are swapped meanwhile, and bits that turn in an artifact."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from lib_copier.errors import ChildError
from lib_copier.graph.step import Step, StepInput
from lib_copier.graph.store import Store
from tests.graph.conftest import make, step, texts


def test_a_file_that_is_swapped_meanwhile_is_not_what_the_key_tells_of(tmp_path) -> None:
    checkpoint = tmp_path / "outside.bin"
    checkpoint.write_bytes(b"one")
    before = checkpoint.stat()

    def act(place):
        # Another file of the same size and time moves into the place of the first.
        other = tmp_path / "other.bin"
        other.write_bytes(b"two")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        if place.params["swaps"]:
            other.replace(checkpoint)
        (place.out / "text.txt").write_bytes(place.path("checkpoint").read_bytes())
        return {}

    def reading(swaps: bool) -> Step:
        inputs = (StepInput("checkpoint", path=str(checkpoint)),)
        return replace(step("a", action=act, swaps=swaps), inputs=inputs)

    folder = tmp_path / "project"
    with pytest.raises(ChildError, match="changed while a read it"):
        make(folder, reading(True)).run()
    assert not Store(folder).manifests()
    again = make(folder, reading(False))
    again.run()
    assert texts(again) == {"a": "two"}


def test_a_bit_that_turned_in_an_artifact_is_found_before_anything_is_made_of_it(run) -> None:
    first = run(step("a"))
    first.run()
    path = first._statuses["a"].artifact.file("text.txt")
    state = path.stat()
    path.write_text("b")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run(step("a")).run().made == (), "size and time are the same"
    with pytest.raises(ChildError, match=r"text\.txt of a is not as it was written"):
        run(step("a"), step("b", "a")).run()
    again = run(step("a"), step("b", "a"))
    assert again.run().made == ("a", "b")
    assert texts(again)["b"] == "a+b"
