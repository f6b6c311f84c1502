"""Pictures that a process has printed and may be asked for again: those at weight 0 are all edits' own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from PIL import Image

from lib_copier.models.kept import Key

Pictures = Sequence[Image.Image]


class KeptPrints:
    """The pictures of whole calls, least recently used first to go.

    Whole calls, since a picture's last bits depend on the batch that it is printed in.
    """

    def __init__(self) -> None:
        self._budget = 0
        self._calls: OrderedDict[Key, list[Image.Image]] = OrderedDict()

    def keep(self, budget: int) -> None:
        """Keep pictures from now on, in so many bytes."""
        self._budget = budget

    def take(self, key: Key, make: Callable[[], list[Image.Image]]) -> list[Image.Image]:
        """The pictures of a call: those that are kept, else made and, where there is room and a key, kept."""
        if key not in self._calls:
            made = make()
            if not key or _size(made) > self._budget:
                return made
            self._calls[key] = made
            while sum(map(_size, self._calls.values())) > self._budget:
                self._calls.popitem(last=False)
        self._calls.move_to_end(key)
        return [picture.copy() for picture in self._calls[key]]


PRINTS = KeptPrints()
"""This process's; it keeps nothing unless told to."""


def _size(pictures: Pictures) -> int:
    return sum(picture.width * picture.height * len(picture.getbands()) for picture in pictures)
