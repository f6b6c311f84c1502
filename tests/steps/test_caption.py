"""The caption: what it is taken from, and what of the recipe decides it."""

from __future__ import annotations

import pytest

from lib_copier.recipe.check import faults
from lib_copier.steps.plan import plan
from tests.steps.looks import command_of, others, words_of


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"prompt": "a (house:1.2)", "caption": "typed"}, "a house"),
        ({"caption_source": "typed", "prompt": "a", "caption": "a (b)\n <lora:x:1> c"}, "a (b) c"),
        ({"caption_source": "none", "prompt": "a", "caption": "b"}, ""),
    ],
)
def test_each_source_gives_its_text(project, values, text):
    made = project().set({f"origins.one.{name}": value for name, value in values.items()})
    assert dict(made.plan().step("caption/one").params) == {"text": text}
    made.run(["caption/one"])
    assert made.file("caption/one").read_text() == text + "\n"


def test_a_picture_from_a_file_may_have_any_prompt(project):
    """There it is a caption alone."""
    made = project().set({"origins.one.prompt": "(a cat:1.2) AND [red:blue:0.5] <lora:gone:1>"})
    recipe = made.recipe.with_origin(made.recipe.origin("one").replaced(source="file", file="x.png"))
    assert not any("prompt" in fault for fault in faults(recipe, made.folder))
    assert dict(plan(recipe).step("caption/one").params)["text"] == "a cat, blue"


def test_a_tagger_reads_the_picture_and_may_fetch_its_model(recipe, tmp_path):
    asked = recipe(caption__tagger_threshold=0.5)
    asked = asked.with_origin(asked.origins[0].replaced(caption_source="tagger"))
    step = plan(asked).step("caption/one")
    assert words_of(step, tmp_path) == [
        *("lib_copier.caption", "picture.0", "out/caption.txt"),
        *("--model", "SmilingWolf/wd-v1-4-convnext-tagger-v2", "--threshold", "0.5"),
    ]
    assert "HF_HUB_OFFLINE" not in dict(command_of(step, tmp_path).env)
    assert step.engine == "embedded" and step.follows == ("origin/one",)


def test_the_tagger_s_settings_make_only_its_caption_anew(recipe):
    typed = recipe()
    tagged = typed.with_origin(typed.origins[0].replaced(caption_source="tagger"))
    for one, changed in ((typed, set()), (tagged, {"caption/one"})):
        other = one.with_settings({"caption.tagger_threshold": 0.9})
        assert others(plan(one), plan(other)) == changed
