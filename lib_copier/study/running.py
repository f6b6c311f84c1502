"""Runs a study: every rung by the ordinary runner, past variants that fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lib_copier.engines.choose import engine_version
from lib_copier.engines.workers import Workers
from lib_copier.errors import ChildError, GoalError
from lib_copier.graph.events import Listener
from lib_copier.graph.executor import Executor
from lib_copier.graph.runner import Runner
from lib_copier.steps.device import device_lock, executor_for
from lib_copier.study.joint import JointPlan
from lib_copier.study.score import BROKEN, MEASURED, MISSED, Outcome
from lib_copier.study.study import Study


def run(
    study: Study,
    *,
    listener: Listener | None = None,
    should_stop: Callable[[], str] = lambda: "",
    elsewhere: Executor | None = None,
) -> dict[int, Outcome]:
    """Do what is not done, here or where `elsewhere` brings commands; the outcomes are recorded.

    A step that fails takes only the variants along that need it; the next run tries it again.

    Raises
    ------
    HeldError
        Another process runs the study.
    GoalError
        No variant reached a goal that it had to reach before its end.
    ChildError
        The last step that failed, where no variant was left.
    CancelledError
        It was stopped; what was done before is kept.
    """
    study.require_sound()
    device = str(study.question.recipe.get("project.device"))
    failures: list[ChildError] = []

    # They stay from rung to rung, with the models that they have loaded.
    with Workers() as workers:
        at_once = study.question.recipe.whole("project.at_once")
        executor = elsewhere or executor_for(device, at_once, workers)

        def runner_of(joint: JointPlan, hear: Listener) -> Runner:
            return Runner(
                joint.plan,
                study.store,
                study.folders,
                engine_version,
                listener=hear,
                should_stop=should_stop,
                device_lock=None if elsewhere else device_lock(device),
                executor=executor,
            )

        def make(joint: JointPlan) -> None:
            failures.extend(_made(joint, runner_of, listener))

        outcomes = study.climb(make, study.record)
    _require_one(outcomes, failures)
    return outcomes


def _made(
    joint: JointPlan, runner_of: Callable[[JointPlan, Listener], Runner], listener: Listener | None
) -> list[ChildError]:
    """Do the steps of a joint plan that can be done; what failed is left out and told."""
    failures: list[ChildError] = []
    failed: set[str] = set()

    def hear(event: Mapping[str, Any]) -> None:
        if event["event"] == "step_failed":
            failed.add(str(event["id"]))
        if listener is not None:
            listener(dict(event))

    while True:
        before = len(failed)
        try:
            runner_of(joint.without(failed), hear).run()
        except GoalError:
            # Its variants are told as such; all the others have gone on.
            return failures
        except ChildError as error:
            failures.append(error)
            if len(failed) == before:
                raise
            continue
        return failures


def _require_one(outcomes: Mapping[int, Outcome], failures: list[ChildError]) -> None:
    states = {outcome.state for outcome in outcomes.values()}
    if MEASURED in states:
        return
    if failures:
        raise failures[-1]
    reasons = {outcome.reason for outcome in outcomes.values() if outcome.state in (MISSED, BROKEN)}
    raise GoalError(
        f"No variant reached its end: {'; '.join(sorted(reasons)[:3])}.",
        "`study status` tells of each. Start from another recipe, or accept it there.",
    )
