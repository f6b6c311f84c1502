"""A sweep over a LoRA whose effect and leak are known gives back just these."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lib_copier.errors import CancelledError
from lib_copier.image.effect import EffectUse
from lib_copier.image.effects import apply_chain
from lib_copier.measure.analysis import analyse, recommended_range
from lib_copier.measure.direction import Edit
from lib_copier.measure.sweep import complete_weights, sweep
from lib_copier.txt2img.pictures import PictureRequest

WEIGHTS = [-1.0, -0.5, 0.0, 0.5, 1.0]
CONTRAST = (EffectUse("contrast", 1.0, {"amount": 0.3}),)


@pytest.fixture
def run(scene, known_maker, tmp_path):
    def go(chain=CONTRAST, weights=WEIGHTS, prompts=5, edit_chain=None, plain=(), **known):
        teacher = apply_chain(scene(99), chain)
        maker = known_maker(scene, chain, teacher, **known)
        steps = []
        result = sweep(
            maker,
            lora=tmp_path / "a.safetensors",
            weights=weights,
            requests=[PictureRequest(f"<b>scene</b> {seed}", seed=seed) for seed in range(prompts)],
            edit=Edit(chain if edit_chain is None else edit_chain, ((scene(99), teacher),)),
            output=tmp_path,
            progress=lambda done, total: steps.append((done, total)),
            plain=plain,
        )
        return result, maker, steps

    return go


def test_a_true_edit_is_measured_as_itself(run, tmp_path):
    result, maker, steps = run()
    assert result["rank_correlation"] == 1.0 and result["sign"] == 1
    assert result["strength"] == pytest.approx(1.0, abs=0.02)
    assert abs(result["leak"]) < 0.01
    assert result["range"] == [-1.0, 1.0]
    assert result["attribute"]["name"] == "contrast"
    assert result["effect"] == sorted(result["effect"]) and result["effect"][2] == 0.0
    assert steps[-1] == (25, 25) and len(maker.asked) == 25
    assert all(done <= total for done, total in steps) and steps == sorted(steps)
    assert {sum(use.weight for use in one.loras) for one in maker.asked} == set(WEIGHTS)
    names = [name for row in result["pictures"] for name in row] + result["direct"] + [result["sheet"]]
    assert all((tmp_path / name).is_file() for name in names)
    json.dumps(result, allow_nan=False)


def test_plain_pictures_that_are_there_are_not_made_again(run, scene):
    alone, _, _ = run()
    shared, maker, _ = run(plain=[scene(seed) for seed in range(5)])
    assert len(maker.asked) == 20 and 0.0 not in {use.weight for r in maker.asked for use in r.loras}
    assert shared == alone


def test_strength_leak_and_sign_follow_the_lora(run):
    weak, _, _ = run(gain=0.4)
    assert weak["strength"] == pytest.approx(0.4, abs=0.03)
    leaky, _, _ = run(leak=0.35)
    assert leaky["leak"] == pytest.approx(0.35, abs=0.03)
    assert leaky["range"][1] < 1.0
    turned, _, _ = run(gain=-1.0)
    assert turned["sign"] == -1 and turned["rank_correlation"] == -1.0
    nothing, _, _ = run(gain=0.0)
    assert (nothing["sign"], nothing["rank_correlation"], nothing["strength"]) == (0, 0.0, 0.0)
    assert nothing["range"] == [0.0, 0.0]


def test_an_edit_that_lowers_its_attribute_is_turned(run):
    result, _, _ = run(chain=(EffectUse("brightness", 1.0, {"amount": -0.4}),))
    assert result["sign"] == 1 and result["rank_correlation"] == 1.0
    assert result["direct_effect"] > 0


def test_chains_and_own_edits_are_measured_along_their_direction(run):
    both = (EffectUse("saturation", 0.5), EffectUse("flat", 1.0))
    result, _, _ = run(chain=both)
    assert result["attribute"]["unit"] == "edits"
    assert result["strength"] == pytest.approx(1.0, abs=0.02)
    own, _, _ = run(chain=both, edit_chain=())
    assert own["rank_correlation"] > 0.9 and own["sign"] == 1
    assert 0.3 < own["strength"] < 3.0 and own["direct"] == []


def test_strength_beside_what_the_vae_can_show(scene, known_maker):
    """A VAE that keeps half of every edit doubles the strength beside it."""
    plain = [scene(seed) for seed in range(4)]
    grey = Image.new("RGB", (128, 128), (128, 128, 128))
    grid = [[p, apply_chain(p, CONTRAST)] for p in plain]
    edit = Edit(CONTRAST, ((scene(9), apply_chain(scene(9), CONTRAST)),))
    result = analyse(grid, [0.0, 1.0], edit, lambda picture: Image.blend(picture, grey, 0.5))
    assert result["strength"] == pytest.approx(1.0)
    assert result["strength_vae"] == pytest.approx(2.0, abs=0.05)


def test_weights_always_hold_zero_and_one():
    assert complete_weights([2, -2, -0.0]) == [-2.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("effect", "leaks", "expected"),
    [
        ([-2, -1, 0, 1, 2], [0, 0, 0, 0, 0], (-2, 2)),
        ([-2, -1, 0, 1, 0.5], [0, 0, 0, 0, 0], (-2, 1)),
        ([-0.5, -1, 0, 1, 2], [0, 0, 0, 0.3, 0.9], (-1, 0)),
        ([-2, -1, 0, 1, 2], [-0.5, 0, 0, 0.1, 0.26], (-1, 1)),
    ],
)
def test_recommended_range(effect, leaks, expected):
    low, high, reason = recommended_range([-2, -1, 0, 1, 2], effect, leaks)
    assert (low, high) == expected and reason


def test_a_wish_to_stop_ends_the_sweep(run, tmp_path, monkeypatch):
    control = tmp_path / "control.json"
    control.write_text('{"stop": "discard"}', encoding="utf-8")
    monkeypatch.setenv("COPIER_LORA_CONTROL", str(control))
    with pytest.raises(CancelledError):
        run()
    assert not list(tmp_path.glob("*.png"))


def test_sheet_shows_every_picture(run, tmp_path):
    run(prompts=3)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[0] > 3 * 128 and sheet.shape[1] > 5 * 128
