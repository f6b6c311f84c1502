"""Prompts with LoRAs, random seeds and captions, on their way from the recipe into the steps."""

from __future__ import annotations

import pytest

from lib_copier.errors import FaultsError
from lib_copier.recipe.check import faults
from lib_copier.steps.plan import plan
from tests.steps.looks import published


@pytest.fixture
def lora(project, tmp_path):
    """A published LoRA in a folder of LoRAs."""
    made = project("first")
    made.run()
    folder = tmp_path / "Lora" / "sub"
    folder.mkdir(parents=True)
    path = folder / "thick.safetensors"
    path.write_bytes(published(made))
    return path


def test_a_lora_of_a_prompt_is_found_copied_and_part_of_the_key(project, lora, tmp_path):
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


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"origins.one.prompt": "a <lora:gone:1> cat"}, "origin.prompt names <lora:gone:1>"),
        ({"origins.one.negative_prompt": "<lora:gone>"}, "origin.negative_prompt names <lora:gone>"),
        ({"sweep.prompts": "cat AND dog"}, "sweep.prompt mixes prompts"),
        ({"edits.outline.sweep.prompts": "[a|b]"}, "edit 'outline': sweep.prompt mixes prompts"),
    ],
)
def test_prompts_that_cannot_be_printed_are_faults_before_anything_runs(project, values, words):
    made = project().set(values)
    assert any(words in fault for fault in made.faults())


def test_a_picture_from_a_file_may_have_any_prompt(project):
    """There it is a caption alone."""
    made = project().set({"origins.one.prompt": "(a cat:1.2) AND [red:blue:0.5] <lora:gone:1>"})
    recipe = made.recipe.with_origin(made.recipe.origin("one").replaced(source="file", file="x.png"))
    assert not any("prompt" in fault for fault in faults(recipe, made.folder))
    assert dict(plan(recipe).step("caption/one").params)["text"] == "a cat, blue"


def test_a_typed_caption_keeps_its_brackets_but_no_tag(project):
    made = project().set({"origins.one.caption_source": "typed", "origins.one.caption": "a (b) <lora:x:1> c"})
    assert dict(made.plan().step("caption/one").params)["text"] == "a (b) c"


@pytest.mark.parametrize("value", ["-1", -1])
def test_a_random_seed_is_drawn_when_it_is_asked_for(project, value):
    made = project().set({"origins.one.seed": value, "sweep.seed": value, "copier.seed": value})
    seeds = [
        made.recipe.origin("one").get("seed"),
        made.recipe.get("sweep.seed"),
        made.recipe.get("copier.seed"),
    ]
    assert all(isinstance(seed, int) and seed >= 0 for seed in seeds) and len(set(seeds)) == 3
    assert made.plan().step("origin/one").params == made.plan().step("origin/one").params
    with pytest.raises(FaultsError):
        made.set({"origins.one.seed": "-2"})


def test_a_file_that_is_no_lora_is_told_when_it_is_chosen(project, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no header")
    for key in ("project.loras", "base.loras"):
        with pytest.raises(FaultsError, match=r"broken\.safetensors"):
            project(key.replace(".", "-")).set({key: str(tmp_path / "broken.safetensors")})
