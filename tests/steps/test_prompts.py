"""Prompts to try with by default, and the user's own, with their seeds, on the way into the steps."""

from __future__ import annotations

import pytest

from lib_copier.errors import FaultsError
from lib_copier.steps.prompts import OTHER_PROMPTS, PROMPTS, pairs


@pytest.mark.parametrize(("prompts", "count"), [(PROMPTS, 10), (("a",), 3), (("a", "b", "c"), 2)])
def test_prompts_take_turns_and_no_two_pictures_are_alike(prompts, count):
    found = pairs(prompts, count, 7)
    assert [prompt for prompt, _ in found] == [prompts[index % len(prompts)] for index in range(count)]
    assert [seed for _, seed in found] == list(range(7, 7 + count))


def test_nothing_is_judged_by_what_it_was_trained_with():
    assert not set(PROMPTS) & set(OTHER_PROMPTS)
    assert all(len(set(texts)) == len(texts) for texts in (PROMPTS, OTHER_PROMPTS))


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
