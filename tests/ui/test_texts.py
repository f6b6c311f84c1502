"""Both languages say the same things, and everything the page says is in them."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from lib_copier.image.effects import EFFECTS
from lib_copier.recipe.options import OPTIONS
from lib_copier.ui import texts
from lib_copier.ui.texts import LANGUAGES, Texts, read_words
from lib_copier.ui.view import PANELS, STEP_KINDS

SOURCES = sorted(Path(texts.__file__).parent.rglob("*.py"))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_the_languages_have_the_same_keys_and_placeholders():
    english, japanese = read_words("en.json"), read_words("ja.json")
    extra = {key for key in japanese if not key.startswith("param.")} ^ set(english)
    assert not extra
    for key, text in english.items():
        assert placeholders(text) == placeholders(japanese[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_that_the_sources_name_is_there(language):
    words = Texts(language)
    named = {
        key
        for path in SOURCES
        for key in re.findall(
            r'(?:texts|block|nothing)\(\s*"([a-z_]+(?:\.[a-z_]+)*)"', path.read_text(encoding="utf-8")
        )
    }
    assert len(named) > 100
    assert not {key for key in named if not words.has(key)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_whose_keys_are_put_together_are_there(language):
    words = Texts(language)
    wanted = [f"{panel}.{part}" for panel in (*PANELS, "start") for part in ("title", "lead")]
    wanted += [f"effect.{name}{part}" for name in EFFECTS for part in ("", ".says")]
    wanted += [
        f"state.{state}"
        for state in ("done", "stale", "running", "failed", "missing", "partly", "missed", "held", "accepted")
    ]
    wanted += [f"run.stopping_{how}" for how in ("save", "discard")]
    wanted += [f"missed.{kind}" for kind in ("check", "survival", "sweep")]
    wanted += [f"way.{way}" for way in ("longer", "change", "accept")]
    wanted += [f"preview.{doubt}" for doubt in ("too_weak", "too_few")] + ["cause.engine"]
    wanted += [f"preview.score.{word}" for word in ("good", "usable", "not_yet")]
    wanted += [f"job.{state}" for state in ("queued", "running", "done", "failed", "cancelled")]
    wanted += [
        f"engine.{state}" for state in ("missing", "making", "ready", "broken", "set_up", "install", "remove")
    ]
    wanted += [f"step.{kind}" for kinds in STEP_KINDS.values() for kind in kinds]
    wanted += [f"value.{value}" for value in (None, True, False)]
    wanted += [f"check.{verdict}" for verdict in ("good", "off", "origin", "round_trip")]
    wanted += [
        f"combine.{kind}" for kind in ("merge", "difference", "svd", "resize", "sign.edit", "sign.memo")
    ]
    assert not [key for key in wanted if not words.has(key)]


def test_every_option_has_a_japanese_label():
    words = Texts("ja")
    untranslated = [
        key for key, option in OPTIONS.items() if re.fullmatch(r"[ -~]+", words.option_label(option))
    ]
    # Names that are the same in both languages.
    assert {key.partition(".")[2] for key in untranslated} <= {"vae", "clip_skip"}


def test_an_unknown_language_is_english():
    assert Texts("xx")("close") == "Close"
