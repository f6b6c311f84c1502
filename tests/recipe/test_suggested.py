"""What a checkpoint's file suggests is checked like any input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lib_copier.engines.locate import demo_checkpoint, root
from lib_copier.model_file.checkpoint import SUGGESTED_KEY, facts_of
from lib_copier.model_file.header import read_header
from lib_copier.recipe.options import OPTIONS
from lib_copier.recipe.presets import first_values, suggested_preset
from lib_copier.recipe.suggested import suggested_values


def test_the_demo_checkpoint_carries_what_its_folder_says() -> None:
    written = json.loads((root() / "demo" / "suggested.json").read_text(encoding="utf-8"))
    assert json.loads(read_header(demo_checkpoint()).metadata[SUGGESTED_KEY]) == written
    found = suggested_values(facts_of(demo_checkpoint()))
    assert set(found) == set(written), "nothing of it is unsound"
    assert suggested_preset(str(demo_checkpoint())) == "auto"


def test_nothing_is_judged_by_what_it_was_trained_on() -> None:
    found = suggested_values(facts_of(demo_checkpoint()))
    prompts = found["sweep.prompts"]
    assert len(prompts) == len(set(prompts)) == 16
    learned = {found["origin.prompt"], *found["copier.other_prompts"]}
    assert not (learned | {*found["copier.unseen_prompts"]}) & set(prompts)
    assert not learned & {*found["copier.unseen_prompts"]}


def test_what_is_unsound_or_none_of_its_business_is_left_out() -> None:
    hostile = {
        "origin.seed": -1,
        "origin.steps": 12,
        "origin.file": "/etc/passwd",
        "sweep.checkpoint": "../x",
        "publish.folder": "/tmp",
        "base.loras": ["x"],
        "project.device": "cuda:7",
        "project.at_once": 99,
        "check.prompts": ["a", 3],
        "copier.rank": {"a": 1},
        "no.such": 1,
        "preset": ["memo"],
    }
    facts = replace(facts_of(demo_checkpoint()), suggested=hostile)
    assert suggested_values(facts) == {"origin.width": 512, "origin.height": 512, "origin.steps": 12}


def test_an_unknown_checkpoint_suggests_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "none.safetensors")
    assert first_values(path, ["a"]) == {} and suggested_preset(path) == "auto"
    assert first_values("", ["a"]) == {}


def test_first_values_leave_to_presets_what_is_theirs() -> None:
    values = first_values(str(demo_checkpoint()), ["a", "b"])
    assert values["origins.b.width"] == 128 and values["project.at_once"] == 4
    assert "copier.other_prompt_share" not in values
    assert {key for key in values if not key.startswith("origins.")} <= set(OPTIONS)
