"""The one table of training settings: all that knows of a setting derives from it."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

import lib_copier
from lib_copier.recipe.options import OPTIONS
from lib_copier.settings.training import SETTINGS, STEP_SETTINGS, TrainTask, setting_faults
from lib_copier.train.config import RULES

TASK = TrainTask(Path("m"), Path("o"), ())
PACKAGE = Path(lib_copier.__file__).parent
SHARED_WORDS = {
    *("steps", "seed", "rank", "conv_rank", "conv_alpha", "alpha", "clip_skip"),
    *("precision", "save_precision", "prediction", "device", "copied_psnr"),
}
"""Names that other things than a training's settings have too: sampling steps, the similarity reached …"""


@pytest.mark.parametrize("group", ["base", "copier", "edit_lora"])
def test_every_group_has_every_setting_as_the_table_has_it(group):
    for name in STEP_SETTINGS:
        option, setting = OPTIONS[f"{group}.{name}"], SETTINGS[name]
        changed = {"key", "default", "scope", "shown_when"}
        for field in dataclasses.fields(option):
            if field.name not in changed:
                assert getattr(option, field.name) == getattr(setting, field.name), (name, field.name)
        assert option.accept(setting.default) == setting.default
        assert RULES[name](setting.default if not isinstance(setting.default, tuple) else []) is not None or (
            setting.optional
        )


def test_a_task_has_the_table_s_defaults():
    assert {name: getattr(TASK, name) for name in SETTINGS} == {
        name: setting.default for name, setting in SETTINGS.items()
    }


def test_precision_and_cuda_graphs_can_be_set_in_a_project():
    assert OPTIONS["copier.precision"].choices == ("auto", "fp32", "bf16", "fp16")
    assert OPTIONS["copier.cuda_graph"].choices == ("auto", "on", "off")
    assert OPTIONS["copier.cuda_graph"].is_cosmetic and not OPTIONS["copier.precision"].is_cosmetic


def _second_definitions(path: Path) -> list[str]:
    """Fields with defaults and options of a setting's name in a file: a table of its own begins so."""
    own = set(SETTINGS) - SHARED_WORDS
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign) and one.value is not None]
            found += [one.target.id for one in fields if isinstance(one.target, ast.Name)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("Option", "rules.number", "whole"):
            found += [
                one.value.rpartition(".")[2]
                for one in node.args[:1]
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
    return sorted(own.intersection(found))


def test_no_setting_is_defined_a_second_time(tmp_path):
    for path in PACKAGE.rglob("*.py"):
        if path != PACKAGE / "settings" / "training.py":
            assert not _second_definitions(path), path
    second = tmp_path / "second.py"
    second.write_text(
        'class Config:\n    warmup_steps: int = 500\nOption("x.max_grad_norm", "float", 1.0, "")\n'
    )
    assert _second_definitions(second) == ["max_grad_norm", "warmup_steps"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"timestep_min": 900, "timestep_max": 10}, "timestep_min 900 is not below timestep_max 10"),
        ({"conv_alpha": 4.0}, "without conv_rank"),
        ({"layers": ("(",)}, "no regular expression"),
        ({"optimizer": "transformers.pipeline"}, "one of adamw"),
        ({"optimizer_args": ("x",)}, "NAME=VALUE"),
    ],
)
def test_what_does_not_go_together_is_a_fault(values, words):
    (fault,) = setting_faults(values)
    assert words in fault


def test_the_defaults_are_sound():
    assert list(setting_faults({})) == []


def test_a_warm_up_longer_than_the_training_is_shortened_and_said():
    short = dataclasses.replace(TASK, steps=300)
    assert short.own_warmup == 300
    assert "warm-up of 500 steps is longer" in next(short.notes())
    assert (TASK.own_warmup, list(TASK.notes())) == (500, [])


def test_nothing_in_other_and_sample_prompts_acts_while_training_and_that_is_said():
    written = ("", "(a cat:1.2) <lora:thick:1>", "dog AND [old:new:0.5] hat", "a bird")
    task = dataclasses.replace(TASK, other_prompts=written, sample_prompts=written)
    assert task.own_other_prompts == task.own_sample_prompts == ("", "a cat", "dog, new hat", "a bird")
    assert list(task.notes()) == []
    assert "left out" in next(dataclasses.replace(task, other_prompt_share=0.5).notes())
    plain = dataclasses.replace(task, other_prompts=("", "a bird"), other_prompt_share=0.5)
    assert list(plain.notes()) == []


def test_the_alpha_of_convolutions_is_one_where_none_is_given():
    assert TASK.own_conv_alpha == 1.0
    assert dataclasses.replace(TASK, conv_rank=4, conv_alpha=2.0).own_conv_alpha == 2.0
