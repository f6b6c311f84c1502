"""`python -m lib_copier.cluster.warden TOKEN FOLDER`: clears up after a process of a node, however it ends.

It waits for the end of its stdin, then ends all that carries the token and deletes the folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lib_copier.border.child import start_options
from lib_copier.engines.locate import child_environment, root
from lib_copier.engines.tree import end_processes, find_marked


def set_warden(token: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start one for this process; it acts as soon as the pipe to it closes."""
    return subprocess.Popen(
        [sys.executable, "-m", "lib_copier.cluster.warden", token, str(folder)],
        cwd=root(),
        env={**os.environ, **dict(child_environment())},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **start_options(own_group=True),
    )


def watch(token: str, folder: Path) -> None:
    """Wait, then clear up."""
    # Ray ends the children of its processes with them: this one must not be one.
    if hasattr(os, "fork") and os.fork():
        os._exit(0)
    sys.stdin.buffer.read()
    end_processes(find_marked(token))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.argv[1], Path(sys.argv[2]))
