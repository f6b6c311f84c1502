"""Rules behind retouched pairs: what they go by, what they make of unseen pictures, and where none is."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.measure import find_rule as learning
from lib_copier.measure.attributes import levels
from lib_copier.measure.cues import COLOUR, PLACE, SURROUNDINGS
from lib_copier.measure.find_rule import find_rule
from lib_copier.measure.rule import LEAST_SHARE, Rule
from lib_copier.measure.side_effects import fidelity

Retouch = Callable[[np.ndarray], np.ndarray]


def warmer(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels * [1.0, 0.9, 0.7] + [0.1, 0.0, 0.0], 0.0, 1.0)


def softer(pixels: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 40)


def darker_rim(pixels: np.ndarray) -> np.ndarray:
    at = np.linspace(-1, 1, pixels.shape[0])
    return pixels * (1.0 - 0.4 * np.minimum(at[:, None] ** 2 + at**2, 1.0))[..., None]


def mirrored(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, ::-1]


@pytest.fixture
def pair(scene):
    def make(retouch: Retouch, seed: int, side: int = 64) -> tuple[Image.Image, Image.Image]:
        origin = scene(seed, side)
        pixels = retouch(np.asarray(origin, np.float32) / 255.0)
        return origin, Image.fromarray((np.clip(pixels, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))

    return make


@pytest.fixture
def found(pair, monkeypatch) -> Callable[..., Rule]:
    """(retouch, pairs) → its rule, learned in a hurry."""
    for name, value in (("_STEPS", 150), ("_STEPS_TO_COMPARE", 60), ("_BATCH", 512)):
        monkeypatch.setattr(learning, name, value)
    return lambda retouch, count=3: find_rule([pair(retouch, seed) for seed in range(count)])


@pytest.mark.parametrize(
    ("retouch", "cues"),
    [(warmer, (COLOUR,)), (softer, (COLOUR, SURROUNDINGS)), (darker_rim, (COLOUR, PLACE))],
)
def test_it_goes_by_no_more_than_it_needs_and_holds_for_other_pictures(found, pair, retouch, cues):
    rule = found(retouch)
    assert rule.cues == cues and rule.is_true and rule.side == 64
    for seed in (7, 8):
        origin, wanted = pair(retouch, seed)
        change = levels(rule.apply(origin)) - levels(origin)
        assert fidelity(change, levels(wanted) - levels(origin)) > 0.95


def test_lengths_grow_with_the_picture(found, pair):
    rule = found(softer)
    origin, wanted = pair(softer, 9, side=128)
    change = levels(rule.apply(origin)) - levels(origin)
    assert fidelity(change, levels(wanted) - levels(origin)) > 0.9


def test_what_follows_from_nothing_around_is_no_rule(found):
    rule = found(mirrored)
    assert rule.share < LEAST_SHARE and not rule.is_true
    assert "No rule was found" in rule.told()["sentence"]


def test_the_same_pairs_give_the_same_rule(found, tmp_path):
    for name in ("a", "b"):
        found(warmer, 2).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_progress_ends_where_it_was_said_to(pair, found):
    told = []
    find_rule([pair(warmer, 1), pair(warmer, 2)], lambda *step: told.append(step))
    done, total = zip(*told, strict=True)
    assert list(done) == list(range(1, total[0] + 1)) and set(total) == {total[0]}


def test_one_picture_tells_no_rule_however_often_it_comes(pair, found):
    origin, edited = pair(mirrored, 1)
    again = Image.fromarray(np.clip(np.asarray(origin).astype(int) + 1, 0, 255).astype(np.uint8))
    for pairs in ([(origin, edited)], [(origin, edited), (again, edited), (origin, edited)]):
        rule = find_rule(pairs)
        assert rule.share == 0.0 and not rule.is_true
    # Beside others it counts once: what is told of it is not what it tells itself.
    assert not find_rule([(origin, edited), (again, edited), pair(mirrored, 2), pair(mirrored, 3)]).is_true


def test_large_pictures_are_looked_at_made_smaller(pair, found, monkeypatch):
    monkeypatch.setattr(learning, "_LARGEST_SIDE", 64)
    rule = find_rule([pair(softer, 1, side=128), pair(softer, 2, side=128), pair(softer, 3)])
    assert rule.side == 64 and rule.is_true and rule.cues == (COLOUR, SURROUNDINGS)


def test_no_pair_and_pairs_of_two_sizes_are_refused(pair):
    with pytest.raises(InputError, match="no retouched pair"):
        find_rule([])
    with pytest.raises(InputError, match="64"):
        find_rule([pair(warmer, 1), (pair(warmer, 1)[0], pair(warmer, 1, side=128)[1])])
