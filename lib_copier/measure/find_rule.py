"""From retouched pairs to the rule behind them: what it goes by is what tells most of a pair left out.

A single pair cannot tell its rule from what else is alike in one picture. From one of the demo's, a picture's
contrast was "told" to 0.86 by its other quarters, and to −2.6 on other pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.image.pair import check_sizes
from lib_copier.image.similarity import psnr
from lib_copier.measure.attributes import levels
from lib_copier.measure.cues import COLOUR, CUES, PICTURE, PLACE, SURROUNDINGS, cue_at
from lib_copier.measure.rule import Rule, centred
from lib_copier.models.threads import settle_threads

if TYPE_CHECKING:
    import torch

Pair = tuple[Image.Image, Image.Image]
"""Origin and retouched copy."""

FEWEST = 2
"""Pairs of unlike origins: of each something is told that the others do not show."""
_TRIED = (
    (COLOUR,),
    (COLOUR, PLACE),
    (COLOUR, SURROUNDINGS),
    (COLOUR, SURROUNDINGS, PLACE),
    (COLOUR, PICTURE),
    (COLOUR, SURROUNDINGS, PICTURE),
)
"""From plain to rich."""
_FEWEST_PICTURES = 4
"""Of so many the whole picture's own look can be told from what else they show."""
_AS_GOOD = 0.02
"""A richer rule must tell so much more to be taken."""
_MOST_FOLDS = 3
_MOST_PIXELS, _MOST_IN_ALL = 40_000, 200_000
"""Of one pair, and of all together."""
_LARGEST_SIDE = 768
"""Pixels of a picture's shorter side; larger ones are looked at made smaller."""
_SAME_DB = 30.0
"""PSNR of two origins that are one picture, drawn twice."""
_HIDDEN = 64
_BATCH = 2048
_STEPS, _STEPS_TO_COMPARE = 800, 250
_RATE = 8e-3
_DECAY = 1e-2
_RIDGE = 3e-2
"""Of the cues' variance: cues that say nearly the same would else pull against each other."""
_MARGIN = 0.03
"""How far beyond the changes that were seen one may go, in shares of the full range."""


@dataclass(frozen=True)
class _Seen:
    """Pixels of a pair: every cue (P, N) by its name, and the changes (P, 3)."""

    by_cue: Mapping[str, np.ndarray]
    changes: np.ndarray

    def cues(self, names: Sequence[str]) -> np.ndarray:
        """These cues beside each other, as `cues_at` gives them."""
        return np.concatenate([self.by_cue[name] for name in names], axis=1, dtype=np.float32)


def find_rule(pairs: Sequence[Pair], progress: Callable[[int, int], None] = lambda *_: None) -> Rule:
    """The rule that makes of each origin its retouched copy, and how much it tells of a pair left out.

    Pairs of the same origin count once; of fewer than `FEWEST` unlike ones nothing is told of any left out:
    ``share`` is then 0. `progress` is told what is done and all there is to do.

    Raises
    ------
    InputError
        There are no pairs, or an origin and its copy differ in size.
    """
    if not pairs:
        raise InputError("There is no retouched pair to find a rule in.", "Give two or more.")
    for origin, edited in pairs:
        check_sizes(origin, edited)
    unlike = _unlike([(shrunk(origin), shrunk(edited)) for origin, edited in pairs])
    side = min(min(origin.size) for origin, _ in unlike)
    tried = [cues for cues in _TRIED if PICTURE not in cues or len(unlike) >= _FEWEST_PICTURES]
    seen = _seen(unlike, side)
    best, best_share = tried[0], -np.inf if len(unlike) >= FEWEST else 0.0
    for number, cues in enumerate(tried if len(unlike) >= FEWEST else ()):
        share = _told_of_pairs_left_out(seen, cues)
        if share > best_share + _AS_GOOD:
            best, best_share = cues, share
        progress(number + 1, len(tried) + 1)
    found = _fitted(seen, best, _STEPS)
    progress(len(tried) + 1, len(tried) + 1)
    return Rule(best, side, round(float(best_share), 4), found)


def shrunk(picture: Image.Image) -> Image.Image:
    """The picture as it is looked at: with a shorter side of `_LARGEST_SIDE` pixels at most."""
    scale = _LARGEST_SIDE / min(picture.size)
    if scale >= 1.0:
        return picture
    width, height = picture.size
    return picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BOX)


def _unlike(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs without those whose origin is there already: nothing is told of one that another shows."""
    found: list[Pair] = []
    for pair in pairs:
        same = [levels(one) for one, _ in found if one.size == pair[0].size]
        if all(psnr(one, levels(pair[0]), 255.0) < _SAME_DB for one in same):
            found.append(pair)
    return found


def _seen(pairs: Sequence[Pair], side: int) -> list[_Seen]:
    """Every pair's pixels, thinned to `_MOST_PIXELS`, or an equal share of `_MOST_IN_ALL`."""
    drawn, found = np.random.default_rng(0), []
    most = min(_MOST_PIXELS, _MOST_IN_ALL // len(pairs))
    for pair in pairs:
        before, after = (np.asarray(one.convert("RGB"), dtype=np.float32) / 255.0 for one in pair)
        kept = np.sort(drawn.permutation(before.size // 3)[:most])
        cues = {name: cue_at(before, name, side) for name in CUES}
        thinned = {name: cue.reshape(-1, cue.shape[2])[kept] for name, cue in cues.items()}
        found.append(_Seen(thinned, (after - before).reshape(-1, 3)[kept]))
    return found


def _told_of_pairs_left_out(pairs: Sequence[_Seen], cues: Sequence[str]) -> float:
    """1 − Σ‖change − told‖² / Σ‖change‖² over pairs that were left out of the fit in turn."""
    missed = whole = 0.0
    for place, left_out in enumerate(pairs[:_MOST_FOLDS]):
        others = [*pairs[:place], *pairs[place + 1 :]]
        found = Rule((), 0, 0.0, _fitted(others, cues, _STEPS_TO_COMPARE))
        missed += float(np.square(left_out.changes - found.change(left_out.cues(cues))).sum())
        whole += float(np.square(left_out.changes).sum())
    return 1.0 - missed / whole if whole else 0.0


def _fitted(pairs: Sequence[_Seen], cues: Sequence[str], steps: int) -> dict[str, np.ndarray]:
    """The arrays of a `Rule` by least squares: the line by ridge regression, the network on its rest."""
    seen = np.concatenate([pair.cues(cues) for pair in pairs])
    changes = np.concatenate([pair.changes for pair in pairs])
    found = {
        "mean": seen.mean(axis=0),
        "scale": seen.std(axis=0) + np.float32(1e-2),
        "low": seen.min(axis=0),
        "high": seen.max(axis=0),
        "least": changes.min(axis=0) - np.float32(_MARGIN),
        "most": changes.max(axis=0) + np.float32(_MARGIN),
    }
    rows = centred(seen, found)
    with_one = np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1).astype(np.float64)
    spread = with_one.T @ with_one / len(rows) + _RIDGE * np.eye(with_one.shape[1])
    line = np.linalg.solve(spread, with_one.T @ changes / len(rows)).astype(np.float32)
    rest = changes - rows @ line[:-1] - line[-1]
    return {**found, "line": line, **_network(rows, rest, steps)}


def _network(rows: np.ndarray, wanted: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Two hidden layers that give `wanted` (P, 3) of `rows` (P, N), by AdamW on drawn pixels."""
    # Here, not above: who only applies a rule needs no torch.
    import torch

    settle_threads()
    chance = torch.Generator().manual_seed(0)
    unit = float(wanted.std()) + 1e-6
    given, answers = torch.from_numpy(rows), torch.from_numpy(wanted / unit)
    sizes = (rows.shape[1], _HIDDEN, _HIDDEN, 3)
    layers = [_layer(before, after, chance) for before, after in pairwise(sizes)]
    weights = [one.requires_grad_() for layer in layers for one in layer]
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    for _ in range(steps):
        at = torch.randint(len(given), (_BATCH,), generator=chance)
        hidden = given[at]
        for weight, bias in layers[:-1]:
            hidden = torch.nn.functional.silu(hidden @ weight + bias)
        loss = torch.nn.functional.mse_loss(hidden @ layers[-1][0] + layers[-1][1], answers[at])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    found = {}
    for number, (weight, bias) in enumerate(layers, start=1):
        last = unit if number == len(layers) else 1.0
        found[f"w{number}"] = weight.detach().numpy() * np.float32(last)
        found[f"b{number}"] = bias.detach().numpy() * np.float32(last)
    return found


def _layer(inputs: int, outputs: int, chance: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    reach = inputs**-0.5
    weight, bias = torch.empty(inputs, outputs), torch.empty(outputs)
    return weight.uniform_(-reach, reach, generator=chance), bias.uniform_(-reach, reach, generator=chance)
