"""Side effects: identities of fidelity and rest, their floors, and the user's own retouching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.lora.layer import Layer, Lora
from lib_copier.measure.direction import Edit
from lib_copier.measure.floor import product_norm, random_like
from lib_copier.measure.side_effects import fidelity, lab, outside_mask, rest, side_effects

CONTRAST = (EffectUse("contrast", 1.0, {"amount": 0.3}),)
CHANGES = arrays(np.float32, (6, 5, 3), elements=st.floats(-255, 255, width=16))
RELAXED = settings(deadline=None, max_examples=30)


@RELAXED
@given(change=CHANGES, factor=st.floats(0.01, 8.0))
def test_fidelity_knows_the_edit_its_opposite_and_no_strength(change, factor):
    if not np.abs(change).max() > 1.0:
        return
    assert fidelity(change, change) == pytest.approx(1.0, abs=1e-5)
    assert fidelity(-change, change) == pytest.approx(-1.0, abs=1e-5)
    assert fidelity(np.float32(factor) * change, change) == pytest.approx(1.0, abs=1e-5)
    assert rest(change, change) == 0.0


@RELAXED
@given(change=CHANGES, other=CHANGES)
def test_an_orthogonal_change_is_nothing_of_the_edit_and_all_rest(change, other):
    size = np.vdot(change, change)
    if not size > 10.0:
        return
    across = other - np.float32(np.vdot(other, change) / size) * change
    if not np.abs(across).max() > 1.0:
        return
    assert abs(fidelity(across, change)) < 1e-3
    together = rest(change + across, change)
    assert together == pytest.approx(float(np.sqrt(np.mean(across**2))), rel=1e-3, abs=1e-3)


def test_no_change_has_nothing_of_the_edit_and_no_edit_tells_nothing():
    nothing, some = np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)
    assert fidelity(nothing, some) == 0.0 and rest(nothing, some) == 1.0
    assert np.isnan(fidelity(some, nothing))


def test_a_colour_difference_in_lab_is_delta_e():
    white, grey = (Image.new("RGB", (8, 8), (level,) * 3) for level in (255, 119))
    assert rest(lab(white), lab(grey)) == pytest.approx(50.0, abs=0.3)


def test_a_slider_that_is_the_edit_has_no_side_effects(scene):
    plain = [scene(seed) for seed in range(5)]
    edited = [apply_chain(picture, CONTRAST) for picture in plain]
    rows = [[one, Image.blend(one, other, 0.5), other] for one, other in zip(plain, edited, strict=True)]
    kept = list(zip(plain, edited, strict=True))
    found, by_picture = side_effects(rows, [0.0, 0.5, 1.0], Edit(CONTRAST, ()), kept=kept, random=plain[:2])
    assert found["fidelity"] == found["fidelity_lab"] == found["fidelity_worst"] == pytest.approx(1.0)
    assert found["rest"] == found["rest_worst"] == found["rest_lab"] == 0.0 and found["structure"] == 1.0
    assert found["fidelity_by_weight"] == pytest.approx([0.0, 1.0, 1.0], abs=0.01)
    assert max(found["rest_by_weight"]) < 0.5  # half a level of rounding
    assert found["floors"]["vae"] == {"fidelity": 1.0, "rest": 0.0}
    assert found["floors"]["random"]["fidelity"] == 0.0 and found["floors"]["random"]["rest"] > 3.0
    assert np.shape(by_picture["fidelity"]) == np.shape(by_picture["rest"]) == (5, 3)


def test_a_slider_that_takes_away_is_turned_for_its_rest(scene):
    plain = [scene(seed) for seed in range(3)]
    edited = [apply_chain(picture, CONTRAST) for picture in plain]
    rows = [[after, before, before] for before, after in zip(plain, edited, strict=True)]
    found, _ = side_effects(rows, [-1.0, 0.0, 1.0], Edit(CONTRAST, ()), sign=-1)
    assert found["rest_by_weight"][0] == 0.0 and found["fidelity_by_weight"][0] == pytest.approx(1.0)


def test_what_else_changes_is_told_and_the_worst_picture_comes_first(scene):
    plain = [scene(seed) for seed in range(4)]
    edited = [apply_chain(picture, CONTRAST) for picture in plain]
    spoilt = np.array(edited[2])
    spoilt[:64] = 255 - spoilt[:64]
    rows = [list(pair) for pair in zip(plain, [*edited[:2], Image.fromarray(spoilt), edited[3]], strict=True)]
    found, by_picture = side_effects(rows, [0.0, 1.0], Edit(CONTRAST, ()))
    assert found["worst_first"][0] == 2 and found["rest"] == 0.0 and found["fidelity"] == pytest.approx(1.0)
    difference = spoilt.astype(float) - np.asarray(edited[2])
    assert found["rest_worst"] == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-4)
    assert found["fidelity_worst"] == by_picture["fidelity"][2][1] < 0.6
    assert found["floors"] == {"vae": None, "random": None}


def test_ones_own_retouching_has_what_changes_outside_its_mask_for_rest(scene):
    origin = scene(0)
    edited = origin.copy()
    edited.paste((255, 0, 0), (32, 32, 64, 64))
    outside = outside_mask([(origin, edited)], (256, 128))
    assert outside.shape == (128, 256) and not outside[32:64, 64:128].any() and outside[96:].all()
    edit = Edit((), ((origin, edited),))
    rows = []
    for seed, drift in ((1, 0), (2, 6), (3, 10)):
        picture = np.full((128, 128, 3), 100 + seed, np.uint8)
        changed = picture + np.uint8(drift)
        changed[32:64, 32:64] = 0
        rows.append([Image.fromarray(picture), Image.fromarray(changed)])
    found, by_picture = side_effects(rows, [0.0, 1.0], edit)
    assert found["fidelity"] is None and (found["rest"], found["rest_worst"]) == (6.0, 10.0)
    assert found["worst_first"] == [2, 1, 0] and by_picture["rest"][1] == [0.0, 6.0]
    everywhere = Edit((), ((origin, Image.new("RGB", origin.size)),))
    assert side_effects(rows, [0.0, 1.0], everywhere)[0] == {"fidelity": None, "rest": None}


def test_a_random_counterpart_has_the_shapes_and_norms_and_depends_on_its_seed():
    random = np.random.default_rng(1)
    layers = {
        "lora_unet_a": Layer(random.normal(size=(8, 3)), random.normal(size=(3, 6)), alpha=1.5),
        "lora_unet_b": Layer(random.normal(size=(8, 2, 1, 1)), random.normal(size=(2, 4, 3, 3)), alpha=1.0),
    }
    found, again, other = (random_like(Lora(layers), seed) for seed in (0, 0, 1))
    for name, layer in layers.items():
        new = found.layers[name]
        assert new.weight_shape == layer.weight_shape and new.rank == layer.rank
        assert np.linalg.norm(new.delta()) == pytest.approx(np.linalg.norm(layer.delta()))
        assert product_norm(*layer.factors()) * layer.scale == pytest.approx(np.linalg.norm(layer.delta()))
        assert np.array_equal(new.up, again.layers[name].up)
        assert not np.allclose(new.up, other.layers[name].up)
