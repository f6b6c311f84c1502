"""Recipes: the table, reading and writing, presets, and every fault at once."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.engines.locate import demo_checkpoint
from lib_copier.errors import FaultsError, InputError
from lib_copier.model_file.families import SD1, SDXL
from lib_copier.models.tiny import random_checkpoint
from lib_copier.recipe.check import faults
from lib_copier.recipe.document import digest, from_document, migrate, read_document, shareable, to_document
from lib_copier.recipe.model import SCHEMA, Edit, Effect, Origin, Recipe, parse_effects, settings_of
from lib_copier.recipe.options import GROUPS, OPTIONS, defaults
from lib_copier.recipe.presets import PRESETS, apply_preset, preset_values
from lib_copier.settings.option import Option

FAMILIES = {"sd1": SD1, "sdxl": SDXL}


def sound(tmp_path: Path, **changes) -> Recipe:
    (tmp_path / "base.safetensors").write_bytes(b"x")
    values = {"project.checkpoint": "base.safetensors", **changes}
    origin = Origin("one", settings_of({"prompt": "a house"}))
    return Recipe((origin,), (Edit("outline", parse_effects("outline")),)).with_settings(values)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.key)
def test_every_option_is_sound(option: Option) -> None:
    assert option.group in GROUPS and option.label
    assert option.accept(option.default) == option.default, "the default is in its own range"
    assert option.parse(option.text(option.default)) == option.default, "what is shown can be typed"
    if option.shown_when:
        key, values = option.shown_when
        assert all(OPTIONS[key].accept(value) == value for value in values)
    assert option.optional or option.default is not None


def test_the_memo_preset_has_the_memo_s_numbers() -> None:
    values = preset_values("memo")
    copier = {key.partition(".")[2]: value for key, value in values.items() if key.startswith("copier.")}
    assert copier["steps"] == 512 * 6 == 3072
    expected = {
        "rank": 64,
        "alpha": 32.0,
        "learning_rate": 1e-4,
        "optimizer": "adamw",
        "warmup_steps": 500,
        "shuffle_caption": True,
        "keep_tokens": 0,
        "batch_size": 1,
        "copied_psnr": None,
    }
    assert expected.items() <= copier.items()
    assert values["edit_lora.steps"] == 4096 and values["edit_lora.rank"] == 64 and values["resize.rank"] == 8
    assert preset_values("memo", "difference")["copier.steps"] == 4096


def test_the_memo_preset_trains_weak_effects_longer() -> None:
    recipe = Recipe(edits=tuple(Edit(name, parse_effects(name)) for name in ("outline", "flat", "jpeg")))
    found = {
        edit.name: tuple(recipe.get(f"edit_lora.{name}", edit) for name in ("rank", "alpha", "steps"))
        for recipe in (apply_preset(recipe, "memo"),)
        for edit in recipe.edits
    }
    weak = (128, 64.0, 5120)
    assert found == {"outline": (64, 32.0, 4096), "flat": weak, "jpeg": weak}


@pytest.mark.parametrize("first", PRESETS)
@pytest.mark.parametrize("second", PRESETS)
def test_one_preset_replaces_the_other_whole(first: str, second: str) -> None:
    recipe = Recipe(edits=tuple(Edit(name, parse_effects(name)) for name in ("flat", "contrast")))
    assert apply_preset(apply_preset(recipe, first), second) == apply_preset(recipe, second)
    assert set(PRESETS[first]) <= set(OPTIONS)


def test_presets_come_at_the_rate_of_the_checkpoint_s_width(tmp_path: Path) -> None:
    checkpoint = shutil.copy(demo_checkpoint(), tmp_path / "renamed.safetensors")
    for name in PRESETS:
        plain, own = preset_values(name), preset_values(name, checkpoint=checkpoint)
        differing = {key for key in plain if plain[key] != own[key]}
        assert own["copier.learning_rate"] == pytest.approx(5 * plain["copier.learning_rate"])
        # The file suggests prompts to look with; the preset has nothing against them.
        assert differing == {"copier.learning_rate", "edit_lora.learning_rate"}


@pytest.mark.parametrize(("family", "last"), [("sd1", "up_blocks_3"), ("sdxl", "up_blocks_2")])
def test_tones_are_learned_in_the_last_level_of_the_family(tmp_path: Path, family: str, last: str) -> None:
    checkpoint = random_checkpoint(tmp_path / "tiny.safetensors", FAMILIES[family])
    edit = Edit("contrast", parse_effects("contrast"))
    recipe = apply_preset(
        Recipe(edits=(edit,)).with_settings({"project.checkpoint": str(checkpoint)}), "auto"
    )
    assert recipe.get("edit_lora.layers", recipe.edits[0]) == (last,)


def test_a_sound_recipe_has_no_fault(tmp_path: Path) -> None:
    assert faults(sound(tmp_path), tmp_path) == ()


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    recipe = Recipe(
        (Origin("a", settings_of({"width": 513, "source": "file"})), Origin("A", ()), Origin("../b", ())),
        (
            Edit("x"),
            Edit("y", (Effect("glow"), Effect("blur", 9.0))),
            Edit("z", files=(("nobody", "p.png"),)),
        ),
    ).with_settings(
        {
            "project.checkpoint": "gone.safetensors",
            "copier.timestep_min": 900,
            "copier.timestep_max": 10,
            "copier.optimizer_args": ("beta",),
            "sweep.width": 100,
            "copier.rank": -1,
        }
    )
    found = "\n".join(faults(recipe, tmp_path))
    for part in (
        "gone.safetensors does not exist",
        "2 origins are named 'a'",
        "'../b'",
        "origin.file names no picture",
        "origin.prompt is empty",
        "neither an effect nor a picture for origin 'a'",
        "no such edit",
        "strength must be between",
        "'nobody', which is no origin",
        "copier.timestep_min 900 is not below",
        "'beta' is not NAME=VALUE",
        "sweep.width 100 is no multiple of 8",
        "copier.rank is a whole number",
    ):
        assert part in found, part


@pytest.mark.parametrize(
    "key", ["copier.rank", "copier.alpha", "project.method", "base.loras", "resize.enabled"]
)
@pytest.mark.parametrize(
    "junk", [None, math.nan, math.inf, -(10**40), [], {}, "\0", "x" * 10_000, [1], True, 1.5]
)
def test_junk_values_are_faults_not_crashes(key: str, junk: object) -> None:
    group, name = key.split(".")
    recipe, found = read_document({"schema": 1, group: {name: junk}})
    accepted = recipe.get(key)
    assert found or OPTIONS[key].accept(accepted) == accepted


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*GROUPS, "schema", "origins", "edits", "name", "effects", "nonsense"])


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(keys, json_values, max_size=6))
def test_reading_any_json_gives_a_recipe_or_says_why(document: dict) -> None:
    try:
        recipe, _faults = read_document({**document, "schema": 1})
    except InputError:
        return
    faults(recipe, Path("/nowhere"))
    from_document(json.loads(json.dumps(to_document(recipe))))


def test_a_recipe_survives_the_way_through_json(tmp_path: Path) -> None:
    recipe = sound(
        tmp_path, **{"base.loras": ("a:0.5", "b"), "copier.conv_rank": 4, "sweep.prompts": ("ü, 猫",)}
    )
    edit = Edit("mine", (), (("one", "e.png"),), settings_of({"edit_lora.rank": 128}))
    recipe = apply_preset(recipe, "memo").with_edit(edit)
    assert from_document(json.loads(json.dumps(to_document(recipe)))) == recipe


def test_every_fault_of_a_document_is_told() -> None:
    document = {
        "schema": 1,
        "copier": {"rank": 0, "steps": "many", "rnk": 3},
        "extra": 1,
        "origins": [{"name": "a", "prompt": 5, "colour": 1}, "b"],
        "edits": [
            {"name": "e", "effects": [{"name": "x", "strength": "y", "z": 1}], "settings": {"copier.rank": 1}}
        ],
    }
    with pytest.raises(FaultsError) as caught:
        from_document(document)
    assert len(caught.value.faults) == 10


def test_older_documents_are_lifted_and_newer_refused() -> None:
    flat = {"copier.rank": 12, "copier": {"steps": 5}, "origins": [{"name": "a"}]}
    recipe = from_document(flat)
    assert (recipe.get("copier.rank"), recipe.get("copier.steps")) == (12, 5)
    assert migrate(flat)["schema"] == SCHEMA and "schema" not in flat
    for schema in (99, -1, "1", True):
        with pytest.raises(InputError, match="schema"):
            migrate({"schema": schema})


def test_the_digest_forgets_folders_but_no_setting(tmp_path: Path) -> None:
    here = sound(tmp_path, **{"project.checkpoint": "/home/me/models/base.safetensors"})
    there = sound(tmp_path, **{"project.checkpoint": "D:\\sd\\base.safetensors"})
    assert digest(here) == digest(there)
    assert "/home" not in json.dumps(shareable(here))
    assert digest(here) != digest(here.with_settings({"copier.rank": 3}))


def test_an_edit_has_its_own_settings_where_it_may() -> None:
    edit = Edit("e", settings=settings_of({"edit_lora.rank": 9, "copier.rank": 9}))
    recipe = Recipe(edits=(edit,))
    assert recipe.get("edit_lora.rank", edit) == 9 and recipe.get("edit_lora.rank") == 64
    assert recipe.get("copier.rank", edit) == 64, "the copier is shared by all edits"
    assert set(defaults()) == {key for key in OPTIONS if not key.startswith("origin.")}


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("outline", (Effect("outline"),)),
        ("outline:strength=0.5,width=2", (Effect("outline", 0.5, (("width", 2),)),)),
        ("blur+posterize:levels=4", (Effect("blur"), Effect("posterize", 1.0, (("levels", 4),)))),
        ("", ()),
    ],
)
def test_effects_are_read_as_typed(text: str, effects: tuple[Effect, ...]) -> None:
    assert parse_effects(text) == effects
    assert parse_effects("+".join(effect.text() for effect in effects)) == effects


@pytest.mark.parametrize(
    "text", ["outline:width", "outline:width=x", ":a=1", "blur:sigma=nan", "blur:sigma=inf"]
)
def test_effects_that_do_not_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not|is no|names no"):
        parse_effects(text)
