"""The WebUI's start-up hook: installs nothing; whoever asked for sd-scripts by a setting gets it set up.

The built-in engine and sd-scripts come on request, by the page's buttons or `python run.py`. Where the
environment variable ``COPIER_LORA_ENGINE`` is ``sd-scripts``, this starts that set-up in the background, into
an environment of its own.
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
"""A set-up that failed is not tried again at every start."""
SETTING, SD_SCRIPTS = "COPIER_LORA_ENGINE", "sd-scripts"
"""The environment variable by which `auto` means sd-scripts, and its value."""


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Look at the disk (some milliseconds); at most start one process that nobody waits for."""
    if not _is_asked_for(environ):
        return 0
    sys.path.insert(0, str(ROOT))
    from lib_copier.engines.state import MISSING, engine_state, own_places

    places = own_places()
    if engine_state(places).state != MISSING or _was_tried(places.vendor / "tried"):
        return 0
    _start_setup(environ)
    print(f"Copier LoRA: setting up sd-scripts in the background, as {SETTING} says (log: {places.log}).")
    return 0


def _is_asked_for(environ: Mapping[str, str]) -> bool:
    """Flags on the command line itself never reach this process; there the host skips the hook."""
    flags = environ.get("COMMANDLINE_ARGS", "").split()
    return environ.get(SETTING) == SD_SCRIPTS and "--skip-install" not in flags


def _was_tried(mark: Path) -> bool:
    """Whether a set-up was started lately; leaves a new mark where not."""
    if mark.exists() and time.time() - mark.stat().st_mtime < RETRY_SECONDS:
        return True
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return False


def _start_setup(environ: Mapping[str, str]) -> None:
    """A process of its own: the host waits for this hook's output pipes to close, so it must hold none."""
    argv = [sys.executable, "-m", "lib_copier.app.engine", "install"]
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
