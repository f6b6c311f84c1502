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


@dataclass(frozen=True)
class WeightedLora:
    """A LoRA file and the weight it acts with."""

    path: Path
    weight: float = 1.0


@dataclass(frozen=True)
class Picture:
    """A training picture; `caption` is comma-separated tags, `mask` a soft loss mask (white = learn).

    `origin` is the same picture before its edit: with it, only how the model must change from printing
    the one to printing the other is learned.
    """

    path: Path
    caption: str = ""
    mask: Path | None = None
    origin: Path | None = None


@dataclass(frozen=True)
class TrainTask:
    """Train one LoRA. Defaults are the memo's numbers (method A, step 2)."""

    checkpoint: Path
    output: Path
    pictures: tuple[Picture, ...]
    vae: Path | None = None
    prediction: str = "auto"
    """``auto``, ``epsilon`` or ``v_prediction``."""
    base_loras: tuple[WeightedLora, ...] = ()
    """Baked into the checkpoint in memory before training: the copier model without a file."""
    rank: int = 64
    alpha: float = 32.0
    conv_rank: int | None = None
    conv_alpha: float | None = None
    train_text_encoder: bool = True
    layers: tuple[str, ...] = ()
    """Regular expressions on kohya layer names; only layers that match one are trained. Empty: all."""
    optimizer: str = "adamw"
    optimizer_args: tuple[tuple[str, str], ...] = ()
    learning_rate: float = 1e-4
    text_encoder_lr: float | None = None
    lr_scheduler: str = "constant"
    """``constant``, ``cosine`` or ``linear``; warm-up comes from `warmup_steps`."""
    warmup_steps: int = 500
    steps: int = 3072
    batch_size: int = 1
    """Time steps (noised copies of the picture) a step."""
    timestep_min: int = 0
    timestep_max: int = 1000
    timestep_sampling: str = "uniform"
    """``uniform``, or ``stratified``: spread evenly over a batch and over successive steps."""
    min_snr_gamma: float | None = None
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm; 0: never."""
    shuffle_caption: bool = True
    keep_tokens: int = 0
    other_prompts: tuple[str, ...] = ()
    other_prompt_share: float = 0.0
    """Share (0 … 1) of the noised copies that are learned with one of `other_prompts` in place of the
    caption: what is learned then hangs on the picture, not on its caption."""
    clip_skip: int = 1
    gradient_checkpointing: bool = False
    precision: str = "auto"
    """``auto``, ``fp32``, ``bf16`` or ``fp16``."""
    save_precision: str = "fp16"
    device: str = "auto"
    seed: int = 0
    sample_every: int = 0
    sample_prompts: tuple[str, ...] = ()
    state_every: int = 0
    copied_psnr: float | None = None
    """Stop early once the model prints the picture at this similarity (dB). None: never."""
    copied_every: int = 100
    metadata: tuple[tuple[str, str], ...] = ()
    """Further entries for the LoRA's metadata."""


@dataclass(frozen=True)
class MergeTask:
    """Weighted sum of LoRAs: one LoRA or, with `checkpoint`, that checkpoint with the sum added."""

    loras: tuple[WeightedLora, ...]
    output: Path
    checkpoint: Path | None = None
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
