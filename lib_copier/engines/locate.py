"""Which Python runs the children: the project's own environment, wherever the parent itself runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lib_copier.environment.stamp import python_of, read_stamp
from lib_copier.environment.start import environment_folder

PYTHON_VARIABLE = "COPIER_LORA_PYTHON"
"""Names another Python for the children."""

OFFLINE = (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_DISABLE_TELEMETRY", "1"))
"""For every child but the tagger, whose download is asked for: no name in a recipe or a file is looked up."""


_ONE_THREAD = (("OPENBLAS_NUM_THREADS", "1"), ("VECLIB_MAXIMUM_THREADS", "1"))


def root() -> Path:
    """The folder that holds the package: the repository, or the extension's folder in a WebUI."""
    return Path(__file__).resolve().parents[2]


def demo_checkpoint() -> Path:
    """The checkpoint that comes with the repository."""
    return root() / "demo" / "copier-demo.safetensors"


def own_python() -> Path:
    """Where the project's environment has its Python, made or not."""
    return python_of(environment_folder())


def python() -> Path:
    """The Python for child processes: as the environment variable says, else our own, else this one.

    Our own counts once its packages are in place: a set-up that failed half way must be able to begin again.
    """
    named = os.environ.get(PYTHON_VARIABLE, "")
    if named:
        return Path(named)
    own, stamp = own_python(), read_stamp(environment_folder())
    is_made = stamp is not None and "base" in stamp.groups and own.exists()
    return own if is_made else Path(sys.executable)


def child_environment() -> tuple[tuple[str, str], ...]:
    """What a child of ours needs in its environment.

    A WebUI sets PYTHONPATH to its own folder, whose packages must not shadow those of our environment.
    numpy's BLAS takes its number of threads from its start: one, whatever is computed, so that sums round
    alike in a process of its own and in a worker.
    """
    return (("PYTHONPATH", str(root())), ("PYTHONNOUSERSITE", "1"), *_ONE_THREAD)
