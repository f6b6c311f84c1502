"""The averaged ("EMA") copies of U-Net weights, for files that hold nothing else."""

from __future__ import annotations

import re

PREFIX = "model_ema."

# The averages are stored under names without dots. No part's name contains another's at its start in a way
# that a longest-first alternation would misread.
_PARTS = (
    "transformer_blocks|input_blocks|output_blocks|middle_block|time_embed|label_emb|skip_connection"
    "|in_layers|out_layers|emb_layers|attn1|attn2|norm1|norm2|norm3|norm|proj_in|proj_out|proj"
    "|to_q|to_k|to_v|to_out|net|ff|op|conv|out|weight|bias"
)
_TOKEN = re.compile(rf"({_PARTS})|(\d+)")


def dotted_name(flat: str) -> str | None:
    """The U-Net key that an EMA key copies, or None where it copies none.

    >>> dotted_name("model_ema.diffusion_modelinput_blocks101in_layers0weight") is None
    False
    """
    head = PREFIX + "diffusion_model"
    if not flat.startswith(head):
        return None
    rest, words = flat[len(head) :], ["model", "diffusion_model"]
    while rest:
        token = _TOKEN.match(rest)
        if token is None:
            return None
        if token[1]:
            words.append(token[1])
        else:
            words += _numbers(words[-1], token[2])
        rest = rest[token.end() :]
    return ".".join(words)


def _numbers(before: str, digits: str) -> list[str]:
    """Block and layer stand together (``input_blocks`` 10 and 1 as ``101``); a layer has one digit."""
    if before in ("input_blocks", "output_blocks"):
        return [digits[:-1], digits[-1]]
    return list(digits) if before == "label_emb" else [digits]
