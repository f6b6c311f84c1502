"""Captions with their tags shuffled, each step's known before the first step so that it is encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_copier.train.seeded import stream

CACHED_ORDERS = 256
"""Orders of a caption's tags in use where embeddings are computed ahead: far more than a run can tell
apart, and little memory (60 MB for SD1.5 in fp32)."""


@dataclass(frozen=True)
class CaptionBook:
    """Every caption that a run will use, without repeats, and which of them a step takes."""

    texts: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    """For each picture: the row in `texts` of each order in turn."""

    def row(self, picture: int, use: int) -> int:
        """The row for the `use`-th noised copy of the run (step · batch_size + copy)."""
        own = self.rows[picture]
        return own[use % len(own)]


def plan_captions(
    captions: Sequence[str], *, uses: int, shuffle: bool, keep_tokens: int, seed: int, limit: int | None
) -> CaptionBook:
    """Lay out a run's captions.

    Parameters
    ----------
    captions:
        One a picture, comma-separated tags.
    uses:
        Noised copies in the whole run.
    limit:
        At most this many orders a picture, used in turn; None: a fresh one for every use.
    """
    found: dict[str, int] = {}
    rows = []
    for caption in captions:
        orders = min(uses, limit or uses) if shuffle else 1
        texts = [shuffle_tags(caption, order, seed=seed, keep_tokens=keep_tokens) for order in range(orders)]
        rows.append(tuple(found.setdefault(text if shuffle else caption, len(found)) for text in texts))
    return CaptionBook(tuple(found), tuple(rows))


def shuffle_tags(caption: str, order: int, *, seed: int, keep_tokens: int) -> str:
    """The caption with all but its first `keep_tokens` tags in the `order`-th drawn order."""
    tags = [tag.strip() for tag in caption.split(",")]
    kept, loose = tags[:keep_tokens], tags[keep_tokens:]
    if len(loose) > 1:
        loose = [loose[place] for place in stream(seed, "caption", order).permutation(len(loose))]
    return ", ".join(kept + loose)
