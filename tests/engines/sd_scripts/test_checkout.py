"""The version of a checkout, however its git data lie."""

from __future__ import annotations

import sys
from pathlib import Path

from lib_copier.engines.sd_scripts.checkout import TRAIN, Checkout

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"


def _version(folder: Path) -> str:
    return Checkout(folder, Path(sys.executable)).version()


def test_a_detached_commit(checkout: Checkout) -> None:
    assert checkout.version() == "0123456789abcdef0123456789abcdef01234567"


def test_a_branch_loose_or_packed(checkout: Checkout) -> None:
    git = checkout.folder / ".git"
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'0' * 40} refs/heads/other\n{COMMIT} refs/heads/main\n"
    )
    assert checkout.version() == COMMIT
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "main").write_text("f" * 40 + "\n")
    assert checkout.version() == "f" * 40


def test_a_worktree(tmp_path: Path) -> None:
    home = tmp_path / "main.git" / "worktrees" / "tree"
    home.mkdir(parents=True)
    (home / "HEAD").write_text("ref: refs/heads/x\n")
    (home / "commondir").write_text("../..\n")
    (tmp_path / "main.git" / "packed-refs").write_text(f"{COMMIT} refs/heads/x\n")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {home}\n")
    assert _version(tree) == COMMIT


def test_without_git_the_scripts_themselves_are_the_version(checkout: Checkout) -> None:
    (checkout.folder / ".git" / "HEAD").unlink()
    before = checkout.version()
    assert before.startswith("files-")
    with (checkout.folder / TRAIN).open("a") as file:
        file.write("# changed\n")
    assert checkout.version() != before
