"""A finished LoRA gets a name that nobody else has."""

from __future__ import annotations

from pathlib import Path

from lib_copier.host.lora_folder import unique_stem


def test_stems_are_unique_over_subfolders_and_case(tmp_path: Path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "Line.safetensors").write_bytes(b"")
    (tmp_path / "line-2.pt").write_bytes(b"")
    assert unique_stem("line", [tmp_path, tmp_path / "missing"]) == "line-3"
    assert unique_stem("flat", [tmp_path]) == "flat"
