"""What the program says elsewhere reaches the page in words for people, in both languages."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.errors import FaultsError, InputError
from lib_copier.image.effects import EFFECTS
from lib_copier.measure.attributes import ATTRIBUTES
from lib_copier.recipe.options import METHODS, OPTIONS
from lib_copier.settings.option import Option
from lib_copier.steps.project import Project
from lib_copier.ui.phrases import Place, place_of
from lib_copier.ui.texts import LANGUAGES, Texts, read_words
from tests.ui.leaks import leaks
from tests.ui.messages import literals, messages

SPEAKERS = (
    *(
        "ui",
        "host",
        "recipe",
        "settings",
        "txt2img",
        "steps",
        "graph",
        "engines",
        "image",
        "model_file",
        "files",
    ),
    *("border", "edge.py", "train", "generate", "models", "measure", "caption"),
    *("lora", "environment", "worker", "study"),
)
"""Whose messages the page shows: its own process, the set-up, and the children of a step. Only the words of
commands that no page runs (`app`) are their own."""
PLACEHOLDER = re.compile(r"\{[a-z]*\d*\}")
SAID = read_words("said.json")


def plain(template: str) -> str:
    return PLACEHOLDER.sub("{}", template)


def spoken() -> set[str]:
    """All that is said: messages, the effects' own words, and what is measured."""
    helps = {one.help for effect in EFFECTS.values() for one in effect.parameters}
    return messages(*SPEAKERS) | helps | {one.label for one in ATTRIBUTES.values()}


def test_every_message_has_words_on_the_page():
    assert not sorted(spoken() - {plain(text) for text in SAID})


def test_no_words_are_left_of_messages_that_are_gone():
    said, sources = spoken(), set(re.findall(r"[\w-]+", literals()))
    # What is put together as it runs is in no source as a whole, but each of its words is.
    composed = {text for text in SAID if plain(text) not in said}
    assert len(composed) < len(SAID) / 4
    gone = {text for text in composed if not set(re.findall(r"[\w-]{3,}", plain(text))) <= sources}
    assert not gone


def test_translations_keep_their_placeholders():
    for text, found in SAID.items():
        known = set(PLACEHOLDER.findall(text))
        for words in found.values() if isinstance(found, dict) else [found]:
            assert set(PLACEHOLDER.findall(words)) <= known, text
        for key in re.findall(r"\[([a-z_.]+)\]", str(found)):
            assert key in OPTIONS or any(one.name == key for one in OPTIONS.values()), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_of_steps_and_settings(language):
    words = Texts(language)
    for message in (
        "waits for edit_lora/first/my edit; waits for caption/first",
        "edit_lora.warmup_steps 10 is more than 3 steps",
        "copier.rank changed 32 → 64",
        "edit_lora.mask changed None → True",
        "edit.chain changed",
        "base.timestep_min 5 is not below timestep_max 3",
        "edit 'x': edit_lora.conv_alpha is given without conv_rank: give both or neither",
        "Step sweep/x ended, but result.json was not made. Run it again; if it comes back, look at its log.",
        "recipe of lines: 2 faults: there is no edit; project.checkpoint names no file.",
    ):
        said = words.said(message)
        assert not leaks(said, language if message[5:8] != "lor" else "en"), said
        assert "None" not in said and "True" not in said


@pytest.mark.parametrize("method", METHODS)
def test_every_step_and_whatever_changes_in_it_has_a_name(tmp_path, method):
    project = Project.create(tmp_path / "lines")
    own = {"origins.b.caption_source": "tagger", "edits.x.edit_lora.mask": True, "project.method": method}
    switched_on = ("sweep.control", "copier_model.as_file", "base.train_style", "base.as_file")
    project.set({"origins.a": True, **own, "edits.x.effects": "outline", **dict.fromkeys(switched_on, True)})
    for language in LANGUAGES:
        words = Texts(language)
        for step in project.plan():
            assert words.has(f"step.{step.kind}"), step.kind
            for name, _ in step.params:
                assert not words.setting(f"{step.kind}.{name}").endswith(f"› {name}")
                assert not leaks(words.said(f"{step.kind}.{name} changed 1 → "), language)


@pytest.mark.parametrize("end", ["ended with exit code 3", "was ended by SIGKILL"])
def test_a_child_that_said_nothing_is_told_of_in_one_language(end):
    assert "child" not in Texts("ja").said(f"The child process {end}.")


def test_what_a_child_said_last_takes_no_sentence_of_ours_with_it():
    told = "The child process ended with exit code 1: X: found y==0.13.2. Look at its log for the cause."
    said = Texts("ja").said(told)
    assert "X: found y==0.13.2" in said
    assert "Look at" not in said and "child" not in said


def test_a_sentence_that_is_none_of_ours_stays_but_for_its_settings():
    assert Texts("ja").said("something new") == "something new"
    assert Texts("en").said("See copier.rank.") == "See Copier LoRA › Rank (dim)."
    assert Texts("en").said("/home/copier.rank/x") == "/home/copier.rank/x"
    assert Texts("en").said("base.safetensors") == "base.safetensors"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", OPTIONS)
def test_whatever_a_setting_refuses_is_said_in_words(key, language):
    option, words = OPTIONS[key], Texts(language)
    faults = [
        fault for value in ("nonsense", "", "7e99", "a/b", None, [1]) if (fault := refusal(option, value))
    ]
    assert faults or option.kind in {"str", "text", "path", "list", "paths"}
    for fault in faults:
        assert not leaks(words.said(fault), language), fault
        assert place_of(fault).key == key


def refusal(option: Option, value: object) -> str:
    try:
        option.parse(value) if isinstance(value, str) else option.accept(value)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_is_said_with_its_advice(language):
    words = Texts(language)
    error = FaultsError("settings", ["copier.rank needs a value", "there is no edit"], "Nothing was changed.")
    said = words.error(error)
    assert not leaks(said, language)
    assert words.said("there is no edit") in said and words.said("Nothing was changed.") in said
    assert words.error(InputError("No project is open.")) == words.said("No project is open.")


@given(st.text(max_size=80))
def test_any_text_is_said(text):
    assert isinstance(Texts("ja").said(text), str)


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ("origin 'first': origin.prompt is empty", Place("origin", "origin.prompt", origin="first")),
        ("edit 'x': sweep.weight_min 1 is not below sweep.weight_max 0",
         Place("preview", "sweep.weight_min", edit="x")),
        ("edit 'x': it has neither an effect nor a picture for origin 'a'", Place("edit", edit="x")),
        ("there is no origin picture", Place("origin")),
        ("there is no edit", Place("edit")),
        ("copier.timestep_min 5 is not below timestep_max 3", Place("copier", "copier.timestep_min")),
        ("project.checkpoint names no file", Place("project", "project.checkpoint")),
        ("something else", Place("project")),
    ],
)  # fmt: skip
def test_a_fault_has_a_place(fault, place):
    assert place_of(fault) == place


def test_a_refused_run_leads_to_the_first_fault(ask, view):
    ask("set", view, key="copier.timestep_min", target="recipe", value="900")
    ask("set", view, key="copier.timestep_max", target="recipe", value="800")
    answer = ask("run_all", view)
    assert answer["field"] == "copier.timestep_min"
    assert answer["view"]["panel"] == "copier"
    (marked,) = re.findall(r'<input[^>]*aria-invalid="true"[^>]*>', answer["html"]["panel"])
    assert 'data-set="copier.timestep_min"' in marked
    project = ask("go", {**view, "panel": "project"})["html"]["panel"]
    assert 'data-go-field="copier.timestep_min"' in project


def test_a_refused_value_leads_to_its_field(ask, view):
    answer = ask("set", view, key="origin.width", target="origin", value="7")
    assert answer["field"] == "origin.width"
    assert "origin.width" not in json.dumps(answer["notice"])
