"""Fetches sd-scripts with git at one pinned commit, shallow, and verifies what came."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lib_copier.border.child import start_options
from lib_copier.engines.sd_scripts.checkout import SCRIPTS, Checkout
from lib_copier.errors import ChildError, CopierError, InputError

URL = "https://github.com/kohya-ss/sd-scripts"
URL_VARIABLE = "COPIER_LORA_SD_SCRIPTS_URL"
"""Environment variable: a mirror to fetch from; the commit is verified all the same."""
TAG = "v0.10.1"
COMMIT = "ae72efb92babe89ff8e70f057e42db68440e8d61"
SECONDS = 600.0
"""A fetch that takes longer is given up."""

_BY_HAND = (
    f"Or fetch {TAG} of sd-scripts in another way, unpack it and name the folder: "
    "`python run.py engine install --folder FOLDER`."
)


def fetch(folder: Path, log: Path, *, seconds: float = SECONDS, commit: str = COMMIT) -> None:
    """Put sd-scripts at the pinned commit into `folder`; nothing is done where it is there already.

    A new checkout is made under another name and moved when it is whole. An old one at another commit is
    moved on by git, which refuses rather than lose somebody's changes.

    Raises
    ------
    CopierError
        No git, no network, another commit than the pinned one, changes in the way.
    """
    if current_commit(folder) == commit and not missing_scripts(folder):
        return
    git = shutil.which("git")
    if git is None:
        raise InputError("git is not installed, so sd-scripts cannot be fetched.", f"Install git. {_BY_HAND}")
    url = os.environ.get(URL_VARIABLE) or URL
    is_new = not (folder / ".git").exists()
    if is_new and folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder} holds something that git did not put there.",
            "`python run.py engine remove` deletes it; or move it away and name it with --folder.",
        )
    target = folder.with_name(folder.name + ".part") if is_new else folder
    if is_new:
        delete_tree(target)
        target.mkdir(parents=True)

    def run(*arguments: str) -> None:
        _git(
            (git, "-c", "core.autocrlf=false", "-c", "core.longpaths=true", *arguments), target, log, seconds
        )

    if is_new:
        run("init", "--quiet")
    run("fetch", "--quiet", "--depth", "1", "--no-tags", url, f"refs/tags/{TAG}")
    fetched = _fetched_commit(target)
    if fetched != commit:
        if is_new:
            delete_tree(target)
        raise CopierError(
            f"{url} gives commit {fetched or 'unknown'} for {TAG}, not {commit}.",
            f"The tag was moved or the mirror is another project's; nothing of it is kept. {_BY_HAND}",
        )
    run("checkout", "--quiet", "--detach", commit)
    if is_new:
        if folder.exists():
            folder.rmdir()
        target.replace(folder)


def current_commit(folder: Path) -> str:
    """The commit that is checked out; empty where that cannot be told."""
    if not (folder / ".git").exists():
        return ""
    version = Checkout(folder, Path(sys.executable)).version()
    return "" if version.startswith("files-") else version


def missing_scripts(folder: Path) -> list[str]:
    """Which of the scripts that the engine runs are not there."""
    return [name for name in SCRIPTS if not (folder / name).is_file()]


def delete_tree(folder: Path) -> None:
    """Delete a folder that may not exist; git's object files are read-only, which Windows minds."""

    def allow_and_retry(function: Callable[[str], object], path: str, _: object) -> None:
        Path(path).chmod(stat.S_IWRITE)
        function(path)

    if folder.exists():
        shutil.rmtree(folder, onerror=allow_and_retry)


def _fetched_commit(folder: Path) -> str:
    try:
        return (folder / ".git" / "FETCH_HEAD").read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError):
        return ""


def _git(argv: Sequence[str], folder: Path, log: Path, seconds: float) -> None:
    """Run git without any question to a person; past its time it ends with all its children."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_DIR")}
    environ.update(GIT_TERMINAL_PROMPT="0", GIT_ASKPASS="true", GIT_HTTP_LOW_SPEED_LIMIT="500",
                   GIT_HTTP_LOW_SPEED_TIME="30", LC_ALL="C")  # fmt: skip
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n$ {subprocess.list2cmdline(argv)}\n")
        file.flush()
        start = file.tell()
        child = subprocess.Popen(
            argv,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            **start_options(own_group=True),
        )
        try:
            code = child.wait(seconds)
        except BaseException as error:
            _end_with_children(child)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ChildError(
                    f"git did not finish within {seconds:.0f} s.",
                    f"Try again on a better line. {_BY_HAND}",
                    argv=argv,
                ) from None
            raise
    if code != 0:
        with log.open("rb") as written:
            written.seek(start)
            said = [line for line in written.read().decode("utf-8", "replace").splitlines() if line.strip()]
        reason = said[-1].rstrip(". ") if said else f"exit code {code}"
        what = f"git failed: {reason}."
        raise ChildError(what, f"Log: {log}. {_BY_HAND}", argv=argv, returncode=code, last_lines=said[-5:])


def _end_with_children(child: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(child.pid)],
            capture_output=True,
            check=False,
            **start_options(),
        )
    else:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
