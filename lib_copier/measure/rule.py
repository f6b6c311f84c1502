"""A retouch as a rule that can be applied to any picture: as A is to A', so is B to B'.

After "Image Analogies" (Hertzmann et al. 2001). There a pixel of B' is looked up among those of A'; here its
change is a function of what is seen around it in B (`cues`): a line, which goes on beyond what the pairs
show, and a small network on what is left, which does not:

    B' = B + z(B) · line + silu(silu(z · w₁ + b₁) · w₂ + b₂) · w₃ + b₃,   z: the cues, centred and scaled
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lib_copier.errors import InputError
from lib_copier.files.disk import found_object, has_types, json_text, write_bytes
from lib_copier.measure.cues import CUES, cues_at

LEAST_SHARE = 0.7
"""Share of a change that a rule must tell of what it was not fitted to; else it is none of this retouch."""
_RULE = "rule"
"""Its entry among a file's metadata: what is no array, as JSON."""
_LARGEST = 1 << 22
"""Bytes of a file; a rule has some tens of thousands."""
_FELT = 1.5 / 255.0
"""A change that no channel shows by more is rounding, and none."""
_AT_ONCE = 1 << 16
"""Pixels."""
_KEPT = 64
"""Pictures whose retouched copies are remembered."""


@dataclass(frozen=True, eq=False)
class Rule:
    """The rule of a retouch.

    Parameters
    ----------
    cues:
        What it goes by, of `cues.CUES`.
    side:
        Shorter side of the pictures that it was fitted to, in pixels: distances scale with it.
    share:
        How much of the change it told of pairs that were left out: 1 all of it, 0 none; below that worse than
        no change at all.
    arrays:
        ``mean``, ``scale``, ``low`` and ``high`` (N,) of the cues, ``line`` (N + 1, 3), the network's ``w1``
        (N, H), ``b1``, ``w2`` (H, H), ``b2``, ``w3`` (H, 3), ``b3``, and the changes' ``least`` and ``most``
        (3,), all float32.
    """

    cues: tuple[str, ...]
    side: int
    share: float
    arrays: Mapping[str, np.ndarray]
    _known: dict[bytes, Image.Image] = field(default_factory=dict, repr=False)

    @property
    def is_true(self) -> bool:
        """Whether what it makes of a picture is what its maker would have made of it."""
        return self.share >= LEAST_SHARE

    def told(self) -> dict[str, Any]:
        """``share``, ``cues``, ``is_true``, and what they mean as a ``sentence``."""
        # Rounded down: a whole is told of nothing that falls short of it.
        told = f"{int(100.0 * max(self.share, 0.0))}%"
        if self.is_true:
            sentence = f"A rule tells {told} of what you changed in a picture that it had not seen."
        else:
            sentence = (
                f"No rule was found in your retouching: the best tells {told} of what you changed in a "
                f"picture that it had not seen, {LEAST_SHARE:.0%} are needed. "
                "Further retouched pictures may show one."
            )
        return {"share": self.share, "cues": list(self.cues), "is_true": self.is_true, "sentence": sentence}

    def apply(self, picture: Image.Image) -> Image.Image:
        """The retouched copy of an RGB picture."""
        key = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()
        if key not in self._known:
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = self._retouched(picture)
        return self._known[key].copy()

    def _retouched(self, picture: Image.Image) -> Image.Image:
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0
        seen = cues_at(pixels, self.cues, self.side)
        rows = seen.reshape(-1, seen.shape[2])
        changes = [self.change(rows[start : start + _AT_ONCE]) for start in range(0, len(rows), _AT_ONCE)]
        change = np.concatenate(changes)
        change[np.abs(change).max(axis=1) < _FELT] = 0.0
        found = pixels + change.reshape(pixels.shape)
        return Image.fromarray((np.clip(found, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))

    def change(self, seen: np.ndarray) -> np.ndarray:
        """What is added to pixels with these cues, (P, N) → (P, 3), in shares of the full range."""
        known = self.arrays
        straight = centred(seen, known) @ known["line"][:-1] + known["line"][-1]
        within = centred(np.clip(seen, known["low"], known["high"]), known)
        hidden = _silu(_silu(within @ known["w1"] + known["b1"]) @ known["w2"] + known["b2"])
        bent = hidden @ known["w3"] + known["b3"]
        return np.asarray(np.clip(straight + bent, known["least"], known["most"]))

    def write(self, path: Path) -> None:
        """As a safetensors file; what is no array stands in its metadata."""
        # In one entry: the order of several is another every time.
        told = {_RULE: json_text({"cues": self.cues, "side": self.side, "share": self.share}, indent=None)}
        arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in self.arrays.items()}
        write_bytes(path, save(arrays, metadata=told))

    @classmethod
    def read(cls, path: Path) -> Rule:
        """What `write` wrote; InputError where the file is not one."""
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError("it is too large")
            with safe_open(path, framework="numpy") as file:
                told = found_object((file.metadata() or {}).get(_RULE, ""))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if not has_types(told, {"cues": list, "side": int, "share": (int, float)}):
                raise ValueError("it does not say what it goes by")
            found = cls(tuple(map(str, told["cues"])), told["side"], float(told["share"]), arrays)
            is_sound = found._is_sound()
        except (SafetensorError, KeyError, ValueError, TypeError, OSError, ZeroDivisionError) as error:
            raise InputError(f"{path} holds no rule of a retouch ({error}).", "Find it anew.") from error
        if not is_sound:
            raise InputError(f"{path} holds no rule of a retouch.", "Find it anew.")
        return found

    def _is_sound(self) -> bool:
        """Whether all of it fits together; ValueError and KeyError tell where it does not, too."""
        if self.side < 1 or not self.share <= 1.0 or not set(self.cues) <= set(CUES):
            return False
        if not all(one.dtype == np.float32 and np.isfinite(one).all() for one in self.arrays.values()):
            return False
        known = self.arrays
        if not (known["scale"] > 0.0).all() or not (known["least"] <= known["most"]).all():
            return False
        change = self.change(cues_at(np.zeros((1, 1, 3), np.float32), self.cues, self.side)[0])
        return change.shape == (1, 3) and bool(np.isfinite(change).all())


def centred(seen: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Cues (P, N) as the line and the network take them."""
    return np.asarray((seen - arrays["mean"]) / arrays["scale"])


def _silu(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(values / (1.0 + np.exp(-values)))
