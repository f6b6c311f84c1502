"""Captions as the U-Net reads them: computed once, or each step anew where the encoder is trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lib_copier.models.checkpoint import Checkpoint
from lib_copier.models.text import caption_ids, encode_ids

_CAPTIONS_AT_A_TIME = 16


class CachedConditioning:
    """Embeddings of every caption of the run; `rows` picks among them."""

    def __init__(self, hidden: torch.Tensor, pooled: torch.Tensor | None) -> None:
        self._hidden = hidden
        self._pooled = pooled

    @classmethod
    @torch.no_grad()
    def encode(
        cls, checkpoint: Checkpoint, texts: Sequence[str], *, clip_skip: int, dtype: torch.dtype
    ) -> CachedConditioning:
        """Encode captions as plain text (no weights by brackets, at most 75 tokens), as sd-scripts does."""
        ids = caption_ids(checkpoint, texts)
        batches = zip(*(part.split(_CAPTIONS_AT_A_TIME) for part in ids), strict=True)
        found = [encode_ids(checkpoint, batch, clip_skip) for batch in batches]
        hidden = torch.cat([one.hidden for one in found]).to(dtype)
        pooled = [one.pooled for one in found if one.pooled is not None]
        return cls(hidden, torch.cat(pooled).to(dtype) if pooled else None)

    def __call__(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        pooled = None if self._pooled is None else self._pooled.index_select(0, rows)
        return self._hidden.index_select(0, rows), pooled


class LiveConditioning:
    """Token ids of every caption of the run; the encoders, in training, run for the rows asked for."""

    def __init__(self, checkpoint: Checkpoint, texts: Sequence[str], *, clip_skip: int) -> None:
        self._checkpoint = checkpoint
        self._ids = caption_ids(checkpoint, texts)
        self._clip_skip = clip_skip

    def __call__(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        ids = [part.index_select(0, rows) for part in self._ids]
        found = encode_ids(self._checkpoint, ids, self._clip_skip)
        return found.hidden, found.pooled
