"""Keys change with what matters, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib_copier.graph.step import Output, Plan, Step, StepInput, step_key

BASE = Step(
    "copier/a",
    "copier",
    None,
    inputs=(StepInput("lora", step="x", output="f", weight=1.0), StepInput("picture", path="p.png")),
    params=(("rank", 64), ("layers", ("a", "b")), ("size", None)),
    outputs=(Output("f", "lora"),),
    cosmetic=(("device", "cpu"),),
    engine="embedded",
)
DIGESTS = ("d1", "d2")
KEY = step_key(BASE, DIGESTS, "1")


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, kind="edited_copier"),
        replace(BASE, params=(("rank", 65), ("layers", ("a", "b")), ("size", None))),
        replace(BASE, params=(("rank", 64), ("layers", ("a",)), ("size", None))),
        replace(BASE, params=(*BASE.params, ("more", 0))),
        replace(BASE, inputs=(replace(BASE.inputs[0], weight=0.5), BASE.inputs[1])),
        replace(BASE, inputs=(replace(BASE.inputs[0], role="other"), BASE.inputs[1])),
        replace(BASE, engine="sd-scripts"),
    ],
)
def test_what_matters_changes_the_key(other: Step) -> None:
    assert step_key(other, DIGESTS, "1") != KEY


def test_inputs_and_engine_version_change_the_key() -> None:
    assert step_key(BASE, ("d1", "d3"), "1") != KEY
    assert step_key(BASE, ("d2", "d1"), "1") != KEY
    assert step_key(BASE, DIGESTS, "2") != KEY


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, id="copier/b"),
        replace(BASE, cosmetic=(("device", "cuda"),)),
        replace(BASE, params=(("layers", ["a", "b"]), ("size", None), ("rank", 64))),
        replace(BASE, inputs=(replace(BASE.inputs[0], step="y"), replace(BASE.inputs[1], path="q.png"))),
        replace(BASE, note="other words"),
    ],
)
def test_what_does_not_matter_leaves_the_key(other: Step) -> None:
    assert step_key(other, DIGESTS, "1") == KEY


def test_a_plan_in_the_wrong_order_is_refused() -> None:
    first, second = Step("a", "a", None), Step("b", "b", None, inputs=(StepInput("x", step="a", output="f"),))
    assert Plan((first, second)).up_to(["a"]).steps == (first,)
    for steps in ((second, first), (first, first)):
        with pytest.raises(ValueError, match="twice, or before"):
            Plan(steps)
