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
    terms = [*edit_model]
    for lora, ratio in base_model:
        if (lora, ratio) in [(other, other_ratio) for other, other_ratio in terms if other is lora]:
            terms.remove((lora, ratio))
        else:
            terms.append((lora, -ratio))
    return combine(terms, policy, save_precision=save_precision)
