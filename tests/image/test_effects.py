"""Every edit is a pure function with a strength: properties over random pictures and settings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from lib_copier.errors import FaultsError
from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import EFFECTS, apply_chain, chain_faults, read_chain

RELAXED = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def pictures(draw):
    """Small pictures: noise, single colours, ramps."""
    height, width = draw(st.integers(8, 40)), draw(st.integers(8, 40))
    pixels = draw(arrays.arrays(np.uint8, (height, width, 3), elements=st.integers(0, 255), fill=st.just(90)))
    return Image.fromarray(pixels)


@st.composite
def uses(draw, strengths=None):
    """Any edit with any allowed parameters."""
    effect = EFFECTS[draw(st.sampled_from(sorted(EFFECTS)))]
    strength = draw(strengths if strengths is not None else st.floats(0.0, 2.0))
    params = {}
    for parameter in effect.parameters:
        if draw(st.booleans()):
            numbers = st.integers if parameter.kind == "int" else st.floats
            low, high = parameter.minimum, parameter.maximum
            params[parameter.name] = draw(
                numbers(int(low), int(high)) if numbers is st.integers else numbers(low, high)
            )
    return EffectUse(effect.name, strength, params)


@RELAXED
@given(pictures(), st.lists(uses(strengths=st.just(0.0)), max_size=4))
def test_strength_zero_changes_no_bit(picture, chain):
    assert apply_chain(picture, tuple(chain)).tobytes() == picture.tobytes()


@RELAXED
@given(pictures(), st.lists(uses(), min_size=1, max_size=3))
def test_shape_and_determinism(picture, chain):
    before = picture.tobytes()
    once = apply_chain(picture, tuple(chain))
    assert once.mode == "RGB" and once.size == picture.size
    assert picture.tobytes() == before, "the source picture was written to"
    assert apply_chain(picture, tuple(chain)).tobytes() == once.tobytes()


@RELAXED
@given(uses())
def test_uses_survive_json(use):
    assert EffectUse.from_json(use.to_json()) == use
    assert not chain_faults((use,))


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_every_edit_changes_a_scene_and_more_with_strength(scene, name):
    changes = []
    for seed in range(3):
        picture = scene(seed)
        base = np.asarray(picture, dtype=np.float32)
        changes.append(
            [
                np.abs(np.asarray(apply_chain(picture, (EffectUse(name, s),)), np.float32) - base).mean()
                for s in (0.25, 0.5, 1.0)
            ]
        )
    assert (np.diff(changes, axis=1) > 0).all() and np.min(changes) > 0


def test_outline_only_darkens_and_widens_with_width(scene):
    picture = scene(4)
    thin = np.asarray(apply_chain(picture, (EffectUse("outline", 1.0, {"width": 4}),)), np.int16)
    wide = np.asarray(apply_chain(picture, (EffectUse("outline", 1.0, {"width": 12}),)), np.int16)
    assert (thin <= np.asarray(picture, np.int16) + 1).all()
    assert (wide.max(axis=2) < 60).mean() > 1.3 * (thin.max(axis=2) < 60).mean()


def test_outline_leaves_a_plain_picture_alone():
    plain = Image.new("RGB", (96, 96), (120, 130, 140))
    assert apply_chain(plain, (EffectUse("outline"),)).tobytes() == plain.tobytes()


def test_flat_fills_a_shaded_shape_with_one_colour():
    ramp = np.linspace(100, 180, 64).astype(np.uint8)
    pixels = np.full((128, 128, 3), 230, np.uint8)
    pixels[30:98, 30:98] = 10
    pixels[32:96, 32:96] = ramp[None, :, None]
    inside = np.asarray(apply_chain(Image.fromarray(pixels), (EffectUse("flat"),)), np.float32)[36:92, 36:92]
    assert inside.std() < 2.0 < ramp.std()
    assert abs(inside.mean() - ramp.mean()) < 3.0


def test_posterise_keeps_so_many_tones(scene):
    pixels = np.asarray(apply_chain(scene(2), (EffectUse("posterize", 1.0, {"tones": 3}),)))
    assert set(np.unique(pixels)) <= {0, 128, 255}


def test_lengths_follow_the_picture_size(scene):
    small = scene(1, 128)
    large = scene(1, 512)

    def shrunk(picture: Image.Image) -> np.ndarray:
        return np.asarray(picture.resize((128, 128), Image.Resampling.BOX), np.float32)

    for name in ("outline", "blur", "sharpen"):
        # Changes are compared, not pictures: the two scenes are not drawn to the same pixels.
        of_large = shrunk(apply_chain(large, (EffectUse(name),))) - shrunk(large)
        of_small = shrunk(apply_chain(small, (EffectUse(name),))) - shrunk(small)
        assert np.abs(of_large - of_small).mean() < np.abs(of_small).mean(), name
        assert 0.5 < np.abs(of_large).mean() / np.abs(of_small).mean() < 2.0, name


@pytest.mark.parametrize(
    "use",
    [
        EffectUse("outlines"),
        EffectUse("outline", -0.1),
        EffectUse("outline", 2.5),
        EffectUse("outline", float("nan")),
        EffectUse("outline", "1"),
        EffectUse("outline", 1.0, {"wide": 3}),
        EffectUse("outline", 1.0, {"width": 1000}),
        EffectUse("posterize", 1.0, {"tones": 2.5}),
        EffectUse("jpeg", 1.0, {"quality": None}),
    ],
)
def test_bad_uses_are_named(use):
    assert len(chain_faults((use,))) == 1
    with pytest.raises(FaultsError, match="edit 1"):
        apply_chain(Image.new("RGB", (8, 8)), (use,))


def test_all_faults_come_at_once():
    faults = chain_faults((EffectUse("nothing"), EffectUse("jpeg", 3.0, {"quality": 0, "size": 2})))
    assert len(faults) == 4


@pytest.mark.parametrize(
    "value",
    [
        {"name": "flat"},
        ["flat"],
        [{}],
        [{"name": 3}],
        [{"name": "flat", "params": [1]}],
        [{"name": "a"}],
        None,
    ],
)
def test_a_chain_from_outside_is_read_whole_or_refused(value):
    with pytest.raises(FaultsError, match="edit 1"):
        read_chain(value)
    assert read_chain([{"name": "flat", "strength": 0.5}, {"name": "jpeg", "params": {"quality": 3}}]) == (
        EffectUse("flat", 0.5),
        EffectUse("jpeg", 1.0, {"quality": 3}),
    )


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=list(EFFECTS))
def test_a_sliders_grid_holds_its_default_and_both_ends(effect):
    for one in effect.parameters:
        for value in (one.default, one.maximum):
            points = (value - one.minimum) / one.step
            assert points == pytest.approx(round(points), abs=1e-9), one.name
        assert one.kind == "int" or 40 <= (one.maximum - one.minimum) / one.step < 250
