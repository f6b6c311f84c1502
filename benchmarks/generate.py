"""`run.py bench generate`: start-up to the first picture, seconds a picture, peak memory of the worker."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from lib_copier import edge
from lib_copier.border import events
from lib_copier.errors import ChildError

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo" / "copier-demo.safetensors"
WEIGHTS = (-1.0, -0.5, 0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Case:
    """What is measured: a checkpoint at one size."""

    name: str
    checkpoint: Path
    lora: Path
    side: int
    steps: int
    batch: int


def main(argv: Sequence[str]) -> int:
    """Measure, print a line for each case, and write the figures where ``--json`` says."""
    asked = _parser().parse_args(argv)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench ") as scratch:
        for case in _cases(asked, Path(scratch)):
            figures = _measure(case, asked.device, asked.precision, Path(scratch))
            found[case.name] = {"side": case.side, "steps": case.steps, **asdict(figures)}
            print(figures.line(case), flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


@dataclass(frozen=True)
class Figures:
    """Seconds are wall time; memory is the worker's peak, on the GPU what torch had allocated."""

    first_picture_s: float
    one_picture_s: float
    batch: int
    batch_s: float
    slider_s: float
    peak_gib: float
    peak_gpu_gib: float

    def line(self, case: Case) -> str:
        return (
            f"{case.name:<6} {case.side} px, {case.steps} steps: "
            f"first picture after {self.first_picture_s:.1f} s, then {self.one_picture_s:.2f} s; "
            f"{self.batch} at once {self.batch_s:.2f} s ({self.batch / self.batch_s:.2f} a second); "
            f"{len(WEIGHTS)} weights of a LoRA {self.slider_s:.2f} s; "
            f"peak {self.peak_gib:.2f} GiB, GPU {self.peak_gpu_gib:.2f} GiB"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench generate", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--demo-only", action="store_true", help="leave the SD1.5-size model out")
    parser.add_argument("--side", type=int, help="pixels, for the SD1.5 size (CPU: 256, GPU: 512)")
    parser.add_argument("--steps", type=int, help="for the SD1.5 size (CPU: 4, GPU: 20)")
    return parser


def _cases(asked: argparse.Namespace, scratch: Path) -> list[Case]:
    """The demo checkpoint, and random weights of SD1.5's size, each with a random LoRA."""
    import torch

    from lib_copier.model_file.families import SD1
    from lib_copier.models.tiny import random_checkpoint

    is_gpu = torch.cuda.is_available() and asked.device != "cpu"
    cases = []
    if DEMO.is_file():
        cases.append(Case("demo", DEMO, _lora(DEMO, scratch / "demo-lora.safetensors"), 128, 20, 16))
    if not asked.demo_only:
        path = random_checkpoint(scratch / "sd15.safetensors", SD1, real_size=True)
        side, steps = asked.side or (512 if is_gpu else 256), asked.steps or (20 if is_gpu else 4)
        cases.append(Case("sd15", path, _lora(path, scratch / "sd15-lora.safetensors"), side, steps, 4))
    return cases


def _lora(checkpoint: Path, path: Path) -> Path:
    import torch

    from lib_copier.lora.file import write_lora
    from lib_copier.models.checkpoint import load_checkpoint
    from lib_copier.models.tiny import random_lora

    loaded = load_checkpoint(checkpoint, parts=("unet", "text"), dtype=torch.bfloat16)
    write_lora(random_lora(loaded, rank=8), path, "fp16", {})
    return path


class _Worker:
    """The generator's worker process and its answers."""

    def __init__(self, device: str, precision: str) -> None:
        command = [sys.executable, "-m", "lib_copier.generate", "--worker"]
        command += ["--device", device, "--precision", precision]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __enter__(self) -> _Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, **task: Any) -> dict[str, Any]:
        """Send a task and wait for its end; seconds are measured on this side of the pipe."""
        assert self._process.stdin is not None and self._process.stdout is not None
        started = time.perf_counter()
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            event = events.parse(line) or {}
            if event.get("event") == "error":
                raise ChildError(event["what"], event["advice"])
            if event.get("event") == "done":
                return {**event, "seconds": time.perf_counter() - started}
        raise ChildError("The worker ended early.", "Run `python run.py generate --worker` to see why.")


def _measure(case: Case, device: str, precision: str, scratch: Path) -> Figures:
    base = {
        "prompt": "a red circle, outline",
        "width": case.side,
        "height": case.side,
        "steps": case.steps,
        "sampler": "Euler a",
    }

    def task(requests: list[dict[str, Any]]) -> dict[str, Any]:
        paths = [str(scratch / f"{number}.png") for number in range(len(requests))]
        return {"do": "generate", "requests": requests, "paths": paths}

    started = time.perf_counter()
    with _Worker(device, precision) as worker:
        worker.ask(do="load", checkpoint=str(case.checkpoint))
        worker.ask(**task([base]))
        first = time.perf_counter() - started
        one = worker.ask(**task([{**base, "seed": 1}]))["seconds"]
        batch = worker.ask(**task([{**base, "seed": seed} for seed in range(case.batch)]))["seconds"]
        slider = [{**base, "loras": [f"{case.lora}:{weight}"]} for weight in WEIGHTS]
        # Once before, so that reading the LoRA is not counted: a slider asks for the same file again.
        worker.ask(**task(slider[:1]))
        weights = worker.ask(**task(slider))["seconds"]
        peaks = worker.ask(do="ping")
    return Figures(
        round(first, 2),
        round(one, 3),
        case.batch,
        round(batch, 3),
        round(weights, 3),
        round(peaks["peak_bytes"] / 2**30, 3),
        round(peaks["peak_gpu_bytes"] / 2**30, 3),
    )


if __name__ == "__main__":
    sys.exit(edge.guard(main, sys.argv[1:]))
