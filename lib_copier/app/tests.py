"""`run.py test`: pytest over tests/, with the arguments passed on."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lib_copier.environment.pins import ROOT


def main(argv: Sequence[str]) -> int:
    """Run the suite; returns pytest's exit code (1 failures, 5 no test ran)."""
    # Tiny models: threads of one operation would only spin. Must stand before torch is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.chdir(ROOT)

    import pytest

    return int(pytest.main(list(argv)))
