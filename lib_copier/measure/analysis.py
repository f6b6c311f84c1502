"""From a sweep's pictures to its numbers: effect, rank correlation, strength, leak, side effects, range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lib_copier.measure.direction import Edit, Gauge, gauge_for
from lib_copier.measure.leak import fitted_teacher, leak, mean_picture, small
from lib_copier.measure.side_effects import side_effects
from lib_copier.settings.goals import SliderGoal

LEAK_BOUND = SliderGoal.leak
"""Weights whose pictures leak more than this are not recommended."""

Grid = Sequence[Sequence[Image.Image]]
"""Pictures by pair of prompt and seed, then by weight."""


def analyse(
    pictures: Grid,
    weights: Sequence[float],
    edit: Edit,
    through_vae: Callable[[Image.Image], Image.Image] | None = None,
    random: Sequence[Image.Image] = (),
) -> dict[str, Any]:
    """All numbers of a sweep. `weights` rise and contain 0 and 1.

    ``effect`` is the mean, over pictures, of the attribute's change against weight 0; ``direct_effect``
    that of applying the edit to the weight-0 pictures; ``strength`` is their ratio at weight 1.
    ``rank_correlation`` is Spearman's, a picture at a time over the weights from −1 to 1, averaged;
    pictures on which the effect does not move at all count 0. ``leak`` is that of weight 1
    (`measure.leak`), the worst teacher's where there are several. With `through_vae` (a picture's VAE
    round trip) ``strength_vae`` compares with the direct edit as the VAE can show it: no LoRA can do more.
    ``sign`` is +1 where a positive weight adds the edit. ``range`` is the recommended one.
    ``fidelity``, ``rest`` and what stands with them: see `measure.side_effects`; `random` as there.
    """
    at_zero, at_one = weights.index(0.0), weights.index(1.0)
    plain = [row[at_zero] for row in pictures]
    gauge = gauge_for(edit, plain)
    effects = np.array([[gauge.effect(row[at_zero], picture) for picture in row] for row in pictures])
    direct = _direct_effects(gauge, plain, edit)
    leaks = _leaks(pictures, at_zero, edit)
    effect, leak_by_weight = effects.mean(axis=0), leaks.mean(axis=0)
    within = [index for index, weight in enumerate(weights) if -1.0 <= weight <= 1.0]
    ranks = [_rank_correlation([weights[i] for i in within], row[within]) for row in effects]
    low, high, reason = recommended_range(weights, effect, leak_by_weight)
    # The slope, not the value at 1 alone: an effect may be symmetric by accident at one weight.
    sign = int(np.sign(np.polyfit([weights[i] for i in within], effect[within], 1)[0]))
    kept = _kept_by_vae(plain, edit, through_vae)
    shown = [gauge.effect(before, after) for before, after in kept]
    strength_vae = round(_ratio(float(effect[at_one]), float(np.mean(shown))), 4) if shown else None
    beside, by_picture = side_effects(pictures, weights, edit, sign=sign or 1, kept=kept, random=random)
    return {
        "attribute": {"name": gauge.name, "label": gauge.label, "unit": gauge.unit},
        "weights": list(weights),
        "effect": _rounded(effect),
        "direct_effect": round(float(direct.mean()), 5),
        "rank_correlation": round(float(np.mean(ranks)), 4),
        "rank_correlation_all_weights": round(
            float(np.mean([_rank_correlation(weights, row) for row in effects])), 4
        ),
        "strength": round(_ratio(float(effect[at_one]), float(direct.mean())), 4),
        "strength_vae": strength_vae,
        "leak": round(float(leak_by_weight[at_one]), 4),
        "leak_by_weight": _rounded(leak_by_weight),
        "sign": sign,
        "range": [low, high],
        "range_reason": reason,
        **beside,
        "per_picture": {
            "effect": [_rounded(row) for row in effects],
            "direct_effect": _rounded(direct),
            "leak": [_rounded(row) for row in leaks],
            "rank_correlation": _rounded(ranks),
            **by_picture,
        },
    }


def recommended_range(
    weights: Sequence[float], effect: Sequence[float], leaks: Sequence[float]
) -> tuple[float, float, str]:
    """The widest range around 0 in which every further step adds effect and leaks at most `LEAK_BOUND`."""
    at_zero = list(weights).index(0.0)
    high, why_high = _reach(range(at_zero + 1, len(weights)), at_zero, weights, effect, leaks)
    low, why_low = _reach(range(at_zero - 1, -1, -1), at_zero, weights, effect, leaks)
    reasons = dict.fromkeys(reason for reason in (why_low, why_high) if reason)
    return low, high, "; ".join(reasons) or "every weight that was tried"


def _reach(
    indices: range, at_zero: int, weights: Sequence[float], effect: Sequence[float], leaks: Sequence[float]
) -> tuple[float, str]:
    reached = at_zero
    for index in indices:
        outward = 1.0 if weights[index] > 0 else -1.0
        if outward * (effect[index] - effect[reached]) <= 0.0:
            return weights[reached], f"beyond {weights[reached]:g} the effect no longer grows"
        if abs(leaks[index]) > LEAK_BOUND:
            return weights[reached], f"at {weights[index]:g} the leak passes {LEAK_BOUND:g}"
        reached = index
    return weights[reached], ""


def _direct_effects(gauge: Gauge, plain: Sequence[Image.Image], edit: Edit) -> np.ndarray:
    """What the edit itself does to each weight-0 picture; 1 by definition along a direction of style."""
    if not edit.can_be_applied:
        return np.ones(len(plain))
    return np.array([gauge.effect(picture, edit.applied(picture)) for picture in plain])


def _kept_by_vae(
    plain: Sequence[Image.Image], edit: Edit, through_vae: Callable[[Image.Image], Image.Image] | None
) -> list[tuple[Image.Image, Image.Image]]:
    """Each picture and its edited copy after the VAE; nothing without a VAE, or an edit to apply."""
    if through_vae is None or not edit.can_be_applied:
        return []
    return [(through_vae(picture), through_vae(edit.applied(picture))) for picture in plain]


def _leaks(pictures: Grid, at_zero: int, edit: Edit) -> np.ndarray:
    """Leak of every picture, (pairs, weights), toward the teacher that shows through most."""
    copies = [[small(picture) for picture in row] for row in pictures]
    mean = mean_picture([row[at_zero] for row in copies])
    edited = [small(edit.applied(row[at_zero])) if edit.can_be_applied else None for row in pictures]
    by_teacher = []
    for _, teacher_picture in edit.pairs:
        teacher = fitted_teacher(small(teacher_picture), mean)
        by_teacher.append(
            [
                [leak(copy, row[at_zero], teacher, mean, direct) for copy in row]
                for row, direct in zip(copies, edited, strict=True)
            ]
        )
    leaks = np.array(by_teacher)
    # λ of weight 0 is 0 by construction; lstsq leaves a rounding error there.
    leaks[:, :, at_zero] = 0.0
    worst = int(np.abs(leaks.mean(axis=1)).max(axis=1).argmax())
    return leaks[worst]


def _rank_correlation(weights: Sequence[float], effects: np.ndarray) -> float:
    from scipy.stats import spearmanr

    if np.ptp(effects) == 0.0:
        return 0.0
    return float(spearmanr(weights, effects).statistic)


def _ratio(value: float, full: float) -> float:
    return value / full if abs(full) > 1e-9 else 0.0


def _rounded(values: Sequence[float] | np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values]
