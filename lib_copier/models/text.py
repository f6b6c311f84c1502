"""Prompts to what the U-Net reads of them, as the WebUI does it for each family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lib_copier.model_file.families import SD1, SDXL
from lib_copier.models.checkpoint import Checkpoint
from lib_copier.models.chunks import Chunk, split_chunks
from lib_copier.models.tokenizer import CHUNK_TOKENS
from lib_copier.txt2img.prompt import Phrase, parse_prompt

_FRAMED = CHUNK_TOKENS + 2


@dataclass(frozen=True)
class PromptEmbedding:
    """Encoded prompts: `hidden` (B, 77 · chunks, C) and, for SDXL, `pooled` (B, P).

    `chunk_counts` says how much of `hidden` belongs to each prompt; behind it stand zeros that are to be
    masked (`mask`).
    """

    hidden: torch.Tensor
    pooled: torch.Tensor | None
    chunk_counts: tuple[int, ...]

    def mask(self) -> torch.Tensor | None:
        """(B, 77 · chunks), true where a prompt has text to attend to; None where none is shorter."""
        if len(set(self.chunk_counts)) == 1:
            return None
        lengths = torch.tensor(self.chunk_counts, device=self.hidden.device) * _FRAMED
        return torch.arange(self.hidden.shape[1], device=self.hidden.device) < lengths[:, None]

    def row(self, index: int) -> PromptEmbedding:
        """One prompt alone, without padding."""
        count = self.chunk_counts[index]
        pooled = None if self.pooled is None else self.pooled[index : index + 1]
        return PromptEmbedding(self.hidden[index : index + 1, : count * _FRAMED], pooled, (count,))

    def zeroed(self) -> PromptEmbedding:
        """The same shape, all zeros: what SDXL was trained to take for no prompt."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return PromptEmbedding(torch.zeros_like(self.hidden), pooled, self.chunk_counts)


def stack(embeddings: Sequence[PromptEmbedding]) -> PromptEmbedding:
    """Several as one batch, the shorter ones filled with zeros (to be masked)."""
    longest = max(embedding.hidden.shape[1] for embedding in embeddings)
    hidden = torch.cat(
        [
            torch.nn.functional.pad(embedding.hidden, (0, 0, 0, longest - embedding.hidden.shape[1]))
            for embedding in embeddings
        ]
    )
    pooled = None
    if embeddings[0].pooled is not None:
        pooled = torch.cat([one.pooled for one in embeddings if one.pooled is not None])
    counts = tuple(count for embedding in embeddings for count in embedding.chunk_counts)
    return PromptEmbedding(hidden, pooled, counts)


@torch.no_grad()
def encode_prompts(
    checkpoint: Checkpoint, prompts: Sequence[str], clip_skip: int = 1, *, is_weighted: bool = True
) -> PromptEmbedding:
    """Encode prompts of any length.

    Parameters
    ----------
    clip_skip:
        Which layer from the end SD1's text encoder is read at (1: the last). SD2 and SDXL were trained
        on their last but one layer, and are always read there.
    is_weighted:
        Read the WebUI's syntax for weights and breaks; else every character is text, as in training.
    """
    read = parse_prompt if is_weighted else _plain
    phrases = [read(prompt) for prompt in prompts]
    encode = checkpoint.tokenizers[0].encode
    (comma,) = encode(",")
    chunks = [split_chunks(own, encode, comma) for own in phrases]
    flat = [chunk for own in chunks for chunk in own]
    hidden, pooled = _hidden_states(checkpoint, _ids(checkpoint, flat), clip_skip)
    weighed = torch.cat([_weigh(own, flat) for own in hidden], dim=-1)
    return stack(_by_prompt(weighed, pooled, [len(own) for own in chunks]))


def caption_ids(checkpoint: Checkpoint, captions: Sequence[str]) -> tuple[torch.Tensor, ...]:
    """Token ids (captions, 77) for each text encoder: plain text, cut at 75 tokens, as in training."""
    encode = checkpoint.tokenizers[0].encode
    return _ids(checkpoint, [Chunk(tuple(encode(caption)[:CHUNK_TOKENS])) for caption in captions])


def encode_ids(checkpoint: Checkpoint, ids: Sequence[torch.Tensor], clip_skip: int = 1) -> PromptEmbedding:
    """Encode token ids (B, 77), one tensor for each text encoder. Differentiable."""
    states, pooled = _hidden_states(checkpoint, ids, clip_skip)
    hidden = torch.cat(states, dim=-1)
    return PromptEmbedding(hidden, pooled, (1,) * hidden.shape[0])


def _hidden_states(
    checkpoint: Checkpoint, ids: Sequence[torch.Tensor], clip_skip: int
) -> tuple[list[torch.Tensor], torch.Tensor | None]:
    """(B, 77, C) of each encoder, read at the layer that the family reads, and SDXL's pooled text (B, P)."""
    if checkpoint.family is SDXL:
        first, second = (
            encoder(own, output_hidden_states=True)
            for encoder, own in zip(checkpoint.text_encoders, ids, strict=True)
        )
        return [first.hidden_states[-2], second.hidden_states[-2]], second.text_embeds
    (encoder,), (own,) = checkpoint.text_encoders, ids
    if checkpoint.family is not SD1 or clip_skip <= 1:
        return [encoder(own).last_hidden_state], None
    states = encoder(own, output_hidden_states=True).hidden_states
    skipped = states[max(-clip_skip, -len(states))]
    return [encoder.text_model.final_layer_norm(skipped)], None


def time_ids(size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """SDXL's six numbers (1, 6): original height and width, crop from top and left, target height and width.

    `size` is width and height in pixels; nothing is cropped, and the picture is what was wanted.
    """
    width, height = size
    return torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32, device=device)


def _ids(checkpoint: Checkpoint, chunks: Sequence[Chunk]) -> tuple[torch.Tensor, ...]:
    return tuple(
        torch.tensor([tokenizer.chunk(list(chunk.tokens)) for chunk in chunks], device=checkpoint.device)
        for tokenizer in checkpoint.tokenizers
    )


def _plain(text: str) -> list[Phrase]:
    return [Phrase(text)]


def _weigh(hidden: torch.Tensor, chunks: Sequence[Chunk]) -> torch.Tensor:
    """Multiply tokens of one encoder by their weights and bring each chunk back to the mean it had.

    The WebUI's "Original" emphasis: with SDXL each of the two encoders keeps a mean of its own.
    """
    if all(weight == 1.0 for chunk in chunks for weight in chunk.weights):
        return hidden
    rows = [[1.0, *chunk.weights] + [1.0] * (_FRAMED - 1 - len(chunk.weights)) for chunk in chunks]
    weights = torch.tensor(rows, device=hidden.device)
    full = hidden.float()
    weighed = full * weights[:, :, None]
    before, after = full.mean(dim=(1, 2), keepdim=True), weighed.mean(dim=(1, 2), keepdim=True)
    is_weighed = (weights != 1.0).any(dim=1)[:, None, None]
    return torch.where(is_weighed, weighed * (before / after), full).to(hidden.dtype)


def _by_prompt(
    hidden: torch.Tensor, pooled: torch.Tensor | None, counts: Sequence[int]
) -> list[PromptEmbedding]:
    """Each prompt's chunks side by side again; its first chunk gives the pooled text."""
    embeddings, start = [], 0
    for count in counts:
        own = hidden[start : start + count].reshape(1, count * _FRAMED, hidden.shape[-1])
        own_pooled = None if pooled is None else pooled[start : start + 1]
        embeddings.append(PromptEmbedding(own, own_pooled, (count,)))
        start += count
    return embeddings
