"""Finished LoRAs land in a host's folder whole, under a name nobody else has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_copier.errors import InputError
from lib_copier.host.lora_folder import install_lora, unique_stem, write_sidecar


def test_stems_are_unique_over_subfolders_and_case(tmp_path: Path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "Line.safetensors").write_bytes(b"")
    (tmp_path / "line-2.pt").write_bytes(b"")
    assert unique_stem("line", [tmp_path, tmp_path / "missing"]) == "line-3"
    assert unique_stem("flat", [tmp_path]) == "flat"


def test_install_writes_file_sidecar_and_one_preview(tmp_path: Path):
    source, preview, folder = tmp_path / "made.safetensors", tmp_path / "p.png", tmp_path / "Lora"
    source.write_bytes(b"weights")
    preview.write_bytes(b"picture")
    folder.mkdir()
    (folder / "line.preview.jpg").write_bytes(b"old")
    (folder / "line.json").write_text('{"notes": "kept", "preferred weight": 1}')
    target = install_lora(source, folder, "line", sidecar={"preferred weight": 0.8}, preview=preview)
    assert target.read_bytes() == b"weights"
    assert json.loads((folder / "line.json").read_text()) == {"notes": "kept", "preferred weight": 0.8}
    assert sorted(path.name for path in folder.iterdir()) == ["line.json", "line.png", "line.safetensors"]


def test_a_broken_sidecar_is_replaced(tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text("[1")
    write_sidecar(path, {"notes": "線"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"notes": "線"}


def test_missing_source_or_folder_is_said(tmp_path: Path):
    with pytest.raises(InputError, match="no LoRA at"):
        install_lora(tmp_path / "none.safetensors", tmp_path, "x")
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="no LoRA folder"):
        install_lora(tmp_path / "a.safetensors", tmp_path / "none", "x")
