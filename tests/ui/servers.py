"""The page served by any of the gradio versions, each from an environment of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib_copier.files.lock import locked

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = "COPIER_LORA_GRADIO"
"""Names a folder with (or for) the environments ``3`` and ``4``; else they are kept in .cache/gradio."""
VERSIONS = ("newest", "3", "4")

_SERVE = "import sys; from lib_copier.app.serve import main; sys.exit(main(sys.argv[1:]))"


def python_for(version: str) -> Path:
    """The interpreter of an environment with that gradio; made at the first call, skipped if it cannot."""
    if version == "newest":
        return Path(sys.executable)
    if sys.version_info >= (3, 13):
        pytest.skip("gradio 3 and 4 have no packages for Python 3.13 and later")
    folder = Path(os.environ.get(ENVIRONMENTS) or ROOT / ".cache" / "gradio") / version
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pins = Path(__file__).with_name(f"gradio{version}.txt")
    # Another process of this suite may be at it.
    with locked(folder.with_suffix(".lock")):
        if not (python.exists() and (folder / "ready").exists()):
            _make(folder, python, pins, _python_310() if version == "3" else sys.executable)
    return python


def _python_310() -> str:
    """Gradio 3 runs under Python 3.10, as in its hosts."""
    if sys.version_info < (3, 11):
        return sys.executable
    found = shutil.which("python3.10")
    # A version manager's stand-in may be there without the version behind it.
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        return found
    pytest.skip(f"no python3.10 for gradio 3; or name its environment by {ENVIRONMENTS}")


def _make(folder: Path, python: Path, pins: Path, base: str) -> None:
    """With the pip at hand, and no byte code but of what is imported: half of the work."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    commands = [
        [base, "-m", "venv", "--clear", "--without-pip", str(folder)],
        [*pip, "install", "--quiet", "--no-compile", "-r", str(pins)],
    ]
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    except (subprocess.SubprocessError, OSError) as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()
        pytest.skip(f"the environment of {pins.name} cannot be made here: {told[-1] if told else error}")
    (folder / "ready").touch()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(python: Path, arguments: Sequence[str], *, port: int) -> Iterator[str]:
    """A child that serves a page on a port; the page's address, once it answers."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GRADIO")}
    environ |= {
        "PYTHONPATH": str(ROOT),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "OMP_NUM_THREADS": "1",
        # Children need torch, which only the environment of the tests has.
        "COPIER_LORA_PYTHON": sys.executable,
        # Other projects of this user, running beside the tests, must not be waited for.
        "COPIER_LORA_LOCKS": str(Path(tempfile.gettempdir()) / f"copier-lora-test-{port}"),
    }
    child = subprocess.Popen(
        [str(python), *arguments], cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}/"
    try:
        _wait_for(address, child)
        yield address
    finally:
        child.terminate()
        child.communicate(timeout=20)


def serve_arguments(port: int, projects: Path, checkpoint: Path) -> list[str]:
    """Arguments for `serving` that start the standalone page."""
    return ["-c", _SERVE, "--port", str(port), "--projects", str(projects), "--checkpoint", str(checkpoint)]


def _wait_for(address: str, child: subprocess.Popen[str], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if child.poll() is not None:
            raise AssertionError(f"the server ended:\n{child.stdout.read() if child.stdout else ''}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{address} does not answer")
