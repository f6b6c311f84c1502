"""Captions with their tags shuffled, each step's known before the first step so that it is encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib_copier.train.draw import stream

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
    captions: Sequence[str],
    *,
    uses: int,
    shuffle: bool,
    keep_tokens: int,
    seed: int,
    limit: int | None,
    others: Sequence[str] = (),
    other_share: float = 0.0,
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
    others, other_share:
        Prompts that stand in for the caption in this share (0 … 1) of the uses, drawn by the seed alone.
    """
    found: dict[str, int] = {}
    rows = []
    has_others = bool(others) and other_share > 0
    for caption in captions:
        orders = min(uses, limit or uses) if shuffle or has_others else 1
        own = []
        for order in range(orders):
            text = _other_prompt(others, other_share, seed, order) if has_others else None
            if text is None:
                text = (
                    shuffle_tags(caption, order, seed=seed, keep_tokens=keep_tokens) if shuffle else caption
                )
            own.append(found.setdefault(text, len(found)))
        rows.append(tuple(own))
    return CaptionBook(tuple(found), tuple(rows))


def _other_prompt(others: Sequence[str], share: float, seed: int, order: int) -> str | None:
    """The prompt that stands in for the caption this time; None where the caption itself is due."""
    draw = stream(seed, "other prompt", order)
    return others[int(draw.integers(len(others)))] if draw.random() < share else None


def shuffle_tags(caption: str, order: int, *, seed: int, keep_tokens: int) -> str:
    """The caption with all but its first `keep_tokens` tags in the `order`-th drawn order."""
    tags = [tag.strip() for tag in caption.split(",")]
    kept, loose = tags[:keep_tokens], tags[keep_tokens:]
    if len(loose) > 1:
        loose = [loose[place] for place in stream(seed, "caption", order).permutation(len(loose))]
    return ", ".join(kept + loose)
