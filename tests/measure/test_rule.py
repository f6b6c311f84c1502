"""A rule as a file and as a function: what it says of a picture is in its arrays alone; junk is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from lib_copier.errors import InputError
from lib_copier.measure.attributes import levels
from lib_copier.measure.cues import COLOUR, CUES, cues_at
from lib_copier.measure.direction import Edit, gauge_for
from lib_copier.measure.rule import Rule
from lib_copier.measure.side_effects import side_effects


@pytest.fixture
def swaps_channels(straight_rule) -> Rule:
    """The rule (r, g, b) → (b, g, r)."""
    return straight_rule(np.array([[-1, 0, 1], [0, 0, 0], [1, 0, -1]]))


def swapped(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(picture)[..., ::-1].copy())


def test_it_makes_of_any_picture_its_copy(swaps_channels, scene):
    for picture in (scene(1), scene(2, 40)):
        made = swaps_channels.apply(picture)
        assert np.abs(levels(made) - levels(swapped(picture))).max() <= 1.0
        # The second answer is remembered, and what a caller does to the first is not.
        whole = made.tobytes()
        made.paste((0, 0, 0), (0, 0, 9, 9))
        assert swaps_channels.apply(picture).tobytes() == whole


def test_changes_stay_within_those_that_were_seen(swaps_channels):
    arrays = {**swaps_channels.arrays, "most": np.full(3, 0.1, np.float32)}
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert Rule((COLOUR,), 64, 1.0, arrays).apply(red).getpixel((0, 0)) == (0, 0, 26)


def test_what_is_written_is_what_is_read(swaps_channels, scene, tmp_path):
    swaps_channels.write(tmp_path / "rule.safetensors")
    found = Rule.read(tmp_path / "rule.safetensors")
    assert (found.cues, found.side, found.share) == ((COLOUR,), 64, 1.0)
    assert found.apply(scene(3)).tobytes() == swaps_channels.apply(scene(3)).tobytes()


def broken(path, **changes):
    """The file with arrays or words changed; None takes one away."""
    arrays = load_file(path)
    told = {"cues": ["colour"], "side": 64, "share": 1.0}
    for name, value in changes.items():
        place = told if name in told else arrays
        place.pop(name, None)
        if value is not None:
            place[name] = value
    save_file(arrays, path, metadata={"rule": json.dumps(told)})


@pytest.mark.parametrize(
    "changes",
    [
        {"cues": ["colour", "smell"]},
        {"cues": ["colour", "place"]},
        {"cues": None},
        {"cues": "colour"},
        {"side": 0},
        {"side": "wide"},
        {"share": float("nan")},
        {"line": None},
        {"w2": np.zeros((3, 3), np.float32)},
        {"w3": np.zeros((2, 1), np.float32), "b3": np.zeros(7, np.float32)},
        {"w1": np.full((3, 2), np.nan, np.float32)},
        {"scale": np.zeros(3, np.float32)},
        {"least": np.full(3, 2.0, np.float32)},
        {"mean": np.zeros(3, np.float16)},
        {"share": 5.0},
        {"padding": np.zeros(1 << 21, np.float32)},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_another_file_is_no_rule(swaps_channels, tmp_path, changes):
    path = tmp_path / "rule.safetensors"
    swaps_channels.write(path)
    broken(path, **changes)
    with pytest.raises(InputError, match="holds no rule of a retouch"):
        Rule.read(path)


def test_a_file_that_is_cut_off_or_not_there_is_none(swaps_channels, tmp_path):
    path = tmp_path / "rule.safetensors"
    swaps_channels.write(path)
    path.write_bytes(path.read_bytes()[:-9])
    for one in (path, tmp_path / "none.safetensors"):
        with pytest.raises(InputError, match="holds no rule of a retouch"):
            Rule.read(one)


def test_by_its_rule_retouching_is_measured_as_an_effect_is(swaps_channels, scene):
    plain = [scene(seed) for seed in range(4)]
    edit = Edit((), ((plain[0], swapped(plain[0])),), swaps_channels)
    gauge = gauge_for(edit, plain)
    one = plain[1]
    whole = gauge.effect(one, edit.applied(one))
    assert gauge.effect(one, Image.blend(one, edit.applied(one), 0.5)) == pytest.approx(whole / 2, rel=0.02)
    assert gauge.effect(one, one) == 0.0
    rows = [[before, edit.applied(before)] for before in plain]
    found, _ = side_effects(rows, [0.0, 1.0], edit)
    assert found["fidelity"] == 1.0 and found["rest"] == 0.0
    half, _ = side_effects([[a, Image.blend(a, b, 0.5)] for a, b in rows], [0.0, 1.0], edit)
    assert half["rest"] > 5.0


def test_where_there_is_next_to_nothing_to_change_next_to_nothing_is_measured(swaps_channels, scene):
    edit, red = Edit((), (), swaps_channels), Image.new("RGB", (128, 128), (255, 0, 0))
    grey, nearly = Image.new("RGB", (128, 128), (90, 90, 90)), Image.new("RGB", (128, 128), (92, 90, 89))
    assert gauge_for(edit, [grey]).effect(grey, red) == 0.0
    gauge = gauge_for(edit, [scene(1), scene(2), nearly])
    assert abs(gauge.effect(nearly, red)) < 0.2
    # Their mean is the share of all changes together.
    both = [gauge.effect(one, edit.applied(one)) for one in (scene(1), scene(2), nearly)]
    assert np.mean(both) == pytest.approx(1.0) and both[2] < 0.01


def test_a_level_more_or_less_is_no_change(swaps_channels):
    arrays = {**swaps_channels.arrays, "line": np.zeros((4, 3), np.float32)}
    arrays["line"][-1] = 1.0 / 255.0
    flat = Image.new("RGB", (8, 8), (10, 20, 30))
    assert Rule((COLOUR,), 64, 1.0, arrays).apply(flat).tobytes() == flat.tobytes()


@pytest.mark.parametrize("cues", [CUES, CUES[:1], CUES[:2]])
def test_as_many_cues_of_a_picture_of_any_size(cues):
    shapes = [(64, 64), (96, 160), (40, 33), (1, 1)]
    counts = {cues_at(np.zeros((*shape, 3), np.float32), cues, 64).shape[2] for shape in shapes}
    assert len(counts) == 1
    assert cues_at(np.ones((8, 12, 3), np.float32), cues, 64).shape[:2] == (8, 12)


def test_an_even_picture_has_nothing_around_its_pixels():
    even = np.broadcast_to(np.float32([0.2, 0.5, 0.7]), (32, 48, 3))
    assert np.abs(cues_at(np.ascontiguousarray(even), CUES[:2], 32)[..., 3:]).max() < 1e-3
