"""The plans of many variants as one: what variants share is one step, made once, found by all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lib_copier.graph.step import Plan, Step
from lib_copier.study.variants import Variant

PlanOf = Callable[[Variant], Plan]
Ids = Mapping[str, str]


@dataclass(frozen=True)
class JointPlan:
    """One plan for many variants.

    Parameters
    ----------
    ids:
        For each variant, by its number, the joint step of each step of its own plan.
    planned:
        How many steps the variants have, were nothing shared.
    """

    plan: Plan
    ids: Mapping[int, Ids]
    planned: int

    def without(self, failed: Collection[str]) -> JointPlan:
        """What is left where some steps cannot be had: without all that needs them."""
        gone = set(failed)
        for step in self.plan:
            if gone.intersection(step.follows):
                gone.add(step.id)
        return replace(self, plan=Plan(tuple(step for step in self.plan if step.id not in gone)))


def joint_plan(variants: Iterable[Variant], plan_of: PlanOf) -> JointPlan:
    """The plans of these variants, joined.

    Two steps are one where everything that their content keys are taken from is equal: kind, parameters,
    engine, and inputs that are one in turn. Steps that have nothing to do are left out for those whose
    results they take over.
    """
    known: dict[bytes, str] = {}
    steps: list[Step] = []
    ids: dict[int, dict[str, str]] = {}
    planned = 0
    for variant in variants:
        own = ids[variant.number] = {}
        for step in plan_of(variant):
            if step.same_as:
                own[step.id] = own[step.same_as]
                continue
            planned += 1
            named = _among(step, own)
            work = _work(named)
            if work not in known:
                known[work] = f"{step.id}@{variant.number}"
                steps.append(replace(named, id=known[work]))
            own[step.id] = known[work]
    return JointPlan(Plan(tuple(steps)), ids, planned)


def _among(step: Step, own: Ids) -> Step:
    """The step, naming those before it by their joint names."""
    return replace(
        step,
        inputs=tuple(replace(one, step=own[one.step]) if one.step else one for one in step.inputs),
        waits_for=tuple(own[one] for one in step.waits_for),
    )


def _work(step: Step) -> bytes:
    """Equal for equal work that is judged alike."""
    parts: tuple[Any, ...] = (step.kind, step.params, step.inputs, step.outputs, step.engine)
    judged = (step.goal, step.is_accepted, step.waits_for)
    return hashlib.sha1(repr((parts, judged)).encode(), usedforsecurity=False).digest()
