"""Large files are read by a thread, once, and told of meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lib_copier.graph import readings as readings_module
from lib_copier.graph.digest import sha256_of
from lib_copier.graph.readings import Readings


def wait_for(readings: Readings, path: Path) -> str:
    """The digest once it is there."""
    for _ in range(2000):
        if found := readings.sha256(path):
            return found
        time.sleep(0.005)
    raise AssertionError("nobody reads the file")


def test_a_file_is_read_once_by_a_thread_that_tells_how_far_it_is(tmp_path, monkeypatch) -> None:
    file = tmp_path / "base.safetensors"
    file.write_bytes(b"weights")
    half, may_end, begun = threading.Event(), threading.Event(), []

    def chunks_of(path: Path):
        begun.append(path)
        yield b"wei"
        half.set()
        assert may_end.wait(20)
        yield b"ghts"

    monkeypatch.setattr(readings_module, "chunks_of", chunks_of)
    readings = Readings()
    assert readings.sha256(file) is None and half.wait(20)
    assert readings.sha256(file) is None, "asked twice, read once"
    time.sleep(0.01)
    assert readings.under_way() == {file: pytest.approx(3 / 7)}
    may_end.set()
    assert wait_for(readings, file) == sha256_of(file)
    assert readings.under_way() == {} and begun == [file]


def test_a_changed_file_is_read_anew(tmp_path) -> None:
    file, readings = tmp_path / "a", Readings()
    file.write_bytes(b"one")
    first = wait_for(readings, file)
    file.write_bytes(b"other")
    assert wait_for(readings, file) == sha256_of(file) != first


def test_a_file_that_cannot_be_read_is_an_error_and_tried_again(tmp_path, monkeypatch) -> None:
    file, readings = tmp_path / "a", Readings()
    file.write_bytes(b"one")

    def broken(path: Path):
        raise OSError("the disk failed")
        yield b""

    monkeypatch.setattr(readings_module, "chunks_of", broken)
    with pytest.raises(OSError, match="the disk failed"):
        wait_for(readings, file)
    monkeypatch.undo()
    assert wait_for(readings, file) == sha256_of(file)
    with pytest.raises(FileNotFoundError):
        readings.sha256(tmp_path / "gone")
