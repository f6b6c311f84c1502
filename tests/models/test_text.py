"""Encoded prompts are what transformers gives for plain text, and what the WebUI makes of weights."""

from __future__ import annotations

import pytest
import torch

from lib_copier.model_file.families import FAMILIES
from lib_copier.models.text import caption_ids, encode_ids, encode_prompts, stack
from lib_copier.models.tokenizer import END_ID, START_ID

PROMPT = "a photo of a cat, outdoors"


def framed(checkpoint, index: int) -> torch.Tensor:
    tokenizer = checkpoint.tokenizers[index]
    ids = [START_ID, *tokenizer.encode(PROMPT), END_ID]
    return torch.tensor([ids + [tokenizer.pad_id] * (77 - len(ids))])


@torch.no_grad()
def test_sd1_is_the_last_layer_normalised(loaded):
    checkpoint = loaded("sd1")
    found = encode_prompts(checkpoint, [PROMPT])
    (encoder,) = checkpoint.text_encoders
    assert torch.equal(found.hidden, encoder(framed(checkpoint, 0)).last_hidden_state)
    assert found.pooled is None and found.mask() is None


@torch.no_grad()
def test_clip_skip_two_is_the_layer_before_normalised(loaded):
    checkpoint = loaded("sd1")
    (encoder,) = checkpoint.text_encoders
    states = encoder(framed(checkpoint, 0), output_hidden_states=True).hidden_states
    expected = encoder.text_model.final_layer_norm(states[-2])
    assert torch.equal(encode_prompts(checkpoint, [PROMPT], 2).hidden, expected)


@torch.no_grad()
def test_sdxl_joins_two_encoders_and_pools_the_second(loaded):
    checkpoint = loaded("sdxl")
    found = encode_prompts(checkpoint, [PROMPT])
    first, second = checkpoint.text_encoders
    one = first(framed(checkpoint, 0), output_hidden_states=True)
    two = second(framed(checkpoint, 1), output_hidden_states=True)
    assert checkpoint.tokenizers[1].pad_id == 0
    expected = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], dim=-1)
    assert torch.equal(found.hidden, expected)
    assert torch.equal(found.pooled, two.text_embeds)
    # Pooled where the text ends, whatever stands behind it.
    end = (framed(checkpoint, 1)[0] == END_ID).nonzero()[0, 0]
    assert torch.allclose(found.pooled, second.text_projection(two.last_hidden_state[:, end]), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_captions_are_plain_text_cut_at_75_tokens(family, loaded):
    checkpoint = loaded(family)
    ids = caption_ids(checkpoint, ["(a cat)", "word " * 100])
    assert all(own.shape == (2, 77) and own[1, -1] == END_ID for own in ids)
    encoded = encode_ids(checkpoint, ids)
    plain = encode_prompts(checkpoint, ["(a cat)"], is_weighted=False)
    assert torch.allclose(encoded.hidden[:1], plain.hidden, atol=1e-5)


def test_encoding_ids_can_be_differentiated(loaded):
    checkpoint = loaded("sd1")
    weight = checkpoint.text_encoders[0].text_model.encoder.layers[0].mlp.fc1.weight
    weight.requires_grad_(True)
    try:
        encode_ids(checkpoint, caption_ids(checkpoint, ["a"])).hidden.square().sum().backward()
        assert weight.grad.abs().sum() > 0
    finally:
        weight.requires_grad_(False)
        weight.grad = None


def test_weights_scale_their_tokens_and_keep_the_mean(loaded):
    checkpoint = loaded("sd1")
    plain = encode_prompts(checkpoint, ["a cat"]).hidden
    heavy = encode_prompts(checkpoint, ["a (cat:1.5)"]).hidden
    factor = plain.mean() / (plain * torch.tensor([1, 1, 1.5] + [1] * 74)[:, None]).mean()
    assert torch.allclose(heavy[0, 1], plain[0, 1] * factor, atol=1e-4)
    assert torch.allclose(heavy[0, 2], plain[0, 2] * 1.5 * factor, atol=1e-4)


@torch.no_grad()
def test_sdxl_keeps_the_mean_of_each_encoder(loaded):
    """The WebUI restores the mean of each encoder for itself, before they are joined."""
    checkpoint = loaded("sdxl")
    ids = [framed(checkpoint, index) for index in (0, 1)]
    count = len(checkpoint.tokenizers[0].encode(PROMPT))
    factors = torch.tensor([1.0] + [1.3] * count + [1.0] * (76 - count))[:, None]
    parts = []
    for encoder, own in zip(checkpoint.text_encoders, ids, strict=True):
        z = encoder(own, output_hidden_states=True).hidden_states[-2]
        original_mean = z.mean()
        z = z * factors
        parts.append(z * (original_mean / z.mean()))
    found = encode_prompts(checkpoint, [f"({PROMPT}:1.3)"])
    assert torch.allclose(found.hidden, torch.cat(parts, dim=-1), rtol=1e-3, atol=1e-5)


def test_a_prompt_does_not_depend_on_what_is_encoded_with_it(loaded):
    checkpoint = loaded("sd1")
    prompts = ["a (cat:1.3)", "word, " * 60, "", "dog"]
    together = encode_prompts(checkpoint, prompts)
    assert together.chunk_counts == (1, 2, 1, 1)
    for index, prompt in enumerate(prompts):
        alone = encode_prompts(checkpoint, [prompt])
        assert torch.allclose(together.row(index).hidden, alone.hidden, atol=1e-5)
    assert together.mask().sum(dim=1).tolist() == [77, 154, 77, 77]


def test_stack_and_zeroed(loaded):
    embedding = encode_prompts(loaded("sdxl"), ["a"])
    nothing = embedding.zeroed()
    assert not nothing.hidden.any() and not nothing.pooled.any()
    both = stack([embedding, nothing])
    assert both.hidden.shape[0] == 2 and both.pooled.shape[0] == 2
