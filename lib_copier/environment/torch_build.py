"""Which build of torch fits this machine, where it comes from, and why."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lib_copier.border.child import start_options

PYTORCH_INDEX = "https://download.pytorch.org/whl"
GIVEN = "COPIER_LORA_TORCH"
"""Environment variable: pip arguments that replace the choice, such as a ROCm build's."""


GIGABYTES = {"host": "0.5", "cpu": "1.6", "mps": "1.4", "cuda": "7"}
"""What an environment takes on the disk with each kind of torch, about; ``host``: with a borrowed one."""


class Machine(NamedTuple):
    """What the choice depends on."""

    system: str
    """``Linux``, ``Windows`` or ``Darwin``."""
    nvidia: str = ""
    """How an NVIDIA GPU was seen; empty: none was."""
    driver_cuda: tuple[int, int] | None = None
    """Newest CUDA version that the driver runs, where it says."""
    amd: bool = False


class TorchBuild(NamedTuple):
    """A choice: pip argument lists to try in order, and the reason to tell the user."""

    kind: str
    attempts: tuple[tuple[str, ...], ...]
    reason: str
    advice: str = ""
    """What to do when every attempt fails."""


def choose_torch(requirement: str, wish: str, machine: Machine, given: str = "") -> TorchBuild:
    """The build for a machine.

    Parameters
    ----------
    requirement:
        The pin, ``torch==VERSION``.
    wish:
        ``auto``, ``cpu`` or ``cuda``.
    given:
        pip arguments from the user; they win over everything.
    """
    if given:
        return TorchBuild("given", (tuple(given.split()),), f"{GIVEN} names it")
    if machine.system == "Darwin":
        return TorchBuild("mps", ((requirement,),), "macOS: the only build, with Metal")
    if wish == "cuda" or (wish == "auto" and machine.nvidia):
        return _cuda(requirement, wish, machine)
    return _cpu(requirement, wish, machine)


def _cuda(requirement: str, wish: str, machine: Machine) -> TorchBuild:
    reason = f"NVIDIA GPU ({machine.nvidia})" if machine.nvidia else "asked for with --gpu"
    runs = machine.driver_cuda
    old_driver = runs is not None and runs < (13, 0)
    if runs is not None:
        reason += f"; its driver runs CUDA {runs[0]}.{runs[1]}"
    indexes = ("cu126", "cu130") if old_driver else ("cu130", "cu126")
    from_pytorch = tuple(
        (f"{requirement}+{name}", "--index-url", f"{PYTORCH_INDEX}/{name}", "--no-deps") for name in indexes
    )
    # Linux: the general index carries the CUDA 13 build. Windows: only PyTorch's own has CUDA ones.
    plain = ((requirement,),)
    attempts = plain + from_pytorch if machine.system == "Linux" and not old_driver else from_pytorch
    return TorchBuild("cuda", attempts, reason, "A CPU build also works, slowly: add --cpu.")


def _cpu(requirement: str, wish: str, machine: Machine) -> TorchBuild:
    reason = "asked for with --cpu" if wish == "cpu" else "no NVIDIA GPU seen"
    if machine.amd and wish != "cpu":
        reason += f"; for an AMD GPU name a ROCm build in {GIVEN}"
    if machine.system == "Windows":
        return TorchBuild("cpu", ((requirement,),), reason)
    cpu = f"{requirement}+cpu"
    attempts = (
        (cpu, "--no-index", "--no-deps"),  # a wheel in a folder that pip is configured to look in
        (cpu, "--index-url", f"{PYTORCH_INDEX}/cpu", "--no-deps"),
    )
    advice = "Or take the CUDA build, a download of some gigabytes that also runs without a GPU: add --gpu."
    return TorchBuild("cpu", attempts, reason, advice)


def look_at_machine(environ: Mapping[str, str] = os.environ) -> Machine:
    """See what GPU there is, without loading any driver library into this process."""
    if environ.get("CUDA_VISIBLE_DEVICES", None) in ("", "-1"):
        return Machine(platform.system())
    nvidia, cuda = "", None
    tool = shutil.which("nvidia-smi") or _windows_tool()
    if tool:
        name, cuda = _ask(tool)
        nvidia = name
    if not nvidia and any(Path("/proc/driver/nvidia/gpus").glob("*")):
        nvidia = "its driver is loaded"
    return Machine(platform.system(), nvidia, cuda, Path("/dev/kfd").exists())


def _windows_tool() -> str | None:
    tool = Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32" / "nvidia-smi.exe"
    return str(tool) if sys.platform == "win32" and tool.exists() else None


def _ask(tool: str) -> tuple[str, tuple[int, int] | None]:
    """The first GPU's name and the driver's CUDA version; ``nvidia-smi`` is also there without a GPU."""
    try:
        listed = subprocess.run(
            [tool, "-L"], capture_output=True, text=True, timeout=20, check=False, **start_options()
        )
        table = subprocess.run(
            [tool], capture_output=True, text=True, timeout=20, check=False, **start_options()
        )
    except (OSError, subprocess.TimeoutExpired):
        return "", None
    name = re.search(r"GPU \d+: (.*?) \(UUID", listed.stdout)
    version = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", table.stdout)
    if listed.returncode != 0 or name is None:
        return "", None
    return name[1], (int(version[1]), int(version[2])) if version else None
