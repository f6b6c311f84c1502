"""How much of an edit survives: a projection, and a sentence where too little does."""

from __future__ import annotations

import pytest
from PIL import Image

from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.measure.vae import survival


@pytest.mark.parametrize(("keeps", "verdict"), [(1.0, "good"), (0.5, "weakened"), (0.1, "faint")])
def test_share_is_what_the_vae_keeps(scene, keeps, verdict):
    origin = scene(1)
    edited = apply_chain(origin, (EffectUse("contrast", 0.4),))
    after = Image.blend(origin, edited, keeps)
    found = survival(origin, edited, origin, after)
    assert found["share"] == pytest.approx(keeps, abs=0.02) and found["verdict"] == verdict
    assert f"{found['share']:.0%}" in found["sentence"]
    assert found["edit_levels"] > 1
    assert ("too faint" in found["sentence"]) == (verdict == "faint")


def test_damage_that_both_share_does_not_count(scene):
    origin = scene(2)
    edited = apply_chain(origin, (EffectUse("outline"),))
    grey = Image.new("RGB", origin.size, (90, 90, 90))
    found = survival(origin, edited, Image.blend(origin, grey, 0.2), Image.blend(edited, grey, 0.2))
    assert found["share"] == pytest.approx(0.8, abs=0.01)


def test_no_edit_is_said(scene):
    assert survival(scene(1), scene(1), scene(1), scene(2))["verdict"] == "none"
