"""Digests that are remembered until a file changes."""

from __future__ import annotations

from pathlib import Path

from lib_copier.graph import digest as digest_module
from lib_copier.graph.digest import FileDigests, sha256_of


def test_digests_are_remembered_until_the_file_changes(tmp_path, monkeypatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    memory = tmp_path / "project" / "digests.json"
    digests = FileDigests(memory, tmp_path / "project")
    first = digests.sha256(file)
    assert not memory.exists(), "written once a look, not once a file"
    digests.save()
    counted: list[Path] = []
    monkeypatch.setattr(digest_module, "sha256_of", lambda path: counted.append(path) or sha256_of(path))
    again = FileDigests(memory, tmp_path / "project")
    assert again.sha256(file) == first and not counted
    file.write_bytes(b"two!")
    assert again.sha256(file) != first and counted == [file]
    assert str(tmp_path) not in memory.read_text(), "no folder of the machine is told"
    memory.write_text("{broken")
    assert FileDigests(memory, tmp_path).sha256(file) == sha256_of(file)


def test_a_folder_s_digest_covers_names_and_contents(tmp_path) -> None:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    digests = FileDigests(tmp_path / "digests.json", tmp_path)
    seen = {digests.sha256(folder)}
    (folder / "sub" / "b").write_text("2")
    seen.add(digests.sha256(folder))
    (folder / "a").rename(folder / "c")
    seen.add(digests.sha256(folder))
    assert len(seen) == 3
