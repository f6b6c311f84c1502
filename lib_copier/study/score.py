"""How good a variant is: one number out of what was measured, and the order of all of them.

Each number of a sweep becomes a share, 1 the best there is, 0 as bad as the slider's goal forbids or worse::

    follows   rank correlation of effect and weight, in the meant direction
    strength  1 − |strength − 1|: weight 1 is the edit
    leak      1 − |leak| / bound
    fidelity  the cosine of the picture's change and the edit's own; left out where it could not be told
    rest      1 − rest / bound; left out likewise

The score is their mean; of several edits, that of the worst one. Variants are ordered by the word for their
numbers (good, usable, not yet), then by the score, then by the time that they took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from lib_copier.files.disk import has_types
from lib_copier.graph.status import FAILED, HELD, StepStatus
from lib_copier.settings.goals import CopierGoal, SliderGoal, SurvivalGoal, number

WAITING, PRUNED, BROKEN, MISSED, MEASURED = "waiting", "pruned", "failed", "missed", "measured"
_STATES = (MEASURED, PRUNED, WAITING, MISSED, BROKEN)
_WORDS = ("good", "usable", "not yet")
_ABOVE_DB = 10.0
"""A worst print that is so far above what is wanted scores 1; 0 where it is as far below."""


@dataclass(frozen=True)
class Outcome:
    """What became of a variant.

    Parameters
    ----------
    state:
        ``measured`` (to the end), ``pruned``, ``waiting``, ``missed`` (a goal, so that nothing was built on
        it) or ``failed``.
    score:
        0 … 1, by what was measured last; None where nothing was.
    word:
        ``good``, ``usable`` or ``not yet``; empty before the first sweep.
    rung:
        The rung that the score is of.
    seconds:
        The work behind it, shared or not.
    numbers:
        The shares of the score by edit.
    reason:
        Why it missed or failed.
    """

    state: str = WAITING
    score: float | None = None
    word: str = ""
    rung: str = ""
    seconds: float = 0.0
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it is stored and told."""
        return dict(self.__dict__)


_KINDS = {"state": str, "word": str, "rung": str, "seconds": (int, float), "numbers": dict, "reason": str}


def read_outcome(found: Any) -> Outcome | None:
    """The outcome that a record holds; None where another hand made it anything else."""
    if not has_types(found, _KINDS) or found["state"] not in _STATES or set(found) - {*_KINDS, "score"}:
        return None
    return Outcome(**{**found, "score": number(found.get("score"))})


def order(outcome: Outcome) -> tuple[float, ...]:
    """The best first; to sort by."""
    word = _WORDS.index(outcome.word) if outcome.word in _WORDS else len(_WORDS)
    score = -1.0 if outcome.score is None else outcome.score
    return (_STATES.index(outcome.state), word, -score, outcome.seconds)


def outcome_of(statuses: Iterable[StepStatus], rung: str) -> Outcome:
    """What the steps of a variant, as far as one rung goes, tell of it."""
    found = {status.id: status for status in statuses}
    seconds = sum(float(one.artifact.manifest.get("seconds") or 0) for one in found.values() if one.artifact)
    judged = {one.id: one for one in found.values() if one.step.goal is not None}
    sweeps = {step_id: one for step_id, one in judged.items() if isinstance(one.step.goal, SliderGoal)}
    asked = sweeps or judged
    shares = {
        step_id.partition("@")[0]: shares_of(one.step.goal, one.artifact.result)
        for step_id, one in asked.items()
        if one.artifact is not None
    }
    made = Outcome(rung=rung, seconds=round(seconds, 3), numbers=shares)
    if broken := next((one for one in found.values() if one.state == FAILED), None):
        return _stopped(made, BROKEN, f"{broken.step.kind}: {'; '.join(broken.reasons)}")
    if any(one.state == HELD for one in found.values()):
        lacking = next((one for one in judged.values() if one.shortfalls and not one.step.is_accepted), None)
        return _stopped(made, MISSED, "; ".join(lacking.shortfalls) if lacking else "a goal was missed")
    if not all(one.is_made for one in found.values()):
        return made
    means = [fmean(values.values()) for values in shares.values() if values]
    score = round(min(means), 4) if means else None
    goals = [(one.step.goal, one.artifact) for one in sweeps.values()]
    words = [goal.score(made.result) for goal, made in goals if isinstance(goal, SliderGoal) and made]
    word = max(words, key=_WORDS.index, default="")
    return Outcome(MEASURED, score, word, rung, made.seconds, shares)


def _stopped(made: Outcome, state: str, reason: str) -> Outcome:
    return Outcome(state, None, "", made.rung, made.seconds, made.numbers, reason)


def shares_of(goal: Any, measured: Mapping[str, Any]) -> dict[str, float]:
    """What was measured as shares of the best there is, by name."""
    if isinstance(goal, CopierGoal):
        found = measured.get("psnr_db")
        worst, ceiling = (number(found.get(key)) for key in ("min", "ceiling")) if found else (None, None)
        if worst is None or ceiling is None:
            return {"copied": 0.0}
        return {"copied": _share(0.5 + (worst - goal.wanted(ceiling)) / (2 * _ABOVE_DB))}
    if isinstance(goal, SurvivalGoal):
        return {"kept": _share(number(measured.get("share")) or 0.0)}
    if not isinstance(goal, SliderGoal):
        return {}
    follows, strength, leak, fidelity, rest = (
        number(measured.get(name)) for name in ("rank_correlation", "strength", "leak", "fidelity", "rest")
    )
    shares = {
        "follows": (follows or 0.0) * goal.sign,
        "strength": 0.0 if strength is None else 1 - abs(strength * goal.sign - 1),
        "leak": 0.0 if leak is None else 1 - abs(leak) / goal.leak if goal.leak else float(not leak),
        "fidelity": fidelity,
        "rest": None if rest is None or not goal.rest else 1 - rest / goal.rest,
    }
    return {name: _share(value) for name, value in shares.items() if value is not None}


def _share(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 4)
