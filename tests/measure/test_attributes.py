"""Each attribute rises with its own edit, on scenes and under a VAE's kind of damage."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import EFFECTS, apply_chain
from lib_copier.measure.attributes import ATTRIBUTES, levels

RELAXED = settings(
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_every_edit_has_its_attribute():
    assert set(ATTRIBUTES) == set(EFFECTS)


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
@RELAXED
@given(seed=st.integers(0, 500), low=st.floats(0.0, 0.7))
def test_attribute_rises_with_strength(scene, name, seed, low):
    picture = scene(seed)
    weaker, stronger = (
        ATTRIBUTES[name].measure(levels(apply_chain(picture, (EffectUse(name, s),))))
        for s in (low, low + 0.3)
    )
    assert stronger > weaker


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_attribute_is_seen_through_softening_and_noise(scene, name):
    """What a VAE does: half a pixel of blur and a little noise must not hide the edit."""

    def damaged(picture: Image.Image, seed: int) -> np.ndarray:
        soft = cv2.GaussianBlur(levels(picture), (0, 0), 0.5)
        return np.clip(soft + np.random.default_rng(seed).normal(0, 1.0, soft.shape), 0, 255).astype(
            np.float32
        )

    curves = np.array(
        [
            [
                ATTRIBUTES[name].measure(damaged(apply_chain(scene(seed), (EffectUse(name, s),)), seed))
                for s in (0.0, 0.5, 1.0)
            ]
            for seed in range(8)
        ]
    )
    assert (np.diff(curves, axis=1) > 0).mean() >= 0.9


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_attribute_is_finite_on_odd_pictures(name):
    for pixels in (
        np.zeros((8, 8, 3)),
        np.full((64, 72, 3), 255),
        np.indices((65, 67)).sum(0)[..., None] * [1, 1, 1],
    ):
        assert np.isfinite(ATTRIBUTES[name].measure(levels(pixels)))


def test_blockiness_knows_the_grid(scene):
    """The same steps four pixels off the 8 px grid are no JPEG blocks."""
    blocks = np.kron(np.random.default_rng(0).integers(100, 110, (16, 16)), np.ones((8, 8)))[..., None] * [
        1,
        1,
        1,
    ]
    measure = ATTRIBUTES["jpeg"].measure
    assert measure(levels(blocks)) > 1.0 > 0.0 > measure(levels(np.roll(blocks, 4, axis=(0, 1))))


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_attributes_are_fast(scene, name):
    pixels = levels(scene(0))
    times = []
    for _ in range(7):
        started = time.perf_counter()
        ATTRIBUTES[name].measure(pixels)
        times.append(time.perf_counter() - started)
    # The aim is 5 ms; the slack is for machines that do other things beside.
    assert min(times) < 0.02
