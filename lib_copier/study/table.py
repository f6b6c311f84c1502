"""What became of a study's variants, as lines of text and as one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lib_copier.markup.html import duration
from lib_copier.study.score import PRUNED, Outcome
from lib_copier.study.study import Study

SHARES = ("follows", "strength", "leak", "fidelity", "rest", "copied", "kept")
"""The parts of a score, in the order in which they are shown."""


def sizes(study: Study) -> str:
    """How many variants there are, and along which axes."""
    told = [f"{axis.name} ({len(axis.choices)})" for axis in study.question.axes]
    return f"{len(study.variants)} variants of {', '.join(told)}"


def as_json(study: Study, outcomes: Mapping[int, Outcome]) -> dict[str, Any]:
    """Everything, the best variant first."""
    found = study.running()
    return {
        "study": study.name,
        "folder": str(study.folder),
        "axes": {axis.name: [choice.name for choice in axis.choices] for axis in study.question.axes},
        "running": list(found.steps) if found else [],
        "variants": [
            {
                "number": variant.number,
                "name": variant.name,
                "choices": [choice.name for choice in variant.choices],
                **outcomes[variant.number].to_json(),
            }
            for variant in study.ranked(outcomes)
        ],
    }


def lines(study: Study, outcomes: Mapping[int, Outcome], most: int) -> Iterator[str]:
    """A table of the first `most`, and a line on all of them."""
    counted = Counter(outcome.state for outcome in outcomes.values())
    yield f"{sizes(study)}: {', '.join(f'{count} {state}' for state, count in counted.items())}."
    if found := study.running():
        yield f"Running: {', '.join(found.steps)}."
    shown = study.ranked(outcomes)[:most]
    width = max((len(variant.name) for variant in shown), default=0)
    for place, variant in enumerate(shown, 1):
        outcome = outcomes[variant.number]
        score = "     –" if outcome.score is None else f"{outcome.score:6.3f}"
        is_pruned = outcome.state == PRUNED
        word = outcome.word or ("" if is_pruned else outcome.state)
        parts = [f"{place:>4} {variant.name:<{width}} {score} {word:<9}"]
        parts += [f"{name} {value:.2f}" for name, value in worst_shares(outcome).items()]
        parts += [duration(outcome.seconds)] if outcome.seconds else []
        parts += [f"pruned after {outcome.rung}"] if is_pruned else []
        parts += [outcome.reason] if outcome.reason else []
        yield "  ".join(parts).rstrip()
    if len(outcomes) > len(shown):
        yield f"… and {len(outcomes) - len(shown)} more."


def worst_shares(outcome: Outcome) -> dict[str, float]:
    """Each part of the score, of several edits the worst."""
    found: dict[str, float] = {}
    for shares in outcome.numbers.values():
        for name, value in shares.items():
            found[name] = min(value, found.get(name, value))
    return {name: found[name] for name in SHARES if name in found}
