"""The plans of many variants as one: what variants share is one step, made once, found by all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

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
            work = _work(step, own)
            if work not in known:
                known[work] = f"{step.id}@{variant.number}"
                steps.append(_among(step, own, known[work]))
            own[step.id] = known[work]
    return JointPlan(Plan(tuple(steps)), ids, planned)


def _among(step: Step, own: Ids, name: str) -> Step:
    """The step under its joint name, naming those before it by theirs."""
    return replace(
        step,
        id=name,
        inputs=tuple(replace(one, step=own[one.step]) if one.step else one for one in step.inputs),
        waits_for=tuple(own[one] for one in step.waits_for),
    )


def _work(step: Step, own: Ids) -> bytes:
    """Equal for equal work that is judged alike."""
    inputs = [(one.role, own.get(one.step), one.output, one.path, one.weight) for one in step.inputs]
    judged = (step.goal, step.is_accepted, [own[one] for one in step.waits_for])
    parts = (step.kind, step.params, inputs, step.outputs, step.engine, judged)
    return hashlib.sha1(repr(parts).encode(), usedforsecurity=False).digest()
