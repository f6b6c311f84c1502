"""The joint plan: shared work is one step, and every variant finds all of its own."""

from __future__ import annotations

from lib_copier.graph.status import Inspector
from lib_copier.steps.plan import plan
from lib_copier.study.rungs import WHOLE


def test_steps_are_one_exactly_where_their_work_is(study):
    asked = study(origins__one__seed=[1, 2], edits__outline__effects__strength=[0.5, 1])
    joint = asked.joint(WHOLE)
    kinds = [step.kind for step in joint.plan]
    counted = {
        kind: kinds.count(kind) for kind in ("origin", "copier", "check", "edit", "edit_lora", "sweep")
    }
    assert counted == {"origin": 2, "copier": 2, "check": 2, "edit": 4, "edit_lora": 4, "sweep": 4}
    assert "publish" not in kinds and joint.planned == 4 * 10
    for variant in asked.variants:
        own = plan(asked.recipe(variant)).up_to(
            [f"sweep/{edit.name}" for edit in asked.question.recipe.edits]
        )
        assert set(joint.ids[variant.number]) == {step.id for step in own}
        for step in own:
            if not step.same_as:
                found = joint.plan.step(joint.ids[variant.number][step.id])
                assert (found.kind, found.params, found.engine) == (step.kind, step.params, step.engine)


def test_steps_of_the_same_work_that_are_judged_otherwise_stay_two(study):
    joint = study(edits__outline__edit__least_kept=[0.2, 0.5]).joint(WHOLE)
    found = [step for step in joint.plan if step.kind == "survival"]
    assert [step.goal.share for step in found] == [0.2, 0.5]


def test_without_a_failed_step_all_that_needs_it_is_gone(study):
    joint = study(origins__one__seed=[1, 2]).joint(WHOLE)
    left = joint.without(["copier/one@1"]).plan
    assert "sweep/outline@1" not in left and "sweep/outline@2" in left and "origin/one@1" in left


def test_a_joint_step_has_the_key_of_the_variants_own(study, tmp_path):
    asked = study(origins__one__seed=[1, 2])
    joint = {status.id: status.key for status in asked.statuses(asked.joint(WHOLE)).values() if status.key}
    own = Inspector(plan(asked.recipe(asked.variants[1])), asked.store, asked.folder, str).all()
    assert joint["origin/one@2"] == own[0].key != joint["origin/one@1"]
