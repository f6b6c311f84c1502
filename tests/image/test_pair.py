"""Pair checks: shifts come back to a tenth of a pixel, masks cover what changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from lib_copier.errors import InputError
from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import EFFECTS, apply_chain
from lib_copier.image.pair import (
    Shift,
    changed_share,
    correct_shift,
    heat_map,
    measure_shift,
    soft_mask,
)

RELAXED = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def moved(picture: Image.Image, x: float, y: float) -> Image.Image:
    return correct_shift(picture, Shift(-x, -y, is_certain=True))


@RELAXED
@example(seed=28, x=0.0, y=2.0, name="posterize")
@example(seed=5, x=-4.66, y=-3.13, name="flat")
@given(
    seed=st.integers(0, 30),
    x=st.floats(-5, 5),
    y=st.floats(-5, 5),
    name=st.sampled_from(["outline", "flat", "contrast", "posterize", "jpeg", "saturation", "brightness"]),
)
def test_shift_is_recovered_under_an_edit(scene, seed, x, y, name):
    picture = scene(seed)
    shift = measure_shift(picture, moved(apply_chain(picture, (EffectUse(name),)), x, y))
    assert abs(shift.x - x) < 0.35 and abs(shift.y - y) < 0.35


@RELAXED
@given(seed=st.integers(0, 30), x=st.floats(-4, 4), y=st.floats(-4, 4))
def test_shift_of_the_same_picture_to_a_tenth(scene, seed, x, y):
    picture = scene(seed, 192)
    shift = measure_shift(picture, moved(picture, x, y))
    assert abs(shift.x - x) <= 0.1 and abs(shift.y - y) <= 0.1


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_aligned_pairs_are_left_alone(scene, name):
    for seed in range(6):
        picture = scene(seed)
        assert not measure_shift(picture, apply_chain(picture, (EffectUse(name),))).needs_correction


def test_correction_brings_the_pair_together(scene):
    picture = scene(3)
    off = moved(picture, 1.7, -2.4)
    shift = measure_shift(picture, off)
    assert shift.needs_correction
    back = np.asarray(correct_shift(off, shift), np.float32)[8:-8, 8:-8]
    same, wrong = (np.asarray(p, np.float32)[8:-8, 8:-8] for p in (picture, off))
    assert np.abs(back - same).mean() < 0.25 * np.abs(wrong - same).mean()


@pytest.mark.parametrize("seed", range(6))
def test_a_softened_picture_is_not_taken_for_a_moved_one(scene, seed):
    picture = scene(seed)
    soft = picture.filter(ImageFilter.GaussianBlur(3))
    assert not measure_shift(picture, soft).needs_correction
    shift = measure_shift(picture, moved(soft, 5.0, -4.0))
    assert shift.needs_correction and abs(shift.x - 5.0) < 1.0 and abs(shift.y + 4.0) < 1.0


@pytest.mark.parametrize("seed", [0, 13, 21, 29])
def test_thick_outlines_are_not_taken_for_a_shift(scene, seed):
    picture = scene(seed, 256)
    edited = apply_chain(picture, (EffectUse("outline", 2.0),))
    assert not measure_shift(picture, edited).needs_correction


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [128, 512])
def test_what_is_drawn_over_a_picture_or_falls_on_it_moves_nothing(scene, seed, size):
    picture = scene(seed, size)
    drawn, painted = picture.copy(), picture.copy()
    ImageDraw.Draw(drawn).ellipse([size // 8, size // 4, size // 2, size // 2], fill=(250, 240, 60))
    ImageDraw.Draw(painted).rectangle([0, 0, size, size // 3], fill=(255, 255, 255))
    levels = np.asarray(picture, np.float32)
    lit = levels * np.linspace(1.0, 0.3, size)[None, :, None]
    for edited in (drawn, painted, Image.fromarray(lit.astype(np.uint8))):
        assert not measure_shift(picture, edited).needs_correction


def test_plain_pictures_have_no_certain_shift():
    plain = Image.new("RGB", (64, 64), (9, 9, 9))
    assert measure_shift(plain, plain) == Shift(0.0, 0.0, is_certain=False)


def test_sizes_must_agree(scene):
    with pytest.raises(InputError, match="128x128.*96x96"):
        measure_shift(scene(1), scene(1, 96))


def test_mask_and_heat_cover_the_change_and_little_else():
    origin = Image.new("RGB", (512, 512), (100, 120, 140))
    pixels = np.array(origin)
    pixels[200:260, 300:380] += 40
    edited = Image.fromarray(pixels)
    mask = np.asarray(soft_mask(origin, edited, background=0.2), np.float32) / 255
    assert mask[200:260, 300:380].min() > 0.95
    assert mask[:150].max() < 0.21 and abs(mask[:150].min() - 0.2) < 0.01
    hard = np.asarray(soft_mask(origin, edited, feather=0.0, background=0.0))
    assert ((hard == 255) == (pixels != np.array(origin)).any(axis=2)).all()
    heat = np.asarray(heat_map(origin, edited), np.float32).sum(axis=2)
    assert heat[210:250, 310:370].min() > heat[:150].max()
    assert abs(changed_share(origin, edited) - 60 * 80 / 512**2) < 1e-6
