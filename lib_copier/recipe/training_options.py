"""The settings of one LoRA training: the same rows for the copier, the edit LoRA and a style LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lib_copier.recipe.option import Option, Value

_LIMIT = 1_000_000

BASIC: tuple[Option, ...] = (
    Option("steps", "int", 3072, "Steps", "At most; a copier may stop earlier.", 1, _LIMIT),
    Option("rank", "int", 64, "Rank (dim)", "", 1, 1024),
    Option("alpha", "float", 32.0, "Alpha", "The LoRA acts with alpha / rank.", 0.01, 4096),
    Option("learning_rate", "float", 1e-4, "Learning rate", "", 1e-8, 10),
    Option("batch_size", "int", 1, "Time steps a step", "Noised copies learned from at once.", 1, 256),
    Option("train_text_encoder", "bool", True, "Train the text encoder"),
)

ADVANCED: tuple[Option, ...] = (
    Option("seed", "int", 0, "Seed", "", 0, 2**32 - 1),
    Option("conv_rank", "int", None, "Rank of 3×3 convolutions", "none: leave them alone.", 1, 1024),
    Option("conv_alpha", "float", None, "Alpha of 3×3 convolutions", "", 0.01, 4096),
    Option("layers", "list", (), "Only these layers", "Regular expressions on layer names; empty: all."),
    Option("optimizer", "str", "adamw", "Optimiser", "adamw, adamw8bit, prodigy … as installed."),
    Option("optimizer_args", "list", (), "Optimiser arguments", "NAME=VALUE, one a line."),
    Option("text_encoder_lr", "float", None, "Text encoder's learning rate", "none: the same.", 0, 10),
    Option("lr_scheduler", "str", "constant", "Schedule", choices=("constant", "cosine", "linear")),
    Option("warmup_steps", "int", 500, "Warm-up steps", "", 0, _LIMIT),
    Option("timestep_min", "int", 0, "Lowest time step", "", 0, 999),
    Option("timestep_max", "int", 1000, "Highest time step", "", 1, 1000),
    Option("timestep_sampling", "str", "uniform", "Draw time steps", "stratified: evenly spread.",
           choices=("uniform", "stratified")),
    Option("max_grad_norm", "float", 1.0, "Largest gradient norm", "0: no limit.", 0, 1000),
    Option("min_snr_gamma", "float", None, "Min-SNR gamma", "none: the plain loss.",
           0.001, 100),
    Option("shuffle_caption", "bool", True, "Shuffle the caption's tags"),
    Option("keep_tokens", "int", 0, "Keep tokens", "Leading tags that stay in place.", 0, 255),
    Option("other_prompt_share", "float", 0.0, "Share of other prompts",
           "Unrelated prompts in the caption's place: a copier then prints its picture for any prompt.",
           0, 1),
    Option("other_prompts", "list", (), "Other prompts", "One a line; empty: a list of everyday ones."),
    Option("clip_skip", "int", 1, "Clip skip", "", 1, 12),
    Option("gradient_checkpointing", "bool", False, "Gradient checkpointing", "Less memory, slower."),
    Option("precision", "str", "auto", "Precision", choices=("auto", "fp32", "bf16", "fp16")),
    Option("save_precision", "str", "fp16", "Saved precision", choices=("fp16", "bf16", "float")),
    Option("sample_every", "int", 0, "Sample every", "Steps between sample pictures; 0: none.", 0, _LIMIT),
    Option("state_every", "int", 200, "Save state every", "Steps; a broken run goes on there.", 0, _LIMIT),
    Option("engine", "str", "project", "Engine", "project: as the project says.",
           choices=("project", "embedded", "sd-scripts")),
)  # fmt: skip

_COSMETIC = frozenset({"sample_every", "state_every"})


def training_options(
    group: str,
    *,
    scope: str = "recipe",
    shown_when: tuple[str, tuple[Value, ...]] | None = None,
    defaults: Mapping[str, Value] = MappingProxyType({}),
) -> list[Option]:
    """The rows of one group, e.g. ``copier.steps``; `defaults` replaces some of the memo's numbers."""
    return [
        replace(
            row,
            key=f"{group}.{row.key}",
            default=defaults.get(row.key, row.default),
            scope=scope,
            shown_when=shown_when,
            advanced=row in ADVANCED,
            optional=row.default is None,
            is_cosmetic=row.key in _COSMETIC,
        )
        for row in BASIC + ADVANCED
    ]
