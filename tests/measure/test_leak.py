"""The leak of a mixture is its share; what is no leak counts as none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.measure.leak import fitted_teacher, leak, mean_picture, small

RELAXED = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def copies(scene):
    return [small(scene(seed)) for seed in range(12)]


@RELAXED
@given(
    share=st.floats(-0.3, 1.0),
    gain=st.floats(-1.5, 1.5),
    seed=st.integers(0, 11),
    name=st.sampled_from(["outline", "flat", "contrast", "posterize", "jpeg", "brightness"]),
)
def test_leak_of_a_mixture_is_its_share(scene, copies, share, gain, seed, name):
    edited = small(apply_chain(scene(seed), (EffectUse(name),)))
    teacher = small(apply_chain(scene(99), (EffectUse(name),)))
    moved = copies[seed] + gain * (edited - copies[seed])
    mixture = (1.0 - share) * moved + share * teacher
    found = leak(mixture, copies[seed], teacher, mean_picture(copies), edited)
    assert found == pytest.approx(share, abs=1e-3)


def test_the_edit_alone_is_no_leak(scene, copies):
    for name in ("outline", "contrast", "flat", "saturation"):
        edited = small(apply_chain(scene(3), (EffectUse(name),)))
        assert abs(leak(edited, copies[3], small(scene(99)), mean_picture(copies), edited)) < 1e-3


def test_turning_into_another_picture_is_no_leak(scene, copies):
    """Plain projection calls this about one half; what is left here is the mean's error, 1 in 12."""
    teacher, mean = small(scene(99)), mean_picture(copies)
    found, projected = [], []
    for seed in range(24):
        other, own = small(scene(200 + seed)), copies[seed % 12]
        found.append(leak(other, own, teacher, mean, None))
        projected.append(np.vdot(other - own, teacher - own) / np.vdot(teacher - own, teacher - own))
    assert abs(np.mean(found)) < 0.2 < 0.35 < np.mean(projected)


def test_proportions_may_differ(scene, copies):
    wide = small(scene(1).resize((192, 128)))
    assert wide.shape == (64, 96, 3)
    assert fitted_teacher(wide, copies[0]).shape == copies[0].shape


def test_few_pictures_have_a_plain_mean(copies):
    assert np.ptp(mean_picture(copies[:2]), axis=(0, 1)).max() == 0.0
    assert np.ptp(mean_picture(copies), axis=(0, 1)).min() > 0.0
