"""The WebUI's start-up hook: starts the fetch of what is missing in the background and returns at once.

Nothing is installed into the host's packages. sd-scripts' own packages are heavy and only come on request
(the page's button, or `python run.py engine install`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent
RETRY_SECONDS = 24 * 3600
"""A fetch that failed is not tried again at every start."""
OFF = "COPIER_LORA_NO_FETCH"
"""Environment variable: any value keeps this hook off the network."""


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Look at the disk (some milliseconds); at most start one process that nobody waits for."""
    if not _may_fetch(environ):
        return 0
    sys.path.insert(0, str(ROOT))
    from lib_copier.engines.state import MISSING, engine_state, own_places

    places = own_places()
    state = engine_state(places)
    is_fetched = (state.folder / "train_network.py").is_file()
    if state.state != MISSING or is_fetched or _was_tried(places.vendor / "tried"):
        return 0
    _start_fetch(environ)
    print(f"Copier LoRA: fetching sd-scripts in the background (log: {places.log}).")
    return 0


def _may_fetch(environ: Mapping[str, str]) -> bool:
    """Flags on the command line itself never reach this process; there the host skips the hook."""
    flags = environ.get("COMMANDLINE_ARGS", "").split()
    return not environ.get(OFF) and "--skip-install" not in flags


def _was_tried(mark: Path) -> bool:
    """Whether a fetch was started lately; leaves a new mark where not."""
    if mark.exists() and time.time() - mark.stat().st_mtime < RETRY_SECONDS:
        return True
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return False


def _start_fetch(environ: Mapping[str, str]) -> None:
    """A process of its own: the host waits for this hook's output pipes to close, so it must hold none."""
    argv = [sys.executable, "-m", "lib_copier.app.engine", "install", "--light"]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=flags,
        start_new_session=sys.platform != "win32",
    )


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # whatever is wrong here, the host has to start
        print(f"Copier LoRA: the start-up check failed ({error}); its page tells more.")
