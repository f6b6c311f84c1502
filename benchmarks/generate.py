"""`run.py bench generate`: start-up to the first picture, seconds a picture, peak memory of the worker."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.measured import PeakMemory
from lib_copier import edge
from lib_copier.engines.embedded import module_command
from lib_copier.engines.listening import Watch
from lib_copier.engines.workers import Workers

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
    """Seconds are wall time; memory is the worker's peak."""

    first_picture_s: float
    one_picture_s: float
    batch: int
    batch_s: float
    slider_s: float
    peak_gib: float

    def line(self, case: Case) -> str:
        return (
            f"{case.name:<6} {case.side} px, {case.steps} steps: "
            f"first picture after {self.first_picture_s:.1f} s, then {self.one_picture_s:.2f} s; "
            f"{self.batch} at once {self.batch_s:.2f} s ({self.batch / self.batch_s:.2f} a second); "
            f"{len(WEIGHTS)} weights of a LoRA {self.slider_s:.2f} s; "
            f"peak {self.peak_gib:.2f} GiB"
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


class _Printer:
    """Has one worker print pictures of a case; seconds are measured on this side of its pipe."""

    def __init__(self, case: Case, device: str, precision: str, scratch: Path) -> None:
        self._model = ["--checkpoint", str(case.checkpoint), "--device", device, "--precision", precision]
        self._scratch = scratch
        self._workers = Workers()

    def __enter__(self) -> _Printer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.close()

    def seconds(self, requests: list[dict[str, Any]]) -> float:
        """What it takes to print these."""
        paths = [str(self._scratch / f"{number}.png") for number in range(len(requests))]
        told = self._scratch / "requests.json"
        told.write_text(json.dumps({"requests": requests, "paths": paths}), encoding="utf-8")
        command = module_command("generate", *self._model, "--requests", str(told))
        started = time.perf_counter()
        self._workers.run(command, Watch(self._scratch / "log.txt"))
        return time.perf_counter() - started


def _measure(case: Case, device: str, precision: str, scratch: Path) -> Figures:
    base = {
        "prompt": "a red circle, outline",
        "width": case.side,
        "height": case.side,
        "steps": case.steps,
        "sampler": "Euler a",
    }
    memory = PeakMemory()
    with memory, _Printer(case, device, precision, scratch) as printer:
        first = printer.seconds([base])
        one = printer.seconds([{**base, "seed": 1}])
        batch = printer.seconds([{**base, "seed": seed} for seed in range(case.batch)])
        slider = printer.seconds([{**base, "loras": [f"{case.lora}:{weight}"]} for weight in WEIGHTS])
    return Figures(
        round(first, 2),
        round(one, 3),
        case.batch,
        round(batch, 3),
        round(slider, 3),
        round(memory.peak / 2**30, 3),
    )


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
