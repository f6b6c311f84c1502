"""One job of every kind on tiny models, and what it leaves, without the time of day."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_copier.engines.embedded import EmbeddedEngine, job_command, module_command
from lib_copier.engines.task import Command, ExtractTask, MergeTask, ResizeTask, SvdMergeTask
from lib_copier.lora.file import write_lora
from lib_copier.model_file.families import SD1
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.tiny import TINY, random_checkpoint, random_lora
from lib_copier.settings.training import Picture, TrainTask, WeightedLora
from lib_copier.steps.records import forget_time

SIZE = dataclasses.replace(TINY["sd1"], channels=(32, 64), depths=(1, 0))


@dataclasses.dataclass(frozen=True)
class Given:
    """What the jobs read."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "model.safetensors"

    def lora(self, number: int) -> Path:
        return self.folder / f"lora-{number}.safetensors"

    def picture(self, name: str) -> Path:
        return self.folder / f"{name}.png"


@pytest.fixture(scope="session")
def given(tmp_path_factory) -> Given:
    found = Given(tmp_path_factory.mktemp("given"))
    random_checkpoint(found.checkpoint, SD1, size=SIZE)
    loaded = load_checkpoint(found.checkpoint)
    for number in (1, 2):
        write_lora(random_lora(loaded, seed=number), found.lora(number), "float", {})
    x, y = np.meshgrid(np.linspace(0, 3, 64), np.linspace(0, 3, 64))
    shades = np.stack([127 + 120 * np.sin(x * 2 + channel) * np.cos(y + 1) for channel in range(3)], axis=-1)
    Image.fromarray(shades.astype(np.uint8)).save(found.picture("origin"))
    Image.fromarray((shades * 0.5).astype(np.uint8)).save(found.picture("edited"))
    return found


def train(given: Given, out: Path) -> Command:
    picture = Picture(given.picture("edited"), "cat, red hat", None, given.picture("origin"))
    task = TrainTask(
        given.checkpoint,
        out / "lora.safetensors",
        (picture,),
        base_loras=(WeightedLora(given.lora(1), 0.7),),
        rank=2,
        alpha=2.0,
        steps=3,
        train_text_encoder=False,
        copied_psnr=90.0,
        copied_every=3,
        unseen_prompts=("a dog",),
        device="cpu",
    )
    return EmbeddedEngine().command(task, out / "work")


def train_text(given: Given, out: Path) -> Command:
    task = TrainTask(
        given.checkpoint,
        out / "lora.safetensors",
        (Picture(given.picture("origin"), "cat"),),
        base_loras=(WeightedLora(given.lora(2), 1.0),),
        rank=2,
        alpha=2.0,
        steps=2,
        train_text_encoder=True,
        gradient_checkpointing=True,
        device="cpu",
    )
    return EmbeddedEngine().command(task, out / "work")


def generate(given: Given, out: Path) -> Command:
    size = ["--width", "64", "--height", "64", "--steps", "2"]
    lora = ["--lora", f"{given.lora(1)}:0.5"]
    words = ["--prompt", "a cat", "--seed", "3", "4", "--device", "cpu", "--out", str(out / "picture.png")]
    return module_command("generate", "--checkpoint", str(given.checkpoint), *lora, *size, *words)


def measured(job: str, **entries: object) -> Callable[[Given, Path], Command]:
    def command(given: Given, out: Path) -> Command:
        pictures = {name: str(given.picture(name)) for name in ("origin", "edited")}
        sampling = {"width": 64, "height": 64, "steps": 2}
        told = {
            "job": job,
            "checkpoint": str(given.checkpoint),
            "device": "cpu",
            "output": str(out),
            "prompts": [{"prompt": "a dog", "seed": 1}, {"prompt": "", "seed": 2}],
            "sampling": sampling,
            "base_loras": [{"path": str(given.lora(1)), "weight": 0.5}],
            **pictures,
            "lora": str(given.lora(2)),
            "weights": [-1, 0, 1],
            "chain": [{"name": "contrast", "strength": 1.0, "params": {}}],
            "pairs": [pictures],
            **entries,
        }
        return job_command("measure", told, out / "job.json")

    return command


def rule(given: Given, out: Path) -> Command:
    one = {name: str(given.picture(name)) for name in ("origin", "edited")}
    job = {"job": "rule", "pairs": [one, one], "output": str(out)}
    return job_command("measure", job, out / "job.json")


def image(given: Given, out: Path) -> Command:
    chain = [{"name": "outline", "strength": 1.0, "params": {}}]
    job = {"job": "edit", "picture": str(given.picture("origin")), "chain": chain}
    files = {name: str(out / f"{name}.png") for name in ("output", "heat", "mask")}
    return job_command("image", job | files, out / "job.json")


def algebra(task: Callable[[Given, Path], object]) -> Callable[[Given, Path], Command]:
    def command(given: Given, out: Path) -> Command:
        return EmbeddedEngine().command(task(given, out / "made.safetensors"), out / "work")  # type: ignore[arg-type]

    return command


def both(given: Given) -> tuple[WeightedLora, ...]:
    return (WeightedLora(given.lora(1), 1.0), WeightedLora(given.lora(2), -1.0))


JOBS: dict[str, Callable[[Given, Path], Command]] = {
    "edit": image,
    "merge": algebra(lambda given, made: MergeTask(both(given), made)),
    "generate": generate,
    "train": train,
    "check": measured("copier-check"),
    "resize": algebra(lambda given, made: ResizeTask(given.lora(1), made, new_rank=1)),
    "survival": measured("vae-survival"),
    "rule": rule,
    "train text": train_text,
    "bake": algebra(lambda given, made: MergeTask(both(given), made, checkpoint=given.checkpoint)),
    "sweep": measured("sweep"),
    "svd": algebra(lambda given, made: SvdMergeTask(both(given), made, new_rank=1)),
    "extract": algebra(lambda given, made: ExtractTask(given.checkpoint, given.checkpoint, made, rank=1)),
}


def left(out: Path) -> dict[str, str]:
    """Digest of every file that a job left, but those that tell the time."""
    found = {}
    for path in sorted(out.rglob("*")):
        if not path.is_file() or path.name in {"log.txt", "job.json", "train.json", "metrics.jsonl"}:
            continue
        if path.suffix == ".safetensors":
            forget_time(path)
        content = path.read_bytes()
        if path.name == "result.json":
            content = json.dumps({**json.loads(content), "seconds": 0}).encode()
        found[str(path.relative_to(out))] = hashlib.sha256(content).hexdigest()
    return found
