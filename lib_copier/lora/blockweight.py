"""Block weights (`--lbws`): a factor for each block of the U-Net and the text encoder, by list position."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lib_copier.errors import InputError
from lib_copier.files.disk import parse_json
from lib_copier.lora.combine import LayerWeight

# Blocks in the order of a full list: text encoder, 12 input blocks, the middle, 12 output blocks.
_ALL = tuple(range(26))
# The blocks that shorter lists speak of: those that a LoRA of that kind has layers in.
_BLOCKS = {
    12: (0, 5, 6, 8, 9, 13, 14, 15, 16, 17, 18, 19),
    17: (0, 2, 3, 5, 6, 8, 9, 13, 17, 18, 19, 20, 21, 22, 23, 24, 25),
    20: (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22),
    26: _ALL,
}
_MIDDLE, _FIRST_OUTPUT = 13, 14


def layer_weights(texts: Sequence[str], lora_count: int) -> LayerWeight:
    """The factor for (index of a LoRA, layer name) from one JSON list for each LoRA.

    Lists of 12 and 20 numbers are SDXL's, of 17 and 26 those of SD1 and SD2; all have one length.

    Raises
    ------
    InputError
        Where a text is no such list.
    """
    lists = [_numbers(text) for text in texts]
    if len(lists) != lora_count:
        raise InputError(f"{lora_count} LoRAs but {len(lists)} --lbws were given.", "Give one for each LoRA.")
    if len({len(numbers) for numbers in lists}) != 1:
        raise InputError("The --lbws lists differ in length.", "Give lists of one length.")
    blocks = _BLOCKS[len(lists[0])]
    tables = [dict(zip(blocks, numbers, strict=True)) for numbers in lists]
    return lambda index, name: tables[index].get(block_of(name), 1.0)


def _numbers(text: str) -> list[float]:
    advice = 'Write it like "[1,0.5,0,...]".'
    found = parse_json(text, "--lbws", advice=advice)
    if not isinstance(found, list) or not all(type(number) in (int, float) for number in found):
        raise InputError(f"--lbws {text!r} is no JSON list of numbers.", advice)
    if len(found) not in _BLOCKS:
        raise InputError(f"--lbws has {len(found)} numbers.", "Give 12, 17, 20 or 26.")
    return [float(number) for number in found]


def block_of(name: str) -> int:
    """The block of a layer, as its position in a full list; -1 for what no block has."""
    if "text_model" in name:
        return 0
    original = re.search(r"(input|output)_blocks_(\d+)_", name)
    if original:
        return int(original[2]) + (1 if original[1] == "input" else _FIRST_OUTPUT)
    if "mid_block_" in name or "middle_block_" in name:
        return _MIDDLE
    block = re.search(r"(down|up)_blocks_(\d+)_(resnets|attentions|downsamplers|upsamplers)_(\d+)", name)
    if block is None:
        return -1
    side, level, kind, layer = block[1], int(block[2]), block[3], int(block[4])
    if side == "down":
        return 1 + 3 * level + (3 if kind == "downsamplers" else 1 + layer)
    return _FIRST_OUTPUT + 3 * level + (2 if kind == "upsamplers" else layer)
