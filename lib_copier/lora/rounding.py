"""Whether two weights differ by more than the rounding of how they are stored."""

from __future__ import annotations

import math

import numpy as np

from lib_copier.lora.precision import Array, as_float32, stored_as
from lib_copier.model_file.header import TensorInfo

# Largest relative error of rounding to nearest (half a unit in the last place), and the largest absolute one
# among numbers too small for the type's full precision.
_UNITS = {
    "F32": (2.0**-24, 2.0**-150),
    "F16": (2.0**-11, 2.0**-25),
    "BF16": (2.0**-8, 2.0**-134),
    "F8_E4M3": (2.0**-4, 2.0**-10),
    "F8_E5M2": (2.0**-3, 2.0**-17),
}
_LARGEST_FP8 = {"F8_E4M3": 448.0, "F8_E5M2": 57344.0}


def rounding_of(dtype: str) -> float:
    """The relative error that storing a number may make; 0 for types that hold all that is met here."""
    return _UNITS.get(dtype, (0.0, 0.0))[0]


class Rounding:
    """Judges one weight, run by run, in two files that store it as `before` and `after` tell.

    A copy differs, for every single number, by no more than both roundings together. What was trained or
    merged goes beyond that somewhere, at the latest where a weight is near zero. Where both files have one
    type, a copy would be equal: there one must be exactly the other, rounded to a shorter type.
    """

    def __init__(self, before: TensorInfo, after: TensorInfo) -> None:
        self._infos = (before, after)
        types = [info.quantised or info.dtype for info in self._infos]
        self._is_one_type = types[0] == types[1]
        self._coarser = max(types, key=rounding_of)
        self._relative = sum(map(rounding_of, types))
        self._excess, self._largest = -math.inf, 0.0
        self._copies = [dtype for dtype in _UNITS if rounding_of(dtype) > rounding_of(self._coarser)]

    def see(self, before: Array, after: Array, difference: Array) -> None:
        """Take in a run of numbers, all float32."""
        if not self._is_one_type:
            size = np.maximum(np.abs(before), np.abs(after))
            self._largest = max(self._largest, float(size.max()))
            size *= np.float32(self._relative)
            self._excess = max(self._excess, float((np.abs(difference) - size).max()))
        self._copies = [dtype for dtype in self._copies if _is_copy(before, after, dtype)]

    @property
    def explains_all(self) -> str | None:
        """The type to which rounding is all that was seen, or None where there is more."""
        if not self._is_one_type and self._excess <= sum(map(self._floor, self._infos)):
            return self._coarser
        return self._copies[0] if self._copies else None

    def _floor(self, info: TensorInfo) -> float:
        # A scale spreads fp8 over what the weight has.
        spread = self._largest / _LARGEST_FP8[info.quantised] if info.quantised else 1.0
        return spread * _UNITS.get(info.quantised or info.dtype, (0.0, 0.0))[1]


def _is_copy(before: Array, after: Array, dtype: str) -> bool:
    """Whether one is the other, rounded; what rounds to nothing but zeros tells nothing."""
    for original, copy in ((before, after), (after, before)):
        if 2 * np.count_nonzero(copy) > copy.size and np.array_equal(
            as_float32(stored_as(original, dtype)), copy
        ):
            return True
    return False
