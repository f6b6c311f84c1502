"""What an edit is: a named pure function on pictures with described parameters and a strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

REFERENCE_SIDE = 512
"""Lengths among the parameters are pixels of a picture whose shorter side is this long."""
MAX_STRENGTH = 2.0
_FEWEST_STEPS = 40
_ROUND = tuple(Decimal(digit).scaleb(power) for power in (1, 0, -1, -2, -3, -4) for digit in (5, 2, 1))

Apply = Callable[[np.ndarray, float, Mapping[str, float]], np.ndarray]
"""(picture (H, W, 3) float32 in 0..1, strength > 0, all parameters) → picture of the same shape."""


@dataclass(frozen=True)
class Parameter:
    """One setting of an effect: what a form draws and a command line checks."""

    name: str
    default: float
    """A whole number where the parameter takes only such."""
    minimum: float
    maximum: float
    help: str

    @property
    def kind(self) -> str:
        """``float`` or ``int``."""
        return type(self.default).__name__

    @property
    def label(self) -> str:
        """What stands beside its slider."""
        return self.name.capitalize()

    @property
    def step(self) -> float:
        """A slider's step: the coarsest round one of whose grid the default and both ends are points."""
        if self.kind == "int":
            return 1
        low, high, default = (Decimal(str(one)) for one in (self.minimum, self.maximum, self.default))
        return float(
            next(
                one
                for one in _ROUND
                if (high - low) / one >= _FEWEST_STEPS
                and not (high - low) % one
                and not (default - low) % one
            )
        )

    def fault(self, value: object) -> str | None:
        """Why a value cannot be used, or None."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{self.name} must be a number, not {value!r}"
        if not self.minimum <= value <= self.maximum:
            return f"{self.name} must be between {self.minimum:g} and {self.maximum:g}, not {value:g}"
        if self.kind == "int" and value != int(value):
            return f"{self.name} must be a whole number, not {value:g}"
        return None


@dataclass(frozen=True)
class Effect:
    """An edit: at strength 0 the picture itself, at 1 the full edit, beyond 1 more of it."""

    name: str
    label: str
    help: str
    apply: Apply
    parameters: tuple[Parameter, ...]

    def values(self, params: Mapping[str, float]) -> dict[str, float]:
        """All parameters: the given ones, defaults for the rest."""
        return {p.name: params.get(p.name, p.default) for p in self.parameters}

    def faults(self, strength: object, params: Mapping[str, object]) -> list[str]:
        """Everything wrong with a use of this effect, a phrase each."""
        found = []
        if isinstance(strength, bool) or not isinstance(strength, (int, float)):
            found.append(f"strength must be a number, not {strength!r}")
        elif not 0.0 <= strength <= MAX_STRENGTH:
            found.append(f"strength must be between 0 and {MAX_STRENGTH:g}, not {strength:g}")
        known = {p.name: p for p in self.parameters}
        for name, value in params.items():
            if name not in known:
                found.append(f"there is no parameter {name!r} (there are: {', '.join(known) or 'none'})")
            else:
                fault = known[name].fault(value)
                found += [fault] if fault else []
        return found


@dataclass(frozen=True)
class EffectUse:
    """One link of a chain of edits; `params` may be given as a mapping and is kept as sorted pairs."""

    name: str
    strength: float = 1.0
    params: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        given: Any = self.params
        pairs = given.items() if isinstance(given, Mapping) else given
        object.__setattr__(self, "params", tuple(sorted((str(k), v) for k, v in pairs)))

    def to_json(self) -> dict[str, Any]:
        """The form used in recipes and job files."""
        return {"name": self.name, "strength": self.strength, "params": dict(self.params)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> EffectUse:
        """Read what `to_json` wrote; checks belong to `effects.chain_faults`."""
        params = tuple(dict(value.get("params") or {}).items())
        return EffectUse(str(value["name"]), value.get("strength", 1.0), params)


Chain = tuple[EffectUse, ...]


def relative_scale(picture: np.ndarray) -> float:
    """Pixels of this picture per pixel of the reference picture."""
    return min(picture.shape[:2]) / REFERENCE_SIDE


def mixed(picture: np.ndarray, edited: np.ndarray, strength: float) -> np.ndarray:
    """The picture at strength 0, the edited one at 1 and above."""
    share = min(strength, 1.0)
    return picture + share * (edited - picture)


def luminance(picture: np.ndarray) -> np.ndarray:
    """Rec. 601 luma of (H, W, 3) in the picture's own units, shape (H, W)."""
    return picture @ np.array([0.299, 0.587, 0.114], dtype=picture.dtype)
