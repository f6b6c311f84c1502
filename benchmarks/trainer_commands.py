"""Trainers as whole commands: ours and sd-scripts' run as child processes, timed by what they print."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_copier.errors import ChildError, InputError

_ROOT = Path(__file__).resolve().parents[1]
_TQDM_STEP = re.compile(r"steps:.*?\|\s*(\d+)/\d+")
_SAVE_PRECISION = "fp16"


@dataclass(frozen=True)
class Measured:
    """A command's times, in seconds from its start, and its memory in MiB."""

    first_step: float
    s_per_step: float
    total: float
    host_memory: float | None
    device_memory: float | None = None

    def shown(self) -> dict[str, float | None]:
        """As figures for the table, rounded."""
        return {
            "start_to_first_step_s": round(self.first_step, 2),
            "s_per_step": round(self.s_per_step, 4),
            "whole_command_s": round(self.total, 2),
            "peak_host_mib": self.host_memory,
            "peak_device_mib": self.device_memory,
        }


def measure_ours(values: dict[str, Any], folder: Path, size: int) -> Measured:
    """``python -m lib_copier.train`` on a configuration."""
    config = folder / f"config{size}.json"
    config.write_text(json.dumps(values), encoding="utf-8")
    device_memory = None

    def step_of(line: str) -> int | None:
        nonlocal device_memory
        event = json.loads(line) if line.startswith("{") else {}
        device_memory = event.get("peak_device_mib", device_memory)
        return event.get("step") if event.get("event") == "progress" else None

    argv = [sys.executable, "-m", "lib_copier.train", str(config)]
    found = _watch(argv, step_of, cwd=_ROOT)
    return Measured(found.first_step, found.s_per_step, found.total, found.host_memory, device_memory)


def measure_sd_scripts(
    folder: Path,
    python: Path | None,
    tokenizers: Path | None,
    values: dict[str, Any],
    scratch: Path,
    size: int,
    *,
    is_sdxl: bool,
) -> Measured:
    """sd-scripts' trainer on the same picture with the same settings."""
    script = folder / ("sdxl_train_network.py" if is_sdxl else "train_network.py")
    if not script.is_file():
        raise InputError(f"{script} is not there.", "Give the folder of an sd-scripts checkout.")
    argv = [str(python or sys.executable), str(script)]
    argv += sd_scripts_arguments(values, _data_set(values, scratch, size), scratch)
    if tokenizers is not None:
        argv += ["--tokenizer_cache_dir", str(tokenizers)]

    def step_of(line: str) -> int | None:
        found = _TQDM_STEP.search(line)
        return int(found[1]) if found else None

    environment = {"PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"}
    return _watch(argv, step_of, cwd=folder, environment=environment)


def sd_scripts_arguments(values: dict[str, Any], data_set: Path, scratch: Path) -> list[str]:
    """Our configuration in sd-scripts' words."""
    on_cuda = values["device"] == "cuda"
    precision = {"auto": "bf16" if on_cuda else "no", "fp32": "no"}.get(
        values["precision"], values["precision"]
    )
    named = {
        "pretrained_model_name_or_path": values["checkpoint"],
        "dataset_config": data_set,
        "output_dir": scratch / "sd-scripts-out",
        "output_name": "lora",
        "save_model_as": "safetensors",
        "network_module": "networks.lora",
        "network_dim": values["rank"],
        "network_alpha": values["alpha"],
        "learning_rate": 1e-4,
        "optimizer_type": "AdamW",
        "lr_scheduler": "constant",
        "max_train_steps": values["steps"],
        "max_data_loader_n_workers": 0,
        "mixed_precision": precision,
        "save_precision": _SAVE_PRECISION,
        "seed": 42,
    }
    argv = [part for name, value in named.items() for part in (f"--{name}", str(value))]
    argv.append("--cache_latents")
    flags = {
        "--network_train_unet_only": not values["train_text_encoder"],
        "--gradient_checkpointing": values["gradient_checkpointing"],
        "--sdpa": on_cuda,
    }
    return argv + [flag for flag, is_set in flags.items() if is_set]


def _data_set(values: dict[str, Any], scratch: Path, size: int) -> Path:
    """The picture's folder as sd-scripts wants it described."""
    path = scratch / f"data{size}.toml"
    folder = Path(values["pictures"][0]["path"]).parent
    path.write_text(
        f'[general]\ncaption_extension = ".txt"\nshuffle_caption = false\n[[datasets]]\nresolution = {size}\n'
        f"batch_size = {values['batch_size']}\n[[datasets.subsets]]\nimage_dir = '{folder.as_posix()}'\n"
        f"num_repeats = {values['steps'] * values['batch_size']}\n",
        encoding="utf-8",
    )
    return path


@contextlib.contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """Programs that each keep one core busy for as long as the block runs."""
    children = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def _watch(
    argv: Sequence[str], step_of: Any, *, cwd: Path, environment: dict[str, str] | None = None
) -> Measured:
    """Run a command and note when each of its lines names a step."""
    began = time.monotonic()
    child = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    seen: list[tuple[int, float]] = []
    lines: list[str] = []
    # Universal newlines: tqdm ends its lines with carriage returns.
    for line in child.stdout or ():
        lines = [*lines[-20:], line.rstrip()]
        step = step_of(line)
        if step:
            seen.append((step, time.monotonic() - began))
    host_memory = None
    if hasattr(os, "wait4"):
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        host_memory = round(usage.ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10)))
    if child.wait() != 0 or not seen:
        raise ChildError(
            f"{Path(argv[1]).name} failed with exit code {child.returncode}.",
            "\n".join(lines),
            argv=argv,
            returncode=child.returncode,
            last_lines=lines,
        )
    (first, at_first), (last, at_last) = seen[0], seen[-1]
    s_per_step = (at_last - at_first) / max(1, last - first)
    return Measured(at_first, s_per_step, time.monotonic() - began, host_memory)
