"""The warden acts when the process that set it is gone, however that ended."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from lib_copier.engines.locate import root
from lib_copier.engines.tree import TOKEN_VARIABLE, find_marked

SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from lib_copier.cluster.warden import set_warden
set_warden(sys.argv[1], Path(sys.argv[2]))
environment = {**os.environ, TOKEN: sys.argv[1]}
sleeping = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
subprocess.Popen(sleeping, env=environment, start_new_session=True)
print("ready", flush=True)
os.kill(os.getpid(), 9)
""".replace("TOKEN:", f"{TOKEN_VARIABLE!r}:")


def test_what_a_killed_process_left_is_ended_and_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    (folder / "a" / "work").mkdir(parents=True)
    argv = [sys.executable, "-c", SCRIPT, "token-of-this-test", str(folder)]
    ended = subprocess.run(argv, cwd=root(), capture_output=True, text=True, check=False)
    assert ended.stdout == "ready\n" and ended.returncode == -9, ended.stderr
    end = time.monotonic() + 30
    while (folder.exists() or find_marked("token-of-this-test")) and time.monotonic() < end:
        time.sleep(0.05)
    assert not folder.exists() and not find_marked("token-of-this-test")
