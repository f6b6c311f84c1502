"""A finished LoRA gets a name that nobody else has, and the host is told of it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib_copier.host.lora_folder import Listing, unique_stem


def test_stems_are_unique_over_subfolders_and_case(tmp_path: Path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "Line.safetensors").write_bytes(b"")
    (tmp_path / "line-2.pt").write_bytes(b"")
    assert unique_stem("line", [tmp_path, tmp_path / "missing"]) == "line-3"
    assert unique_stem("flat", [tmp_path]) == "flat"


def test_a_lora_is_listed_once_and_again_when_it_was_replaced(tmp_path: Path):
    told: list[str] = []
    listing, lora = Listing(SimpleNamespace(list_lora=told.append)), tmp_path / "line.safetensors"
    listing.see(lora)
    assert told == [], "nothing is there yet"
    lora.write_bytes(b"first")
    listing.see(lora)
    listing.see(lora)
    assert told == ["line"]
    lora.write_bytes(b"second")
    os.utime(lora, ns=(1, 1))
    listing.see(lora)
    assert told == ["line", "line"], "an older file in its place is another one too"


def test_a_host_that_cannot_list_fails_once(tmp_path: Path):
    def fail(stem: str) -> None:
        raise RuntimeError(stem)

    listing, lora = Listing(SimpleNamespace(list_lora=fail)), tmp_path / "line.safetensors"
    lora.write_bytes(b"first")
    with pytest.raises(RuntimeError, match="line"):
        listing.see(lora)
    listing.see(lora)
