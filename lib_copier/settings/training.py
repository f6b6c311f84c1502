"""The settings of one LoRA training, each once: for recipes, forms, checks, both engines and the trainer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lib_copier.model_file.checkpoint import PREDICTIONS
from lib_copier.settings.goals import CopierGoal
from lib_copier.settings.optimizers import OPTIMIZERS, optimizer_faults
from lib_copier.settings.option import Option
from lib_copier.txt2img.prompt import caption_of

UNSEEN = (
    "a red car on a street, photo",
    "two birds over the sea, night, oil painting",
    "a green bottle on a white table",
    "an empty room with a large window, morning light",
)
"""What looks print by default: a copier prints its picture for these as for any other text."""
BELOW_CEILING = CopierGoal.within_db - 3.0
"""dB below what the VAE can show of the picture: there training ends. The check draws other prints, and so
training wants a little more."""

_MOST_STEPS = 1_000_000


def setting(
    default: Any,
    label: str,
    help: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    choices: tuple[str, ...] = (),
    advanced: bool = True,
    is_cosmetic: bool = False,
) -> Any:
    """A field that people can set; the annotation gives the kind, and None in it makes it optional."""
    given = {key: value for key, value in locals().items() if key != "default"}
    return field(default=default, metadata={"option": given})


# fmt: off
@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What each training step of a recipe has. Defaults are the memo's numbers (method A, step 2)."""

    steps: int = setting(3072, "Steps", "At most; a copier may stop earlier.", 1, _MOST_STEPS, advanced=False)
    rank: int = setting(64, "Rank (dim)", "", 1, 1024, advanced=False)
    alpha: float = setting(32.0, "Alpha", "The LoRA acts with alpha / rank.", 0.01, 4096, advanced=False)
    learning_rate: float = setting(1e-4, "Learning rate", "", 1e-8, 10, advanced=False)
    find_rate: bool = setting(False, "Find the learning rate", "It is tried out first, around the one given, "
                              "and lowered where that helps; the best state seen is what is kept.",
                              advanced=False)
    batch_size: int = setting(1, "Batch size", "Noised copies learned from at once.", 1, 256,
                              advanced=False)
    train_text_encoder: bool = setting(True, "Train the text encoder", advanced=False)
    seed: int = setting(0, "Seed", "", 0, 2**32 - 1)
    conv_rank: int | None = setting(None, "Rank of 3×3 convolutions", "none: leave them alone.", 1, 1024)
    conv_alpha: float | None = setting(None, "Alpha of 3×3 convolutions", "none: 1, as in sd-scripts.",
                                       0.01, 4096)
    layers: tuple[str, ...] = setting((), "Only these layers", "Regular expressions on layer names; "
                                      "empty: all.")
    optimizer: str = setting("adamw", "Optimiser", "Others than AdamW and SGD need their package installed.",
                             choices=tuple(OPTIMIZERS))
    optimizer_args: tuple[str, ...] = setting((), "Optimiser arguments", "NAME=VALUE, one a line.")
    text_encoder_lr: float | None = setting(None, "Text encoder's learning rate", "none: the same.", 0, 10)
    lr_scheduler: str = setting("constant", "Schedule", choices=("constant", "cosine", "linear"))
    warmup_steps: int = setting(500, "Warm-up steps", "", 0, _MOST_STEPS)
    timestep_min: int = setting(0, "Lowest time step", "", 0, 999)
    timestep_max: int = setting(1000, "Highest time step", "", 1, 1000)
    timestep_sampling: str = setting("uniform", "Draw time steps", "stratified: evenly spread; importance: "
                                     "each by its share of the gradient, where gamma is low.",
                                     choices=("uniform", "stratified", "importance"))
    max_grad_norm: float = setting(1.0, "Largest gradient norm", "0: no limit.", 0, 1000)
    min_snr_gamma: float | None = setting(None, "Min-SNR gamma", "none: the plain loss. Along walks to drawn "
                                          "pictures half of the edit shows where the SNR is this.",
                                          0.001, 100)
    shuffle_caption: bool = setting(True, "Shuffle the caption's tags")
    keep_tokens: int = setting(0, "Keep tokens", "Leading tags that stay in place.", 0, 255)
    other_prompt_share: float = setting(0.0, "Share of other prompts",
                                        "Unrelated prompts in the caption's place: a copier then prints its "
                                        "picture for any prompt.", 0, 1)
    other_prompts: tuple[str, ...] = setting((), "Other prompts", "One a line, their words alone; empty: a "
                                             "list of everyday ones.")
    clip_skip: int = setting(1, "Clip skip", "", 1, 12)
    gradient_checkpointing: bool = setting(False, "Gradient checkpointing", "Less memory, slower.")
    precision: str = setting("auto", "Precision", choices=("auto", "fp32", "bf16", "fp16"))
    save_precision: str = setting("fp16", "Saved precision", choices=("fp16", "bf16", "float"))
    cuda_graph: str = setting("auto", "CUDA graph", "Steps recorded on the GPU: faster, the same numbers.",
                              choices=("auto", "on", "off"), is_cosmetic=True)
    sample_every: int = setting(0, "Sample every", "Steps between sample pictures; 0: none.", 0, _MOST_STEPS,
                                is_cosmetic=True)
    state_every: int = setting(200, "Save state every", "Steps; a broken run goes on there.", 0, _MOST_STEPS,
                               is_cosmetic=True)

    @property
    def own_conv_alpha(self) -> float:
        """The alpha of 3×3 convolutions: 1 where none is given, as `networks.lora` of sd-scripts has it."""
        return 1.0 if self.conv_alpha is None else self.conv_alpha

    @property
    def own_warmup(self) -> int:
        """Steps over which the learning rate rises: never more than there are."""
        return min(self.warmup_steps, self.steps)

    @property
    def own_other_prompts(self) -> tuple[str, ...]:
        """The other prompts as text encoders learn them: nothing in a training text acts."""
        return tuple(map(caption_of, self.other_prompts))

    def notes(self) -> Iterator[str]:
        """What is done otherwise than the settings say, a sentence each."""
        if self.other_prompt_share and self.own_other_prompts != self.other_prompts:
            yield "Weights, tags, BREAK and AND are left out of the other prompts."
        if self.own_warmup != self.warmup_steps:
            yield (
                f"The warm-up of {self.warmup_steps} steps is longer than the training: the learning rate "
                f"rises over all its {self.own_warmup} steps."
            )


@dataclass(frozen=True)
class WeightedLora:
    """A LoRA file and the weight it acts with."""

    path: Path
    weight: float = 1.0


@dataclass(frozen=True)
class Picture:
    """A training picture; `caption` is comma-separated tags, `mask` a soft loss mask (white = learn).

    `origin` is the same picture before its edit: with it, only how the model must change from printing
    the one to printing the other is learned. `walk` is how the model came to the origin (`models.walks`):
    it then learns at the very states through which it goes when it draws.
    """

    path: Path
    caption: str = ""
    mask: Path | None = None
    origin: Path | None = None
    walk: Path | None = None


@dataclass(frozen=True)
class Turn:
    """From `step` on, counted from 0, training goes at `rate`, beginning with the mean weights of the first
    `back_to` steps; of none: the LoRA as it was at the start."""

    step: int
    rate: float
    back_to: int


@dataclass(frozen=True)
class TrainTask(TrainSettings):
    """Train one LoRA: the settings, and what they are applied to."""

    checkpoint: Path
    output: Path
    pictures: tuple[Picture, ...]
    vae: Path | None = None
    prediction: str = setting("auto", "Prediction type", "What the checkpoint predicts.",
                              choices=("auto", *PREDICTIONS))
    base_loras: tuple[WeightedLora, ...] = ()
    """Baked into the checkpoint in memory before training: the copier model without a file."""
    device: str = setting("auto", "Device", "auto, cpu, cuda or cuda:N.", advanced=False, is_cosmetic=True)
    bucketed: bool = setting(False, "Buckets", "Larger pictures are scaled down to the checkpoint's "
                             "resolution; otherwise each keeps its size.")
    copied_psnr: float | None = setting(None, "Goal", "dB: done once unseen prompts print the origin this "
                                        "well, or as well as the VAE lets them; none: train all steps.",
                                        1, 100, advanced=False)
    copied_every: int = setting(25, "Look every", "Steps between looks at what is printed.", 1, _MOST_STEPS)
    unseen_prompts: tuple[str, ...] = setting((), "Prompts to look with", "One a line, none that is learned; "
                                              "empty: a set of ours.")
    look_cfg_scale: float = setting(7.0, "Guidance of looks", "", 0, 30)
    opposite: bool = setting(False, "Learn the opposite too", "At weight −1 the LoRA then takes the edit "
                             "away: half of each batch learns that; only of pictures with their origin.")
    stop_after: int | None = setting(None, "End after", "So many of the steps are done, at the rates of all "
                                     "of them; none: all.", 1, _MOST_STEPS)
    turns: tuple[Turn, ...] = ()
    """The way of a training that found its own rate, followed step by step; empty: none is followed."""
    keep_state: bool = setting(False, "Keep the state", "After the end too: a longer training goes on "
                               "from it.", is_cosmetic=True)
    sample_prompts: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    """Further entries for the LoRA's metadata."""

    def notes(self) -> Iterator[str]:
        """What is done otherwise than the settings say, a sentence each."""
        yield from super().notes()
        if self.is_steered and (self.lr_scheduler != "constant" or self.warmup_steps):
            yield "Schedule and warm-up are left out: a training to a goal moves its rate by what it sees."

    @property
    def own_sample_prompts(self) -> tuple[str, ...]:
        """The sample prompts as they are drawn while training: their words alone."""
        return tuple(map(caption_of, self.sample_prompts))

    @property
    def own_unseen_prompts(self) -> tuple[str, ...]:
        """The prompts of looks, without those that a picture is learned with."""
        learned = {"", *self.own_other_prompts, *(picture.caption for picture in self.pictures)}
        prompts = map(caption_of, self.unseen_prompts or UNSEEN)
        return tuple(prompt for prompt in prompts if prompt not in learned)

    @property
    def is_steered(self) -> bool:
        """Whether it has a goal, or a rate that is found: then its best mean of the weights is kept."""
        return self.find_rate or self.copied_psnr is not None or bool(self.turns)

    @property
    def last_step(self) -> int:
        """The number of steps that are done at most."""
        return self.steps if self.stop_after is None else min(self.steps, self.stop_after)


# fmt: on
_KINDS = {"tuple[str, ...]": "list"}


def _option(one: Field[Any]) -> Option:
    kind = str(one.type).removesuffix(" | None")
    given: dict[str, Any] = one.metadata["option"]
    default: Any = one.default
    return Option(one.name, _KINDS.get(kind, kind), default, optional=default is None, **given)


SETTINGS: Mapping[str, Option] = MappingProxyType(
    {one.name: _option(one) for one in fields(TrainTask) if "option" in one.metadata}
)
"""Every setting by its name, as an option without a group."""

STEP_SETTINGS = tuple(one.name for one in fields(TrainSettings))
"""Those that each training step of a recipe has, in the order of forms."""


def can_go_on(lr_scheduler: str) -> bool:
    """Whether a longer training continues a shorter one: a rate that falls to its end fell too early."""
    return lr_scheduler == "constant"


def setting_faults(values: Mapping[str, Any]) -> Iterator[str]:
    """Faults between settings that are fine alone, and within lists; what is absent is at its default."""

    def get(name: str) -> Any:
        return values.get(name, SETTINGS[name].default)

    if get("timestep_min") >= get("timestep_max"):
        yield f"timestep_min {get('timestep_min')} is not below timestep_max {get('timestep_max')}"
    if get("conv_alpha") is not None and get("conv_rank") is None:
        yield "conv_alpha is given without conv_rank: give both or neither"
    for pattern in get("layers"):
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"layers: {pattern[:60]!r} is no regular expression ({error})"
    learned = set(map(caption_of, get("other_prompts")))
    unseen = [caption_of(prompt) for prompt in get("unseen_prompts")]
    if unseen and learned.issuperset(unseen):
        yield "unseen_prompts are all among other_prompts, which are learned: give some that are not"
    yield from optimizer_faults(get("optimizer"), get("optimizer_args"))
