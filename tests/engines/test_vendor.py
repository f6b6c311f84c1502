"""Fetching sd-scripts: from a repository on this disk, with everything that can go wrong on the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib_copier.engines import vendor
from lib_copier.engines.sd_scripts.checkout import SCRIPTS
from lib_copier.errors import CopierError, InputError


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    argv = ["git", *identity, *arguments]
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the scripts' names, tagged as the pinned release; an umlaut in its path."""
    folder = tmp_path / "a remöte repository"
    for name in SCRIPTS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("print('stand-in')\n")
    (folder / "requirements.txt").write_text("diffusers[torch]==0.32.1\n-e .\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "tag", vendor.TAG)
    monkeypatch.setenv(vendor.URL_VARIABLE, str(folder))
    return folder


@pytest.fixture
def commit(remote: Path) -> str:
    return git(remote, "rev-parse", "HEAD")


def test_the_tag_is_fetched_and_verified(remote: Path, commit: str, tmp_path: Path) -> None:
    folder = tmp_path / "vendör x" / "sd-scripts"
    vendor.fetch(folder, tmp_path / "log.txt", commit=commit)
    assert vendor.current_commit(folder) == commit
    assert vendor.missing_scripts(folder) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["sd-scripts"]


def test_what_is_there_needs_neither_git_nor_network(
    remote: Path, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sd-scripts"
    vendor.fetch(folder, tmp_path / "log.txt", commit=commit)
    monkeypatch.setenv("PATH", str(tmp_path))
    vendor.fetch(folder, tmp_path / "log.txt", commit=commit)


def test_a_moved_tag_is_refused_and_nothing_is_kept(remote: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sd-scripts"
    with pytest.raises(CopierError, match="not " + "0" * 40):
        vendor.fetch(folder, tmp_path / "log.txt", commit="0" * 40)
    assert not folder.exists()
    assert not folder.with_name("sd-scripts.part").exists()


def test_another_commit_is_moved_on(remote: Path, commit: str, tmp_path: Path) -> None:
    folder = tmp_path / "sd-scripts"
    vendor.fetch(folder, tmp_path / "log.txt", commit=commit)
    (remote / "more.py").touch()
    git(remote, "add", ".")
    git(remote, "commit", "--quiet", "-m", "two")
    git(remote, "tag", "--force", vendor.TAG)
    newer = git(remote, "rev-parse", "HEAD")
    vendor.fetch(folder, tmp_path / "log.txt", commit=newer)
    assert vendor.current_commit(folder) == newer
    assert (folder / "more.py").exists()


def test_changes_of_a_user_are_not_thrown_away(remote: Path, commit: str, tmp_path: Path) -> None:
    folder = tmp_path / "sd-scripts"
    vendor.fetch(folder, tmp_path / "log.txt", commit=commit)
    (remote / SCRIPTS[0]).write_text("print('newer')\n")
    git(remote, "commit", "--quiet", "-a", "-m", "two")
    git(remote, "tag", "--force", vendor.TAG)
    (folder / SCRIPTS[0]).write_text("print('mine')\n")
    with pytest.raises(CopierError, match="git failed"):
        vendor.fetch(folder, tmp_path / "log.txt", commit=git(remote, "rev-parse", "HEAD"))
    assert (folder / SCRIPTS[0]).read_text() == "print('mine')\n"


def test_no_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git is not installed.*--folder"):
        vendor.fetch(tmp_path / "sd-scripts", tmp_path / "log.txt")


def test_no_network_is_an_error_and_the_next_try_works(
    remote: Path, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sd-scripts"
    monkeypatch.setenv(vendor.URL_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(CopierError, match="git failed"):
        vendor.fetch(folder, tmp_path / "log.txt", commit=commit)
    assert not folder.exists()
    monkeypatch.setenv(vendor.URL_VARIABLE, str(remote))
    vendor.fetch(folder, tmp_path / "log.txt", commit=commit)
    assert vendor.current_commit(folder) == commit


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_fetch_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "git"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nsleep 600 & wait\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    started = time.monotonic()
    with pytest.raises(CopierError, match="did not finish within"):
        vendor.fetch(tmp_path / "sd-scripts", tmp_path / "log.txt", seconds=0.5)
    assert time.monotonic() - started < 20


def test_a_foreign_folder_is_not_overwritten(remote: Path, commit: str, tmp_path: Path) -> None:
    folder = tmp_path / "sd-scripts"
    folder.mkdir()
    (folder / "somebody's.txt").touch()
    with pytest.raises(InputError, match="git did not put there"):
        vendor.fetch(folder, tmp_path / "log.txt", commit=commit)
    assert (folder / "somebody's.txt").exists()
