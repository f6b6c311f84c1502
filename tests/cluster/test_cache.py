"""A node's files: found by content wherever they lie, kept within bounds, never taken at another's word."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lib_copier.cluster.cache import Cache
from lib_copier.cluster.parcel import FileNote
from lib_copier.errors import CopierError, InputError


def note(
    content: bytes, name: str = "model.safetensors", path: str = "/elsewhere/model.safetensors"
) -> FileNote:
    return FileNote(hashlib.sha256(content).hexdigest(), len(content), name, path)


def send(cache: Cache, content: bytes, name: str = "model.safetensors") -> None:
    told = note(content, name)
    cache.receive(told, 0, content[:3])
    cache.receive(told, 3, content[3:])
    cache.seal(told)


def test_what_was_sent_is_found_under_any_name_and_by_the_next_process(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100)
    assert cache.find(note(b"weights")) is None
    send(cache, b"weights")
    found = cache.find(note(b"weights", "other.safetensors"))
    assert found is not None and found.name == "other.safetensors" and found.read_bytes() == b"weights"
    again = Cache(tmp_path / "cache", 100).find(note(b"weights"))
    assert again is not None and again.name == "model.safetensors"


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100)
    cache.seal(note(b"", "caption.txt"))
    found = cache.find(note(b"", "caption.txt"))
    assert found is not None and found.read_bytes() == b""


def test_a_file_that_came_damaged_or_was_changed_is_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 100)
    cache.receive(note(b"weights"), 0, b"weighty")
    with pytest.raises(CopierError, match="arrived damaged"):
        cache.seal(note(b"weights"))
    assert cache.find(note(b"weights")) is None
    send(cache, b"weights")
    found = cache.find(note(b"weights"))
    assert found is not None
    found.write_bytes(b"WEIGHTS")
    assert Cache(tmp_path / "cache", 100).find(note(b"weights")) is None


def test_the_node_s_own_models_need_not_travel(tmp_path: Path) -> None:
    own = tmp_path / "models" / "sd"
    own.mkdir(parents=True)
    (own / "renamed.safetensors").write_bytes(b"weights")
    (own / "same size.safetensors").write_bytes(b"anothe_")
    cache = Cache(tmp_path / "cache", 0, [tmp_path / "models"])
    found = cache.find(note(b"weights"))
    assert (
        found is not None
        and found.name == "model.safetensors"
        and found.samefile(own / "renamed.safetensors")
    )
    assert cache.find(note(b"nothere")) is None


def test_on_a_shared_disk_nothing_is_copied_or_linked(tmp_path: Path) -> None:
    shared = tmp_path / "shared" / "model.safetensors"
    shared.parent.mkdir()
    shared.write_bytes(b"weights")
    told = note(b"weights", path=str(shared))
    assert Cache(tmp_path / "cache", 0, [shared.parent]).find(told) == shared
    assert Cache(tmp_path / "cache", 0).find(told) is None, (
        "no folder that the node did not name is looked into"
    )


def test_the_longest_unused_goes_first_and_what_is_used_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 20)
    for age, content in ((30, b"eldest__"), (20, b"younger_")):
        send(cache, content)
        cache.release()
        home = tmp_path / "cache" / note(content).digest
        os.utime(home, (home.stat().st_mtime - age,) * 2)
    send(cache, b"third___")
    assert cache.find(note(b"eldest__")) is None
    assert cache.find(note(b"younger_")) is not None
    with pytest.raises(CopierError, match="COPIER_LORA_NODE_GIGABYTES"):
        send(cache, b"no room: both others are held")


@pytest.mark.parametrize("name", ["../out", "a/b", "", "..", "C:x"])
def test_no_name_leads_out_of_the_cache(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Cache(tmp_path / "cache", 100).find(note(b"x", name))
