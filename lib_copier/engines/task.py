"""What an engine can be asked to do: frozen tasks, the same for every engine.

A step of the method builds a task; `engines.embedded` and `engines.sd_scripts` each turn it into one
command. All paths are absolute. Tasks hold no engine-specific words: an engine that cannot do what a
task asks says so (`Engine.refusals`) before anything starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lib_copier.settings.training import TrainTask, WeightedLora


@dataclass(frozen=True)
class MergeTask:
    """Weighted sum of LoRAs: one LoRA or, with `checkpoint`, that checkpoint with the sum added."""

    loras: tuple[WeightedLora, ...]
    output: Path
    checkpoint: Path | None = None
    prediction: str = "auto"
    """As in `TrainTask`: of the checkpoint, whose merged file then tells it."""
    precision: str = "float"
    save_precision: str = "fp16"
    device: str = "cpu"


@dataclass(frozen=True)
class SvdMergeTask:
    """Best rank-`new_rank` approximation of a weighted sum of LoRAs."""

    loras: tuple[WeightedLora, ...]
    output: Path
    new_rank: int = 8
    new_conv_rank: int | None = None
    precision: str = "float"
    save_precision: str = "fp16"
    device: str = "cpu"


@dataclass(frozen=True)
class ResizeTask:
    """Lower the rank of one LoRA: to `new_rank`, or by a dynamic method up to it."""

    lora: Path
    output: Path
    new_rank: int = 8
    new_conv_rank: int | None = None
    dynamic_method: str | None = None
    dynamic_param: float | None = None
    save_precision: str = "fp16"
    device: str = "cpu"


@dataclass(frozen=True)
class ExtractTask:
    """A LoRA from the difference tuned − original of two checkpoints."""

    original: Path
    tuned: Path
    output: Path
    rank: int = 64
    conv_rank: int | None = None
    min_diff: float = 0.01
    save_precision: str = "fp16"
    device: str = "cpu"


@dataclass(frozen=True)
class TagTask:
    """Caption one picture with a WD14 tagger; the caption lands in `output` (one line of tags)."""

    picture: Path
    output: Path
    model: str = "SmilingWolf/wd-v1-4-convnext-tagger-v2"
    """A hub name, or a local folder with the model's ONNX file and tag list."""
    threshold: float = 0.35


Task = TrainTask | MergeTask | SvdMergeTask | ResizeTask | ExtractTask | TagTask


@dataclass(frozen=True)
class Command:
    """One child process: arguments, where it runs, and what it needs in its environment."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: tuple[tuple[str, str], ...] = ()
    """Added to the parent's environment."""
    job: tuple[str, ...] | None = None
    """The same for a worker: its part (``train``) and arguments; None: only a process of its own does it."""
    files: tuple[tuple[Path, str], ...] = ()
    """Text files to write before the start (dataset descriptions, configurations)."""
    copies: tuple[tuple[Path, Path], ...] = ()
    """Files to copy before the start, as (source, destination): the pictures of a dataset folder."""
    moves: tuple[tuple[Path, Path], ...] = ()
    """Files to move once the child has ended well, as (made, wanted)."""
    metadata: tuple[tuple[str, str], ...] = ()
    """Entries to add to the last wanted file's header, where the program itself cannot write them."""
    bar: str = ""
    """Which progress bar counts this command's own work, by its label, where a program draws several."""
    steps_before: int = 0
    """Steps that were done before: a program that goes on from a state counts its bar from there."""
    notes: tuple[str, ...] = ()
    """What is done otherwise than was asked, a sentence each, told as the command starts."""
    samples: Path | None = None
    """Folder in which new pictures appear underway, where the program does not report them itself."""


class Engine(Protocol):
    """What every engine offers to the steps."""

    name: str

    def refusals(self, task: Task) -> Sequence[str]:
        """Why this engine cannot do the task, a sentence each; empty where it can."""
        ...

    def command(self, task: Task, work_dir: Path) -> Command:
        """The command that does the task; scratch files belong under `work_dir`."""
        ...

    def version(self) -> str:
        """What goes into a step's key beside the engine's name: results may change with it."""
        ...
