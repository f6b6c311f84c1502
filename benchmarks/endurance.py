"""`run.py bench endurance`: the child that stays, killed at random moments, and its memory over many jobs."""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from lib_copier import edge
from lib_copier.engines.embedded import EmbeddedEngine, module_command
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import Outcome
from lib_copier.engines.task import Command
from lib_copier.engines.workers import Workers
from lib_copier.errors import ChildError, CopierError
from lib_copier.files.disk import write_json
from lib_copier.recipe.model import Edit, Origin, Recipe, parse_effects, settings_of
from lib_copier.settings.option import Value
from lib_copier.settings.training import Picture, TrainTask
from lib_copier.steps.project import Project

_LOOKS = (10, 50, 100)
_CHAIN: Mapping[str, Value] = {
    # What is published is called by it, and else by its folder.
    "project.name": "chain",
    "project.device": "cpu",
    "copier.steps": 12,
    "copier.state_every": 2,
    "edit_lora.steps": 8,
    "edit_lora.state_every": 2,
    "copier.rank": 2,
    "edit_lora.rank": 2,
    "resize.rank": 1,
    "copier.find_rate": False,
    "edit_lora.find_rate": False,
    "copier.copied_psnr": None,
    "check.enabled": False,
    "edit.check_vae": False,
    "sweep.enabled": False,
    "calibrate.gain": 1.0,
}
"""Origin, copier, edit, edit LoRA, difference, rank, publication, and nothing that random weights miss."""


def main(argv: Sequence[str]) -> int:
    """Print a line for each, and write the figures where ``--json`` says; 3 where a promise is broken."""
    asked = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench ") as scratch:
        checkpoint = _checkpoint(Path(scratch))
        found = {
            "kills": killed(Path(scratch), checkpoint, asked.kills, asked.seed),
            "jobs": repeated(Path(scratch), checkpoint, asked.jobs),
        }
    for name, figures in found.items():
        print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items()))
    if asked.json is not None:
        write_json(asked.json, found)
    if found["kills"]["other_bytes"] or found["kills"]["orphans"]:
        raise CopierError("A kill was felt.", "Run it again with this seed.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench endurance", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _checkpoint(folder: Path) -> Path:
    from lib_copier.model_file.families import SD1
    from lib_copier.models.tiny import random_checkpoint

    path = folder / "tiny.safetensors"
    random_checkpoint(path, SD1)
    return path


class _Marked(Workers):
    """Notes the process that does the job under way, and when it has said something."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = 0
        self.was_heard = threading.Event()

    def run(self, command: Command, watch: Watch) -> Outcome:
        def note(pid: int) -> None:
            self.pid = pid
            watch.on_started(pid)

        def hear(event: dict[str, Any]) -> None:
            self.was_heard.set()
            watch.on_event(event)

        return super().run(command, replace(watch, on_started=note, on_event=hear))


def killed(scratch: Path, checkpoint: Path, kills: int, seed: int) -> dict[str, Any]:
    """Make a slider again and again while its child is killed; every one must come out the same."""
    origin = Origin("one", settings_of({"prompt": "a cat", "width": 64, "height": 64, "steps": 2}))
    recipe = Recipe((origin,), (Edit("contrast", parse_effects("contrast")),))
    recipe = recipe.with_settings({"project.checkpoint": str(checkpoint), **_CHAIN})
    chance, left, chains, others = random.Random(seed), kills, 0, 0
    before, workers = _children(), _Marked()
    with workers:
        for name in ("whole", "again"):
            # The second one's worker has everything at hand: its time is that of the work.
            began = time.monotonic()
            whole = Project.create(scratch / name, recipe)
            whole.run(workers=workers)
            span = time.monotonic() - began
        wanted = _digests(whole.folder)
        while left > 0:
            project = Project.create(scratch / f"chain-{chains}", recipe)
            left -= _made_under_kills(project, workers, chance, span, left)
            others += _digests(project.folder) != wanted
            chains += 1
    orphans = len(_children() - before)
    return {"kills": kills, "chains": chains, "other_bytes": others, "orphans": orphans}


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def _made_under_kills(
    project: Project, workers: _Marked, chance: random.Random, span: float, most: int
) -> int:
    """Run a project to its end; how often its child was killed on the way."""
    count = 0
    while True:
        is_over = threading.Event()
        workers.was_heard.clear()
        # One in five may meet a worker that is still starting.
        is_working = chance.random() < 0.8
        delay = chance.uniform(0.0, span) if count < most else float("inf")
        killer = threading.Thread(target=_kill_later, args=(workers, is_over, delay, is_working))
        killer.start()
        try:
            project.run(workers=workers)
            return count
        except ChildError as error:
            if error.returncode != -9:
                raise
            count += 1
        finally:
            is_over.set()
            killer.join()


def _kill_later(workers: _Marked, is_over: threading.Event, delay: float, is_working: bool) -> None:
    while is_working and not workers.was_heard.wait(0.05):
        if is_over.is_set():
            return
    end = time.monotonic() + delay
    while time.monotonic() < end:
        if is_over.wait(0.01):
            return
    with suppress(psutil.Error, ValueError):
        psutil.Process(workers.pid).kill()


def _digests(folder: Path) -> list[str]:
    """Of all pictures and LoRAs that a project holds."""
    files = [path for path in (folder / "artifacts").rglob("*") if path.suffix in {".png", ".safetensors"}]
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def repeated(scratch: Path, checkpoint: Path, jobs: int) -> dict[str, Any]:
    """Print and train in turns; what the worker holds (MiB) after so many jobs."""
    found: dict[str, Any] = {"jobs": jobs}
    picture = scratch / "picture.png"
    small = ("--width", "64", "--height", "64", "--steps", "2", "--device", "cpu")
    workers = _Marked()
    with workers:
        for number in range(1, jobs + 1):
            words = ("--checkpoint", str(checkpoint), "--prompt", f"a {number}", *small)
            command = module_command("generate", *words, "--out", str(picture))
            if number % 2 == 0:
                command = _training(checkpoint, picture, scratch / "job")
            workers.run(command, Watch(scratch / "log.txt"))
            if number in _LOOKS:
                held = psutil.Process(workers.pid).memory_info().rss
                found[f"mib_after_{number}"] = round(held / 2**20, 1)
        found["process_starts"] = workers.starts
    return found


def _training(checkpoint: Path, picture: Path, work: Path) -> Command:
    task = TrainTask(
        checkpoint,
        work.with_suffix(".safetensors"),
        (Picture(picture, "cat"),),
        rank=2,
        alpha=2.0,
        steps=2,
        device="cpu",
    )
    return EmbeddedEngine().command(task, work)


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
