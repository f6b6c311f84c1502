"""Steps begin in the plan's order, never before what they follow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib_copier.graph.order import Waiting
from lib_copier.graph.step import Plan, Step, StepInput


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    steps = []
    for number in range(draw(st.integers(1, 12))):
        before = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        inputs = tuple(StepInput("x", step=str(one)) for one in sorted(before))
        steps.append(Step(str(number), "s", None, inputs))
    return Plan(tuple(steps))


@given(plans(), st.randoms())
def test_every_step_begins_once_after_all_that_it_follows_and_as_early_as_it_may(plan, chance):
    waiting, begun, settled = Waiting(plan), [], set()
    under_way: list[str] = []
    while waiting or under_way:
        found = waiting.next() if chance.random() < 0.7 or not under_way else None
        if found is None:
            ended = under_way.pop(chance.randrange(len(under_way)))
            settled.add(ended)
            waiting.settle(ended)
            continue
        place, step = found
        may = [one for one in plan if one.id not in begun and settled.issuperset(one.follows)]
        assert step is may[0] is plan.steps[place]
        begun.append(step.id)
        under_way.append(step.id)
    assert sorted(begun, key=int) == [step.id for step in plan]


def test_beside_others_the_first_that_can():
    light = Step("light", "s", None, beside=())
    later = Step("later", "s", None, (StepInput("x", step="light"),), beside=())
    waiting = Waiting(Plan((Step("a", "s", None), light, later, Step("b", "s", None))))
    assert waiting.next()[1].id == "a"
    assert waiting.next(beside=True)[1] is light and waiting.next(beside=True) is None
    waiting.settle("light")
    assert waiting.next()[1] is later and waiting.next(beside=True) is None and waiting.next()[1].id == "b"


def test_a_step_that_was_set_aside_comes_back_when_recalled():
    waiting = Waiting(Plan((Step("a", "s", None), Step("b", "s", None))))
    place, first = waiting.next()
    waiting.set_aside(place)
    assert waiting.next()[1].id == "b" and waiting.next() is None and waiting
    waiting.recall()
    assert waiting.next() == (place, first) and not waiting
