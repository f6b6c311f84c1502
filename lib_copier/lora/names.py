"""What kohya calls the LoRA layer of a module, and where that layer's weight lives in a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from lib_copier.lora.layout import Slot, slots_in_file, unet_diffusers_name, unet_original_name
from lib_copier.model_file.families import SD1, SDXL, Family
from lib_copier.model_file.keys import known_names

UNET_PREFIX = "lora_unet_"

# SDXL's up levels 0 and 1 have attention, SD1's and SD2's all but level 0; a LoRA's own names
# need not show it, so this rule speaks where a file's keys cannot.
_ATTENTION_LEVELS = {"sd1": range(1, 99), "sd2": range(1, 99), "sdxl": range(0, 2)}


def kohya_name(family: Family, part: str, module: str) -> str:
    """The LoRA layer name of a diffusers module, as sd-scripts writes it.

    `part` is `unet`, `text_encoder` or `text_encoder_2`; `module` the dotted module path. SDXL's
    U-Net layers carry the single-file names, all others diffusers' names.

    Raises
    ------
    KeyError
        Where the part or the module is not one that the family has.
    """
    if part != "unet":
        prefix = {encoder.part: encoder.lora_prefix for encoder in family.text_encoders}[part]
        return f"{prefix}_{module.replace('.', '_')}"
    if family is SDXL:
        original = unet_original_name(module, _ATTENTION_LEVELS[family.name])
        if original is None:
            raise KeyError(f"no U-Net module {module}")
        module = original
    return UNET_PREFIX + module.replace(".", "_")


def canonical_name(name: str, family: Family) -> str:
    """The one name for a LoRA layer, whichever of kohya's two U-Net spellings a file uses.

    What stands behind a dot (``.bias``) stays.
    """
    if not name.startswith(UNET_PREFIX):
        return name
    rest, dot, part = name[len(UNET_PREFIX) :].partition(".")
    if family is SDXL:
        other = unet_original_name(rest, _ATTENTION_LEVELS[family.name], "_")
    else:
        other = unet_diffusers_name(rest, "_")
    return name if other is None else UNET_PREFIX + other + dot + part


def lora_slots(keys: Iterable[str], family: Family) -> dict[str, Slot]:
    """Every LoRA layer name that a checkpoint with these keys has a weight for, with its place.

    Keys may be in any spelling that `keys.known_names` knows; places are named as the file names them.
    A layer's bias stands under its name and ``.bias``.
    """
    slots: dict[str, Slot] = {}
    stored = known_names(keys)
    for part, parameters in slots_in_file(stored, family).items():
        if part == "vae":
            continue
        for name, slot in parameters.items():
            module, _, kind = name.rpartition(".")
            if kind in ("weight", "bias"):
                layer = kohya_name(family, part, module) + (".bias" if kind == "bias" else "")
                slots[layer] = replace(slot, key=stored[slot.key])
    return slots


_TRANSFORMER_LAYER = r"(attn[12]_to_(q|k|v|out_0)|ff_net_(0_proj|2)|proj_in|proj_out)$"
_TEXT_LAYER = r"_layers_\d+_(self_attn_(q|k|v|out)_proj|mlp_fc[12])$"
_RESNET_LAYER = (
    r"(resnets_\d+_(conv1|conv2|time_emb_proj|conv_shortcut)|(down|up)samplers_0_conv"
    r"|_\d+_0_(in_layers_2|out_layers_3|emb_layers_1|skip_connection|op)|_blocks_\d+_[12]_conv"
    r"|middle_block_[02]_(in_layers_2|out_layers_3|emb_layers_1|skip_connection))$"
)


_WIDE_CONVOLUTION = re.compile(
    r"(_conv[12]|samplers_0_conv|_in_layers_2|_out_layers_3|_\d+_0_op|_blocks_\d+_[12]_conv|unet_conv_(in|out)"
    r"|unet_input_blocks_0_0|unet_out_2)$"
)


def kernel_of(name: str, family: Family) -> tuple[int, ...]:
    """The axes behind (out, in) of the weight of a U-Net layer of this name: (3, 3), (1, 1) or ()."""
    if not name.startswith(UNET_PREFIX):
        return ()
    if _WIDE_CONVOLUTION.search(name):
        return 3, 3
    is_narrow = name.endswith(("_conv_shortcut", "_skip_connection"))
    return (1, 1) if is_narrow or (family is SD1 and re.search(r"_proj_(in|out)$", name)) else ()


def is_default_target(name: str) -> bool:
    """Whether sd-scripts' `networks.lora` trains this layer by default (transformers, text encoder)."""
    if name.startswith(UNET_PREFIX):
        return re.search(_TRANSFORMER_LAYER, name) is not None
    return re.search(_TEXT_LAYER, name) is not None


def is_conv_target(name: str) -> bool:
    """Whether `networks.lora` adds this layer when a rank for 3x3 convolutions is given."""
    return name.startswith(UNET_PREFIX) and re.search(_RESNET_LAYER, name) is not None
