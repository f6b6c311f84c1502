"""What the keys of a single-file checkpoint name: other spellings of one weight, and what is no weight."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
EMA_PREFIX = "model_ema."

_NO_WEIGHT = re.compile(
    r"""
      .*\.(position_ids | attn_mask | logit_scale)      # numbers that the code knows, and CLIP's training
    | .*\.transformer\.text_projection\.weight          # of CLIP-L, whose pooled text no family reads
    | first_stage_model\.(loss | model_ema)\..*         # what trained the VAE
    | first_stage_model\.logvar
    """,
    re.VERBOSE,
)
_USUAL: tuple[tuple[re.Pattern[str], str], ...] = (
    # Files made by transformers before 4.31 lack this level.
    (re.compile(r"(.*\.transformer)\.((embeddings|encoder|final_layer_norm)\..*)"), r"\1.text_model.\2"),
)
"""Other spellings of a key, and the usual one."""

# Averages are stored under names without dots. No part's name contains another's at its start in a way
# that a longest-first alternation would misread.
_PARTS = (
    "transformer_blocks|input_blocks|output_blocks|middle_block|time_embed|label_emb|skip_connection"
    "|in_layers|out_layers|emb_layers|attn1|attn2|norm1|norm2|norm3|norm|proj_in|proj_out|proj"
    "|to_q|to_k|to_v|to_out|net|ff|op|conv|out|weight|bias"
)
_TOKEN = re.compile(rf"({_PARTS})|(\d+)")


def known_names(names: Iterable[str]) -> dict[str, str]:
    """Each weight's usual name to its name in the file, in the file's order; what is no weight is left out.

    Where a file has nothing but averaged ("EMA") U-Net weights, they stand under the names of the weights
    they average; beside those they are left out.
    """
    all_names = list(names)
    stored = {name: name for name in all_names if not name.startswith(EMA_PREFIX) and not is_no_weight(name)}
    known = {}
    for name in stored:
        usual = usual_name(name)
        if usual == name or usual not in stored:
            known[usual] = name
    if not any(name.startswith(UNET_PREFIX) for name in known):
        averaged = {averaged_name(name): name for name in all_names if name.startswith(EMA_PREFIX)}
        known |= {name: own for name, own in averaged.items() if name is not None}
    return known


def is_no_weight(name: str) -> bool:
    """Whether what stands under a key decides nothing that a model answers."""
    return _NO_WEIGHT.fullmatch(name) is not None


def usual_name(name: str) -> str:
    """The key in the spelling that most files use."""
    for pattern, usual in _USUAL:
        match = pattern.fullmatch(name)
        if match:
            return match.expand(usual)
    return name


def averaged_name(name: str) -> str | None:
    """The U-Net key that an EMA key averages, or None where it averages none.

    >>> averaged_name("model_ema.diffusion_modelinput_blocks101in_layers0weight")
    'model.diffusion_model.input_blocks.10.1.in_layers.0.weight'
    """
    rest = name.removeprefix(EMA_PREFIX).removeprefix("diffusion_model")
    words: list[str] = []
    while rest:
        token = _TOKEN.match(rest)
        if token is None:
            return None
        words += [token[1]] if token[1] else _numbers(words[-1] if words else "", token[2])
        rest = rest[token.end() :]
    return UNET_PREFIX + ".".join(words)


def _numbers(before: str, digits: str) -> list[str]:
    """Block and layer stand together (``input_blocks`` 10 and 1 as ``101``); a layer has one digit."""
    if before in ("input_blocks", "output_blocks"):
        return [digits[:-1], digits[-1]]
    return list(digits) if before == "label_emb" else [digits]
