"""Successive halving (Jamieson and Talwalkar 2016), as Optuna has it: one in so many goes on to more work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lib_copier.environment.optional import ensure_group
from lib_copier.study.score import MEASURED, PRUNED, Outcome
from lib_copier.study.variants import Variant

GROUP = "prune"


def require_library() -> None:
    """Have Optuna installed where it is not there yet; see `ensure_group`."""
    ensure_group(GROUP, "A study that prunes")


def promoted(alive: Sequence[Variant], outcomes: dict[int, Outcome], reduction: int) -> tuple[Variant, ...]:
    """The variants that go on, by their scores so far; the others are noted as pruned.

    Where several have the last score that goes on, all of them do.
    """
    judged = [one for one in alive if outcomes[one.number].state == MEASURED]
    if not judged:
        return ()
    require_library()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=reduction)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for variant in judged:
        score = outcomes[variant.number].score
        study.ask().report(0.0 if score is None else score, step=1)
    # Optuna compares a trial with those that it has seen: it sees all of them before any is decided.
    trials = study.get_trials()
    for trial in trials:
        pruner.prune(study, trial)
    going_on = tuple(one for one, trial in zip(judged, trials, strict=True) if not pruner.prune(study, trial))
    for variant in set(judged) - set(going_on):
        outcomes[variant.number] = replace(outcomes[variant.number], state=PRUNED)
    return going_on
