"""What steps are put together from: models, the LoRAs of prompts, engines that may refuse, devices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lib_copier.engines.task import MergeTask
from lib_copier.errors import InputError
from lib_copier.graph.step import Step, StepInput, Workplace
from lib_copier.steps import parts
from lib_copier.steps.parts import Model, checkpoint_model
from tests.steps.looks import published


def place(step: Step, folder: Path) -> Workplace:
    given = tuple((one, folder / Path(one.path).name) for one in step.inputs)
    return Workplace(step, folder, folder / "out", folder / "scratch", given)


def test_a_model_grows_by_loras_and_leaves_the_one_before_as_it_was(recipe):
    base = checkpoint_model(recipe(project__vae="own.pt", project__prediction="epsilon"))
    grown = base.with_lora("copier/one", 0.5).with_lora("", -1.0, path="style.safetensors")
    assert base.lora_inputs == () and base.prediction == grown.prediction == "epsilon"
    assert [(one.step, one.output, one.path, one.weight) for one in grown.lora_inputs] == [
        ("copier/one", "lora.safetensors", "", 0.5),
        ("", "", "style.safetensors", -1.0),
    ]
    written = grown.as_file("base")
    assert [(one.role, one.step, one.path) for one in written.inputs] == [
        ("checkpoint", "base", ""),
        ("vae", "", "own.pt"),
    ]


def test_the_user_s_word_is_about_the_project_s_own_checkpoint(recipe, tmp_path):
    made = recipe(project__prediction="v_prediction")
    assert checkpoint_model(made).prediction == "v_prediction"
    assert checkpoint_model(made, str(tmp_path / "other.safetensors")).prediction == "auto"


def test_a_model_in_the_words_of_a_job(tmp_path):
    inputs = (
        StepInput("checkpoint", path="model"),
        StepInput("base_lora", path="a", weight=0.5),
        StepInput("base_lora", path="b"),
    )
    step = Step("x", "x", None, inputs, (("prediction", "epsilon"),), cosmetic=(("device", "cpu"),))
    assert parts.model_job(place(step, tmp_path)) == {
        "checkpoint": str(tmp_path / "model"),
        "vae": None,
        "prediction": "epsilon",
        "base_loras": [
            {"path": str(tmp_path / "a"), "weight": 0.5},
            {"path": str(tmp_path / "b"), "weight": 1.0},
        ],
        "device": "cpu",
    }


def test_a_lora_of_a_prompt_is_found_copied_and_part_of_the_key(project, tmp_path):
    first = project("first")
    first.run()
    lora = tmp_path / "Lora" / "sub" / "thick.safetensors"
    lora.parent.mkdir(parents=True)
    lora.write_bytes(published(first))
    made = project("second")
    made.lora_dirs = (tmp_path / "Lora",)
    made.set({"origins.one.prompt": "a cat <lora:thick:0.5:-1>", "check.prompts": "a dog <lora:thick:2>"})
    (kept,) = made.recipe.texts("project.loras")
    lora.unlink()
    assert (made.folder / kept).name == "thick.safetensors" and (made.folder / kept).is_file()
    assert made.faults() == ()
    for step in ("origin/one", "check/one"):
        assert [one.path for one in made.plan().step(step).inputs if one.role == "prompt_lora"] == [kept]
    assert dict(made.plan().step("caption/one").params)["text"] == "a cat"


def test_each_lora_of_several_prompts_is_an_input_once(recipe):
    made = recipe(project__loras=("in/b.safetensors", "in/a.safetensors"))
    found = parts.prompt_loras(made, ["<lora:a:1> x <lora:gone:1>", "<lora:b:1> <lora:a:0.2>"])
    assert [one.path for one in found] == ["in/a.safetensors", "in/b.safetensors"]


def test_a_group_s_engine_is_its_own_or_the_project_s(recipe):
    made = recipe(project__engine="embedded", resize__engine="sd-scripts")
    assert parts.engine_for(made, "merge") == "embedded"
    assert parts.engine_for(made, "resize") == "sd-scripts"


def test_what_an_engine_cannot_do_is_told_with_the_step(tmp_path, monkeypatch):
    class Refusing:
        name = "narrow"

        def refusals(self, task):
            return ("It merges nothing.", "It is closed.") if task.loras else ()

        def command(self, task, work_dir):
            return "done"

    monkeypatch.setattr(parts, "engine_named", lambda name: Refusing())
    given = place(Step("merge/x", "merge", None, engine="narrow"), tmp_path)
    task = MergeTask((), tmp_path / "x")
    assert parts.engine_command(given, task) == "done"
    with pytest.raises(InputError, match=r"narrow cannot do step merge/x: It merges nothing; It is closed\."):
        parts.engine_command(given, replace(task, loras=(object(),)))


@pytest.mark.parametrize(
    ("device", "expected"), [("auto", "cpu"), ("cpu", "cpu"), ("mps", "cpu"), ("cuda:1", "cuda:1")]
)
def test_algebra_leaves_the_processor_for_a_named_gpu_alone(tmp_path, device, expected):
    step = Step("x", "x", None, cosmetic=(("device", device),))
    assert parts.merge_device(place(step, tmp_path)) == expected


@pytest.mark.parametrize(("width", "height", "size"), [(0, 0, None), (64, 0, None), (64, 96, (64, 96))])
def test_a_size_to_judge_by_has_two_sides(recipe, width, height, size):
    assert parts.judged_size(recipe(sweep__width=width, sweep__height=height), None) == size


def test_a_model_without_loras_is_a_model(checkpoint):
    assert Model((StepInput("checkpoint", path=str(checkpoint)),)).lora_inputs == ()
