"""What the graphics card is good for, asked without loading torch into this process."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

from lib_copier.border.child import start_options

_TIMEOUT_SECONDS = 10.0
_BF16_CAPABILITY = 8.0
"""From this compute capability (Ampere) on, bf16 is as fast as fp16 and does not overflow."""


@lru_cache(maxsize=1)
def gpu_precision() -> str:
    """The mixed precision for the first NVIDIA GPU: ``bf16`` or ``fp16``; ``no`` where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "no"
    try:
        answer = subprocess.run(
            [program, "--query-gpu=compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
            **start_options(),
        ).stdout.split()
        return "bf16" if float(answer[0]) >= _BF16_CAPABILITY else "fp16"
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return "no"
