"""What a run is asked to do: one flat, frozen configuration, read from JSON with every fault at once."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_copier.disk import read_json
from lib_copier.errors import FaultsError, InputError
from lib_copier.train import rules
from lib_copier.train.optimizer import check_optimizer


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
class BaseLora:
    """A LoRA baked into the checkpoint in memory, and the weight it acts with."""

    path: Path
    weight: float = 1.0


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Defaults are the memo's numbers (method A, step 2)."""

    checkpoint: Path
    output: Path
    pictures: tuple[Picture, ...]
    work_dir: Path
    """State, metrics and samples live here. Left out: a folder beside the output."""
    vae: Path | None = None
    prediction: str = "auto"
    base_loras: tuple[BaseLora, ...] = ()
    rank: int = 64
    alpha: float = 32.0
    conv_rank: int | None = None
    conv_alpha: float | None = None
    train_text_encoder: bool = True
    layers: tuple[str, ...] = ()
    """Regular expressions, searched in kohya layer names; empty: all layers."""
    optimizer: str = "adamw"
    optimizer_args: tuple[tuple[str, str], ...] = ()
    learning_rate: float = 1e-4
    text_encoder_lr: float | None = None
    lr_scheduler: str = "constant"
    warmup_steps: int = 500
    steps: int = 3072
    batch_size: int = 1
    """Noised copies of the step's picture, each with its own noise, time step and caption order."""
    timestep_min: int = 0
    timestep_max: int = 1000
    """Time steps are drawn from [timestep_min, timestep_max)."""
    timestep_sampling: str = "uniform"
    """``uniform``, or ``stratified``: evenly spread over each batch and over successive steps."""
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
    save_precision: str = "fp16"
    device: str = "auto"
    cuda_graph: str = "auto"
    """``auto`` (where it can be had), ``on`` or ``off``: the numbers are the same."""
    seed: int = 0
    sample_every: int = 0
    sample_prompts: tuple[str, ...] = ()
    state_every: int = 0
    copied_psnr: float | None = None
    """Stop once pictures of unseen prompts reach this similarity to the picture (dB). None: never."""
    copied_every: int = 100
    metadata: tuple[tuple[str, str], ...] = ()


def _pictures(value: Any) -> tuple[Picture, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError('must be a list with at least one {"path": …, "caption": …, "mask": …, "origin": …}')
    return tuple(_record(item, Picture, _PICTURE_RULES, f"[{index}]") for index, item in enumerate(value))


def _base_loras(value: Any) -> tuple[BaseLora, ...]:
    if not isinstance(value, list):
        raise ValueError(f'must be a list of {{"path": …, "weight": …}}, not {value!r}')
    return tuple(_record(item, BaseLora, _BASE_LORA_RULES, f"[{index}]") for index, item in enumerate(value))


_PICTURE_RULES: dict[str, rules.Rule] = {
    "path": rules.existing_file,
    "caption": rules.text,
    "mask": rules.optional(rules.existing_file),
    "origin": rules.optional(rules.existing_file),
}
_BASE_LORA_RULES: dict[str, rules.Rule] = {"path": rules.existing_file, "weight": rules.number(-100, 100)}

RULES: dict[str, rules.Rule] = {
    "checkpoint": rules.existing_file,
    "output": rules.path,
    "pictures": _pictures,
    "work_dir": rules.path,
    "vae": rules.optional(rules.existing_file),
    "prediction": rules.one_of("auto", "epsilon", "v_prediction"),
    "base_loras": _base_loras,
    "rank": rules.whole(1, 4096),
    "alpha": rules.number(0, 1e6, above=True),
    "conv_rank": rules.optional(rules.whole(1, 4096)),
    "conv_alpha": rules.optional(rules.number(0, 1e6, above=True)),
    "train_text_encoder": rules.flag,
    "layers": rules.patterns,
    "optimizer": rules.text,
    "optimizer_args": rules.pairs,
    "learning_rate": rules.number(0, 1000, above=True),
    "text_encoder_lr": rules.optional(rules.number(0, 1000)),
    "lr_scheduler": rules.one_of("constant", "cosine", "linear"),
    "warmup_steps": rules.whole(0, 10_000_000),
    "steps": rules.whole(1, 10_000_000),
    "batch_size": rules.whole(1, 1024),
    "timestep_min": rules.whole(0, 999),
    "timestep_max": rules.whole(1, 1000),
    "timestep_sampling": rules.one_of("uniform", "stratified"),
    "min_snr_gamma": rules.optional(rules.number(0, 1e6, above=True)),
    "max_grad_norm": rules.number(0, 1e6),
    "shuffle_caption": rules.flag,
    "keep_tokens": rules.whole(0, 10_000),
    "other_prompts": rules.texts,
    "other_prompt_share": rules.number(0, 1),
    "clip_skip": rules.whole(1, 12),
    "gradient_checkpointing": rules.flag,
    "precision": rules.one_of("auto", "fp32", "bf16", "fp16"),
    "save_precision": rules.one_of("fp32", "float", "bf16", "fp16"),
    "device": rules.text,
    "cuda_graph": rules.one_of("auto", "on", "off"),
    "seed": rules.whole(0, 2**63 - 1),
    "sample_every": rules.whole(0, 10_000_000),
    "sample_prompts": rules.texts,
    "state_every": rules.whole(0, 10_000_000),
    "copied_psnr": rules.optional(rules.number(0, 200, above=True)),
    "copied_every": rules.whole(1, 10_000_000),
    "metadata": rules.pairs,
}
"""One rule a field: the table is the list of names that a configuration may hold."""


def read_config(path: Path) -> TrainConfig:
    """Read a configuration file.

    Raises
    ------
    InputError
        The file is missing or is not a JSON object.
    FaultsError
        Some of its values cannot be used; names all of them.
    """
    found = read_json(path, advice="Mend that place and run it again.")
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object.", "Write the options between { and }.")
    return parse_config(found, subject=str(path))


def parse_config(found: Mapping[str, Any], *, subject: str = "configuration") -> TrainConfig:
    """Check a configuration's values and return it typed.

    Raises
    ------
    FaultsError
        Names every unknown, missing or unusable value.
    """
    faults = [_unknown(name, RULES) for name in found if name not in RULES]
    values: dict[str, Any] = {}
    for name, value in found.items():
        if name in RULES:
            try:
                values[name] = RULES[name](value)
            except ValueError as error:
                faults.append(f"{name} {error}")
    faults += [f"{name} is missing" for name in ("checkpoint", "output", "pictures") if name not in found]
    faults += _cross_faults(values)
    if faults:
        raise FaultsError(subject, faults, "Mend these and run it again.")
    output: Path = values["output"]
    values.setdefault("work_dir", output.with_name(f"{output.stem}.work"))
    return TrainConfig(**values)


def _cross_faults(values: Mapping[str, Any]) -> list[str]:
    """Faults between values, each of which is fine alone; values already found faulty are left out."""
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}

    def get(name: str) -> Any:
        return values.get(name, defaults[name])

    faults = []
    if get("timestep_min") >= get("timestep_max"):
        faults.append(f"timestep_min {get('timestep_min')} must be below timestep_max {get('timestep_max')}")
    if get("warmup_steps") > get("steps"):
        faults.append(f"warmup_steps {get('warmup_steps')} is more than steps {get('steps')}: lower it")
    if get("conv_alpha") is not None and get("conv_rank") is None:
        faults.append("conv_alpha is given without conv_rank: give both or neither")
    output = values.get("output")
    if output is not None and output.suffix != ".safetensors":
        faults.append(f"output must end in .safetensors, not {output.name!r}")
    if output is not None and output.is_dir():
        faults.append(f"output is a folder: {output}")
    if "optimizer" in values or "optimizer_args" in values:
        faults += check_optimizer(get("optimizer"), get("optimizer_args"))
    return faults


def _record(value: Any, kind: type, table: Mapping[str, rules.Rule], where: str) -> Any:
    """One object of a list as a dataclass; a fault names its place in the list."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object, not {value!r}")
    reasons = [_unknown(name, table) for name in value if name not in table]
    fields = {}
    for name, item in value.items():
        if name in table:
            try:
                fields[name] = table[name](item)
            except ValueError as error:
                reasons.append(f"{name} {error}")
    if "path" not in value:
        reasons.append("path is missing")
    if reasons:
        raise ValueError(f"{where}: " + ", ".join(reasons))
    return kind(**fields)


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{name} is not an option" + (f" (did you mean {near[0]}?)" if near else "")
