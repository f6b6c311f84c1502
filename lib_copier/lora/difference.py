"""Differences between LoRAs, and between models that are told by their LoRAs: exact, no model is read."""

from __future__ import annotations

from collections.abc import Sequence

from lib_copier.lora.combine import combine
from lib_copier.lora.layer import Lora
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.report import Report


def difference(
    minuend: Lora,
    subtrahend: Lora,
    policy: RankPolicy | None = None,
    *,
    save_precision: str | None = "fp16",
) -> tuple[Lora, Report]:
    """minuend − subtrahend: with weight 1 the result turns what the second does into what the first does."""
    return combine([(minuend, 1.0), (subtrahend, -1.0)], policy, save_precision=save_precision)


def model_difference(
    edit_model: Sequence[tuple[Lora, float]],
    base_model: Sequence[tuple[Lora, float]],
    policy: RankPolicy | None = None,
    *,
    save_precision: str | None = "fp16",
) -> tuple[Lora, Report]:
    """Edit model − base model, where both are the same checkpoint with these LoRAs merged in.

    The checkpoint cancels, so nothing is lost to its rounding, as it would be in an extraction
    from two merged files. LoRAs that both models share cancel as well, before any computing.
    """
    shared = {
        (id(lora), ratio)
        for lora, ratio in edit_model
        if any(lora is x and ratio == r for x, r in base_model)
    }
    added = [(lora, ratio) for lora, ratio in edit_model if (id(lora), ratio) not in shared]
    removed = [(lora, -ratio) for lora, ratio in base_model if (id(lora), ratio) not in shared]
    return combine([*added, *removed], policy, save_precision=save_precision)
