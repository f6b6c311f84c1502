"""Where a parameter lives: rules between diffusers' names and the keys of a single-file checkpoint.

Pure string rules for the U-Net, the VAE and the text encoders. No list of layers is kept, so any
number of levels works; only "two layers a level" is assumed, which holds for SD1, SD2 and SDXL.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lib_copier.families import Family
from lib_copier.keys import UNET_PREFIX, VAE_PREFIX

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
_MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}


def unet_diffusers_name(original: str, separator: str = ".") -> str | None:
    """The diffusers name of a U-Net key without its prefix, or None where no rule fits.

    With separator "_" the names are those that kohya's LoRA layers carry.
    """
    s = separator
    top = _swap_head(original, _UNET_TOP, s)
    if top is not None:
        return top
    e = re.escape(s)
    middle = re.fullmatch(rf"middle_block{e}([012]){e}(.+)", original)
    if middle:
        rest = _swap_head(middle[2], _RESNET, s) if middle[1] != "1" else middle[2]
        return None if rest is None else s.join(("mid_block", _MIDDLE[middle[1]].replace(".", s), rest))
    block = re.fullmatch(rf"(input|output)_blocks{e}(\d+){e}([012]){e}(.+)", original)
    if block is None:
        return None
    side, index, child, rest = block[1], int(block[2]), block[3], block[4]
    level, layer = divmod(index - 1 if side == "input" else index, _STRIDE)
    head = f"{'down' if side == 'input' else 'up'}_blocks{s}{level}{s}"
    if side == "input" and layer == LAYERS_PER_LEVEL:
        tail = _swap_head(rest, {"op": "conv"}, s)
        return None if tail is None else f"{head}downsamplers{s}0{s}{tail}"
    if child == "0":
        tail = _swap_head(rest, _RESNET, s)
        return None if tail is None else f"{head}resnets{s}{layer}{s}{tail}"
    if side == "output" and re.match(rf"conv({e}|$)", rest):
        return f"{head}upsamplers{s}0{s}{rest}"
    return f"{head}attentions{s}{layer}{s}{rest}"


def unet_original_name(diffusers: str, attention_levels: Collection[int], separator: str = ".") -> str | None:
    """The single-file key (without prefix) of a U-Net's diffusers name, or None where no rule fits.

    `attention_levels`: the up levels that have attention. The upsampler of a level stands behind
    it, as child 2, and is child 1 where there is none.
    """
    s = separator
    top = _swap_head(diffusers, {new: old for old, new in _UNET_TOP.items()}, s)
    if top is not None:
        return top
    back = {new: old for old, new in _RESNET.items()}
    e = re.escape(s)
    middle = re.fullmatch(rf"mid_block{e}(resnets{e}[01]|attentions{e}0){e}(.+)", diffusers)
    if middle:
        child = {name.replace(".", s): child for child, name in _MIDDLE.items()}[middle[1]]
        rest = _swap_head(middle[2], back, s) if child != "1" else middle[2]
        return None if rest is None else s.join(("middle_block", child, rest))
    block = re.fullmatch(
        rf"(down|up)_blocks{e}(\d+){e}(resnets|attentions|downsamplers|upsamplers){e}(\d+){e}(.+)", diffusers
    )
    if block is None:
        return None
    side, level, kind, layer, rest = block[1], int(block[2]), block[3], int(block[4]), block[5]
    blocks = "input_blocks" if side == "down" else "output_blocks"
    index = _STRIDE * level + layer + (1 if side == "down" else 0)
    if kind == "downsamplers":
        tail = _swap_head(rest, {"conv": "op"}, s)
        return None if tail is None else s.join((blocks, str(_STRIDE * (level + 1)), "0", tail))
    if kind == "upsamplers":
        child = "2" if level in attention_levels else "1"
        return s.join((blocks, str(_STRIDE * level + LAYERS_PER_LEVEL), child, rest))
    if kind == "attentions":
        return s.join((blocks, str(index), "1", rest))
    tail = _swap_head(rest, back, s)
    return None if tail is None else s.join((blocks, str(index), "0", tail))


def _swap_head(name: str, table: dict[str, str], separator: str) -> str | None:
    """Replace the beginning of `name` by the table, at a separator or at the end; None: no match."""
    for old, new in table.items():
        head = old.replace(".", separator)
        if name == head or name.startswith(head + separator):
            return new.replace(".", separator) + name[len(head) :]
    return None


_VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def vae_diffusers_name(original: str, level_count: int) -> str:
    """The diffusers name of a VAE key without its prefix; the decoder counts its levels backwards."""
    name = original.replace("nin_shortcut", "conv_shortcut").replace("norm_out", "conv_norm_out")
    name = re.sub(r"\.mid\.block_([12])\.", lambda m: f".mid_block.resnets.{int(m[1]) - 1}.", name)
    attention = re.fullmatch(r"(.*)\.mid\.attn_1\.(\w+)\.(weight|bias)", name)
    if attention:
        inner = _VAE_ATTENTION.get(attention[2], attention[2])
        return f"{attention[1]}.mid_block.attentions.0.{inner}.{attention[3]}"
    name = re.sub(r"encoder\.down\.(\d+)\.block\.", r"encoder.down_blocks.\1.resnets.", name)
    name = re.sub(r"encoder\.down\.(\d+)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0.", name)

    def up(match: re.Match[str]) -> str:
        kind = {"block": "resnets", "upsample": "upsamplers.0"}[match[2]]
        return f"decoder.up_blocks.{level_count - 1 - int(match[1])}.{kind}."

    return re.sub(r"decoder\.up\.(\d+)\.(block|upsample)\.", up, name)


def vae_original_name(diffusers: str, level_count: int) -> str:
    """The single-file key (without prefix) of a VAE's diffusers name."""
    name = diffusers.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"\.mid_block\.resnets\.([01])\.", lambda m: f".mid.block_{int(m[1]) + 1}.", name)
    for old, new in _VAE_ATTENTION.items():
        name = name.replace(f".mid_block.attentions.0.{new}.", f".mid.attn_1.{old}.")
    name = re.sub(r"encoder\.down_blocks\.(\d+)\.resnets\.", r"encoder.down.\1.block.", name)
    name = re.sub(r"encoder\.down_blocks\.(\d+)\.downsamplers\.0\.", r"encoder.down.\1.downsample.", name)

    def up(match: re.Match[str]) -> str:
        kind = {"resnets": "block", "upsamplers.0": "upsample"}[match[2]]
        return f"decoder.up.{level_count - 1 - int(match[1])}.{kind}."

    return re.sub(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers\.0)\.", up, name)


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
    tail = _swap_head(block[2], _OPEN_CLIP_BLOCK, ".")
    return {} if tail is None else {head + tail: Slot(full)}


def _open_clip_slot_for(name: str, prefix: str) -> Slot | None:
    """The OpenCLIP place of one of transformers' CLIP parameter names."""
    for key, clip_name in _OPEN_CLIP_TOP.items():
        if name == clip_name:
            return Slot(prefix + key, is_transposed=key == "text_projection")
    layer = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.+)", name)
    if layer is None:
        return None
    head = f"{prefix}transformer.resblocks.{layer[1]}."
    joined = re.fullmatch(r"self_attn\.([qkv])_proj\.(weight|bias)", layer[2])
    if joined:
        return Slot(f"{head}attn.in_proj_{joined[2]}", "qkv".index(joined[1]))
    tail = _swap_head(layer[2], {new: old for old, new in _OPEN_CLIP_BLOCK.items()}, ".")
    return None if tail is None else Slot(head + tail)


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
        for name in known:
            plain = Slot(encoder.key_prefix + name)
            slots[name] = _open_clip_slot_for(name, encoder.key_prefix) if encoder.is_open_clip else plain
    lost = [name for name, slot in slots.items() if slot is None]
    if lost:
        raise KeyError(f"no place in a single file for {', '.join(lost[:5])}")
    return {name: slot for name, slot in slots.items() if slot is not None}


def attention_levels(names: Iterable[str]) -> frozenset[int]:
    """The up levels with attention, told from diffusers names (dots or underscores)."""
    found = (re.search(r"up_blocks[._](\d+)[._]attentions[._]", name) for name in names)
    return frozenset(int(match[1]) for match in found if match)
