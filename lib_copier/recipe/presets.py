"""Presets: named sets of settings, each with the numbers of one way of working.

They are for checkpoints of SD1's width; `_for` says what others take in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lib_copier.errors import InputError
from lib_copier.model_file.checkpoint import known_facts
from lib_copier.model_file.families import SDXL
from lib_copier.recipe.model import Edit, Recipe, settings_of
from lib_copier.recipe.options import OPTIONS
from lib_copier.recipe.suggested import PRESET_KEY, suggested_values
from lib_copier.settings.option import Value

_RATED_WIDTH = 320

_MEMO_TRAINING: Mapping[str, Value] = MappingProxyType(
    {
        "rank": 64,
        "alpha": 32.0,
        "learning_rate": 1e-4,
        "batch_size": 1,
        "train_text_encoder": True,
        "optimizer": "adamw",
        "lr_scheduler": "constant",
        "warmup_steps": 500,
        "shuffle_caption": True,
        "keep_tokens": 0,
    }
)

_AUTO_TRAINING: Mapping[str, Value] = MappingProxyType(
    {
        "rank": 32,
        "alpha": 32.0,
        # Where the search for one begins.
        "learning_rate": 1e-3,
        "find_rate": True,
        "batch_size": 4,
        "train_text_encoder": False,
        "optimizer": "adamw",
        "lr_scheduler": "constant",
        "warmup_steps": 0,
        # So a copier prints 30 dB after 175 steps in place of 300. The cosine of a slider from pairs with the
        # edit itself is 0.59 in place of 0.50.
        "timestep_sampling": "importance",
        # So low a gamma weighs every time step by the error of the picture, not of the noise: the high time
        # steps, which decide what a copier prints, would hardly count otherwise.
        "min_snr_gamma": 0.02,
        "shuffle_caption": True,
        "keep_tokens": 0,
        # A copier that is trained with its caption alone prints its picture for that caption alone.
        "other_prompt_share": 0.9,
    }
)


def _both(training: Mapping[str, Value]) -> dict[str, Value]:
    return {f"{group}.{name}": value for group in ("copier", "edit_lora") for name, value in training.items()}


PRESETS: Mapping[str, Mapping[str, Value]] = MappingProxyType(
    {
        "memo": MappingProxyType(
            {
                **_both(_MEMO_TRAINING),
                "copier.steps": 3072,
                "copier.copied_psnr": None,
                "edit_lora.steps": 4096,
                "edit_lora.against_origin": False,
                "resize.rank": 8,
                "calibrate.gain": 1.0,
            }
        ),
        "auto": MappingProxyType(
            {
                **_both(_AUTO_TRAINING),
                "copier.steps": 800,
                "copier.copied_psnr": 28.0,
                "edit_lora.steps": 400,
                "edit_lora.against_origin": True,
                # Of one pair the edit is learned in a rush anyway, and much else with it.
                "edit_lora.timestep_sampling": "stratified",
                "resize.rank": 8,
            }
        ),
    }
)

_MEMO_WEAK: Mapping[str, Value] = MappingProxyType(
    {"edit_lora.rank": 128, "edit_lora.alpha": 64.0, "edit_lora.steps": 5120}
)
_AUTO_TONES: Mapping[str, Value] = MappingProxyType(
    # The last level draws what the others have laid out: tones change there, and nothing else.
    {"edit_lora.layers": ("up_blocks_3",), "edit_lora.conv_rank": 32, "edit_lora.conv_alpha": 32.0}
)

_BY_EFFECT: Mapping[str, Mapping[str, Mapping[str, Value]]] = MappingProxyType(
    {
        # The memo found these two weak, and trained them at a higher rank for longer.
        "memo": MappingProxyType({"flat": _MEMO_WEAK, "jpeg": _MEMO_WEAK}),
        "auto": MappingProxyType({"contrast": _AUTO_TONES}),
    }
)
"""What a preset changes for an edit made of one effect, or of several that ask for the same."""

_METHOD_B: Mapping[str, Mapping[str, Value]] = MappingProxyType(
    {
        "memo": MappingProxyType({"copier.steps": 4096}),
        "auto": MappingProxyType({"copier.copied_psnr": 30.0, "copier.timestep_sampling": "stratified"}),
    }
)
"""Method B overfits for longer than method A's copier: what either LoRA lacks of its picture stays in the
difference. From copiers of 33 dB by importance came 0.15 of an outline, from evenly drawn ones of 30 0.82."""
_METHOD_C: Mapping[str, Value] = MappingProxyType(
    {
        **{f"edit_lora.{name}": value for name, value in _AUTO_TRAINING.items()},
        "edit_lora.rank": 16,
        "edit_lora.alpha": 16.0,
        # Half of them at either sign.
        "edit_lora.batch_size": 8,
        "edit_lora.steps": 120,
        # Where half of the edit is to be seen. With all of it from the first step on, the demo's outline came
        # to a fidelity of 0.83 in place of 0.86, its worst picture to 0.59 in place of 0.72.
        "edit_lora.min_snr_gamma": 0.04,
        # Pairs agree in a part of their edit alone, so the loss hardly falls: neither a search for the rate
        # nor a goal in dB can go by it. A rate that falls to nothing learns that part in few steps.
        "edit_lora.find_rate": False,
        # Along walks: at five times this the outline of the demo had a fidelity of 0.69 in place of 0.78.
        "edit_lora.learning_rate": 8e-5,
        "edit_lora.lr_scheduler": "cosine",
        "edit_lora.warmup_steps": 10,
        "edit_lora.shuffle_caption": False,
        # Of retouched pairs half the steps with the empty prompt: guidance takes the difference to it.
        "edit_lora.other_prompt_share": 0.5,
        "resize.rank": 8,
    }
)
"""Of every preset: the memo knows no such method."""


def preset_values(name: str, method: str = "copier", checkpoint: str = "") -> dict[str, Value]:
    """The settings of a preset, for a method and a checkpoint's file.

    Raises
    ------
    InputError
        Where there is no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}.", f"Take one of {', '.join(PRESETS)}.")
    plain = {key: OPTIONS[key].default for preset in PRESETS.values() for key in preset}
    of_method = {"difference": _METHOD_B.get(name, {}), "pairs": _METHOD_C}.get(method, {})
    wanted = _for(checkpoint, {**plain, **PRESETS[name], **of_method})
    return {key: OPTIONS[key].accept(value) for key, value in wanted.items()}


def apply_preset(recipe: Recipe, name: str) -> Recipe:
    """The recipe with the preset's settings, for every edit too."""
    checkpoint = str(recipe.get("project.checkpoint"))
    values = preset_values(name, recipe.method, checkpoint)
    changed = recipe.with_settings(values)
    for edit in recipe.edits:
        changed = changed.with_edit(_edit_with_preset(edit, name, recipe))
    return changed


def _edit_with_preset(edit: Edit, name: str, recipe: Recipe) -> Edit:
    """The edit with its own settings of the presets' kind replaced by the preset's."""
    theirs = {key for table in (PRESETS, *_BY_EFFECT.values()) for values in table.values() for key in values}
    kept = {key: value for key, value in edit.settings if key not in theirs}
    own = _for(recipe.checkpoint, _own_values(edit, name, recipe))
    return Edit(edit.name, edit.effects, edit.files, settings_of({**kept, **own}))


def _own_values(edit: Edit, name: str, recipe: Recipe) -> Mapping[str, Value]:
    """What the preset changes for this edit alone, by its effects."""
    if recipe.method == "pairs":
        return {}
    wanted = [_BY_EFFECT.get(name, {}).get(effect.name, {}) for effect in edit.effects]
    return wanted[0] if wanted and all(one == wanted[0] for one in wanted) else {}


def suggested_preset(checkpoint: str) -> str:
    """The preset that suits a checkpoint's file: the one that it suggests, else ``auto``."""
    facts = known_facts(checkpoint)
    wanted = facts.suggested.get(PRESET_KEY) if facts else None
    return wanted if isinstance(wanted, str) and wanted in PRESETS else "auto"


def first_values(checkpoint: str, origins: Iterable[str]) -> dict[str, Value]:
    """What a new project with these origins starts with, by address, beside a preset."""
    found = suggested_values(known_facts(checkpoint))
    names, values = list(origins), dict[str, Value]()
    for key, value in found.items():
        group, _, field = key.partition(".")
        if group == "origin":
            values |= {f"origins.{name}.{field}": value for name in names}
        elif not any(key in preset for preset in PRESETS.values()):
            values[key] = value
    return values


def _for(checkpoint: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """The values as they suit the checkpoint.

    Adam's best rate falls as the width grows (Yang et al. 2022, "Tensor Programs V"): rates are multiplied by
    320 / width. What a preset leaves at its default is as the checkpoint's file suggests it.
    """
    facts = known_facts(checkpoint)
    if facts is None:
        return dict(values)
    found, suggested = dict(values), suggested_values(facts)
    for key, value in values.items():
        if key.endswith(".learning_rate") and isinstance(value, float):
            found[key] = float(f"{value * _RATED_WIDTH / facts.unet_width:.3g}")
        elif key == "edit_lora.layers" and isinstance(value, tuple) and facts.family is SDXL:
            # It has one level less.
            found[key] = tuple(layer.replace("up_blocks_3", "up_blocks_2") for layer in value)
        elif value == OPTIONS[key].default:
            found[key] = suggested.get(key, value)
    return found
