"""Where a parameter lives: rules between diffusers' names and the keys of a single-file checkpoint.

Each layout's rules stand once, as beginnings of names, and are turned round for the way back. Up to eight
levels of two layers each are assumed, which holds for SD1, SD2 and SDXL.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from lib_copier.model_file.families import Family
from lib_copier.model_file.keys import UNET_PREFIX, VAE_PREFIX

LAYERS_PER_LEVEL = 2
_STRIDE = LAYERS_PER_LEVEL + 1


@dataclass(frozen=True)
class Slot:
    """The place of one diffusers parameter in a single file.

    `third` tells which third of the rows it is, where OpenCLIP keeps query, key and value as one
    matrix (None: the whole tensor). `is_transposed`: stored as (in, out) instead of (out, in).
    """

    key: str
    third: int | None = None
    is_transposed: bool = False


_UNET_TOP = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_MOST_LEVELS = 8
_Heads = dict[str, str]
"""How names begin in one layout -> in the other; what follows is the same."""


@lru_cache(maxsize=8)
def _unet_heads(separator: str) -> _Heads:
    """Beginnings of a U-Net's names, original -> diffusers."""

    def resnet(original: str, diffusers: str) -> _Heads:
        return {f"{original}.{old}": f"{diffusers}.{new}" for old, new in _RESNET.items()}

    heads = dict(_UNET_TOP)
    for child, resnet_of_two in (("0", 0), ("2", 1)):
        heads |= resnet(f"middle_block.{child}", f"mid_block.resnets.{resnet_of_two}")
    heads["middle_block.1"] = "mid_block.attentions.0"
    for level in range(_MOST_LEVELS):
        down, up = f"down_blocks.{level}", f"up_blocks.{level}"
        sides = [
            ("input", down, _STRIDE * level + 1, LAYERS_PER_LEVEL),
            ("output", up, _STRIDE * level, _STRIDE),
        ]
        for side, blocks, first, count in sides:
            for layer in range(count):
                block = f"{side}_blocks.{first + layer}"
                heads |= resnet(f"{block}.0", f"{blocks}.resnets.{layer}")
                heads[f"{block}.1"] = f"{blocks}.attentions.{layer}"
        heads[f"input_blocks.{_STRIDE * (level + 1)}.0.op"] = f"{down}.downsamplers.0.conv"
        # An upsampler stands behind its level's attention, or in its place.
        for child in "12":
            heads[f"output_blocks.{_STRIDE * level + LAYERS_PER_LEVEL}.{child}.conv"] = (
                f"{up}.upsamplers.0.conv"
            )
    return {old.replace(".", separator): new.replace(".", separator) for old, new in heads.items()}


def unet_diffusers_name(original: str, separator: str = ".") -> str | None:
    """The diffusers name of a U-Net key without its prefix, or None where no rule fits.

    With separator "_" the names are those that kohya's LoRA layers carry.
    """
    return _swap_head(original, _unet_heads(separator), separator)


def unet_original_name(diffusers: str, attention_levels: Collection[int], separator: str = ".") -> str | None:
    """The single-file key (without prefix) of a U-Net's diffusers name, or None where no rule fits.

    `attention_levels`: the up levels that have attention. The upsampler of a level stands behind
    it, as child 2, and is child 1 where there is none.
    """
    return _swap_head(diffusers, _unet_back(frozenset(attention_levels), separator), separator)


@lru_cache(maxsize=8)
def _unet_back(attention_levels: frozenset[int], separator: str) -> _Heads:
    back = {new: old for old, new in _unet_heads(separator).items()}
    for level in set(range(_MOST_LEVELS)) - attention_levels:
        block = f"output_blocks.{_STRIDE * level + LAYERS_PER_LEVEL}.1.conv"
        back[f"up_blocks.{level}.upsamplers.0.conv".replace(".", separator)] = block.replace(".", separator)
    return back


def _swap_head(name: str, heads: _Heads, separator: str = ".") -> str | None:
    """The name with its longest known beginning (whole words of it) swapped; None where none is known."""
    end = len(name)
    while end > 0:
        if name[:end] in heads:
            return heads[name[:end]] + name[end:]
        end = name.rfind(separator, 0, end)
    return None


_VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


@lru_cache(maxsize=8)
def _vae_heads(level_count: int) -> _Heads:
    """Beginnings of a VAE's names, original -> diffusers; the decoder counts its levels backwards."""
    heads = {}
    for side in ("encoder", "decoder"):
        blocks = {f"{side}.mid.block_{n + 1}": f"{side}.mid_block.resnets.{n}" for n in (0, 1)}
        heads[f"{side}.norm_out"] = f"{side}.conv_norm_out"
        for old, new in _VAE_ATTENTION.items():
            heads[f"{side}.mid.attn_1.{old}"] = f"{side}.mid_block.attentions.0.{new}"
        for level in range(level_count):
            old, new = (
                (f"encoder.down.{level}", f"encoder.down_blocks.{level}")
                if side == "encoder"
                else (f"decoder.up.{level}", f"decoder.up_blocks.{level_count - 1 - level}")
            )
            sampler = "downsample" if side == "encoder" else "upsample"
            heads[f"{old}.{sampler}"] = f"{new}.{sampler}rs.0"
            blocks |= {f"{old}.block.{n}": f"{new}.resnets.{n}" for n in range(_STRIDE)}
        heads |= blocks
        heads |= {f"{old}.nin_shortcut": f"{new}.conv_shortcut" for old, new in blocks.items()}
    return heads


def vae_diffusers_name(original: str, level_count: int) -> str:
    """The diffusers name of a VAE key without its prefix."""
    return _swap_head(original, _vae_heads(level_count)) or original


def vae_original_name(diffusers: str, level_count: int) -> str:
    """The single-file key (without prefix) of a VAE's diffusers name."""
    back = {new: old for old, new in _vae_heads(level_count).items()}
    return _swap_head(diffusers, back) or diffusers


_OPEN_CLIP_TOP = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
}
_OPEN_CLIP_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def open_clip_slots(key: str, prefix: str = "") -> dict[str, Slot]:
    """The CLIP parameters (transformers' names) that one OpenCLIP key holds: three for `in_proj`.

    `key` without its prefix; the slots name the key with it. Empty where no rule fits (`logit_scale`).
    """
    full = prefix + key
    if key in _OPEN_CLIP_TOP:
        return {_OPEN_CLIP_TOP[key]: Slot(full, is_transposed=key == "text_projection")}
    block = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", key)
    if block is None:
        return {}
    head = f"text_model.encoder.layers.{block[1]}."
    joined = re.fullmatch(r"attn\.in_proj_(weight|bias)", block[2])
    if joined:
        return {f"{head}self_attn.{n}_proj.{joined[1]}": Slot(full, third) for third, n in enumerate("qkv")}
    tail = _swap_head(block[2], _OPEN_CLIP_BLOCK)
    return {} if tail is None else {head + tail: Slot(full)}


def _open_clip_back(names: Iterable[str], prefix: str) -> dict[str, Slot]:
    """The OpenCLIP places of transformers' CLIP parameter names, for as many layers as the names have."""
    layers = {
        found[1] for name in names if (found := re.match(r"text_model\.encoder\.layers\.(\d+)\.", name))
    }
    tails = [f"{old}.{kind}" for old in _OPEN_CLIP_BLOCK for kind in ("weight", "bias")]
    tails += ["attn.in_proj_weight", "attn.in_proj_bias"]
    keys = [*_OPEN_CLIP_TOP, *(f"transformer.resblocks.{n}.{tail}" for n in layers for tail in tails)]
    return {name: slot for key in keys for name, slot in open_clip_slots(key, prefix).items()}


def slots_in_file(keys: Iterable[str], family: Family) -> dict[str, dict[str, Slot]]:
    """Sort a single file's keys by part: `{"unet"|"vae"|"text_encoder"…: {diffusers name: Slot}}`.

    Keys that no rule knows (EMA copies, markers, schedules) are left out.
    """
    names = list(keys)
    parts: dict[str, dict[str, Slot]] = {"unet": {}, "vae": {}}
    levels = vae_level_count(names)
    for key in names:
        if key.startswith(UNET_PREFIX):
            name = unet_diffusers_name(key[len(UNET_PREFIX) :])
            if name is not None:
                parts["unet"][name] = Slot(key)
        elif key.startswith(VAE_PREFIX):
            parts["vae"][vae_diffusers_name(key[len(VAE_PREFIX) :], levels)] = Slot(key)
    for encoder in family.text_encoders:
        slots = parts.setdefault(encoder.part, {})
        for key in names:
            if not key.startswith(encoder.key_prefix):
                continue
            rest = key[len(encoder.key_prefix) :]
            if encoder.is_open_clip:
                slots.update(open_clip_slots(rest, encoder.key_prefix))
            elif rest.startswith("text_model."):
                slots[rest] = Slot(key)
    return parts


def vae_level_count(names: Iterable[str]) -> int:
    """How many levels the VAE has, told from its keys in either layout."""
    found = (re.search(r"(?:encoder\.down|encoder\.down_blocks)\.(\d+)\.", name) for name in names)
    return 1 + max((int(match[1]) for match in found if match), default=0)


def slots_for(part: str, names: Iterable[str], family: Family) -> dict[str, Slot]:
    """Where each diffusers parameter of one part goes in a single file; the inverse of `slots_in_file`.

    Raises
    ------
    KeyError
        Where a name fits no rule: writing a file without it would lose a weight.
    """
    known = list(names)
    slots: dict[str, Slot | None] = {}
    if part == "unet":
        levels = attention_levels(known)
        for name in known:
            original = unet_original_name(name, levels)
            slots[name] = None if original is None else Slot(UNET_PREFIX + original)
    elif part == "vae":
        count = vae_level_count(known)
        slots = {name: Slot(VAE_PREFIX + vae_original_name(name, count)) for name in known}
    else:
        encoder = next(encoder for encoder in family.text_encoders if encoder.part == part)
        back = _open_clip_back(known, encoder.key_prefix) if encoder.is_open_clip else {}
        for name in known:
            slots[name] = back.get(name) if encoder.is_open_clip else Slot(encoder.key_prefix + name)
    lost = [name for name, slot in slots.items() if slot is None]
    if lost:
        raise KeyError(f"no place in a single file for {', '.join(lost[:5])}")
    return {name: slot for name, slot in slots.items() if slot is not None}


def attention_levels(names: Iterable[str]) -> frozenset[int]:
    """The up levels with attention, told from diffusers names (dots or underscores)."""
    found = (re.search(r"up_blocks[._](\d+)[._]attentions[._]", name) for name in names)
    return frozenset(int(match[1]) for match in found if match)
