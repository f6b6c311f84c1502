"""A widened model is as wide as it says and computes what the narrow one does."""

from __future__ import annotations

import pytest
import torch
from widen import widen_text_encoder, widen_unet

from lib_copier.model_file.families import SD1
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.tiny import random_checkpoint


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    path = random_checkpoint(tmp_path_factory.mktemp("narrow") / "tiny.safetensors", SD1)
    checkpoint = load_checkpoint(path, parts=("unet", "text"))
    return checkpoint.unet.double(), checkpoint.text_encoders[0]


@pytest.fixture(scope="module")
def inputs():
    tokens = torch.full((2, 77), 49407)
    tokens[:, :4] = torch.tensor([[49406, 320, 736, 1237], [49406, 89, 5, 49407]])
    random = torch.Generator().manual_seed(3)
    return torch.randn(2, 4, 8, 8, generator=random, dtype=torch.float64), tokens


@pytest.mark.parametrize(("factor", "layers"), [(1, 4), (2, None), (3, 3)])
@torch.no_grad()
def test_a_widened_model_answers_as_the_narrow_one(narrow, inputs, factor, layers):
    unet, text = narrow
    latents, tokens = inputs
    wide_unet, wide_text = widen_unet(unet, factor), widen_text_encoder(text, factor, layers)
    hidden, wide_hidden = (encoder(tokens).last_hidden_state for encoder in (text, wide_text))
    torch.testing.assert_close(wide_hidden, hidden.repeat_interleave(factor, 2), atol=1e-4, rtol=1e-4)
    hidden = hidden.double()
    wide_hidden = hidden.repeat_interleave(factor, 2)
    for step in (0, 371, 999):
        plain, wide = unet(latents, step, hidden).sample, wide_unet(latents, step, wide_hidden).sample
        torch.testing.assert_close(wide, plain, atol=1e-5, rtol=1e-5)
    assert wide_unet.config.block_out_channels == [factor * c for c in unet.config.block_out_channels]
    assert wide_text.config.num_hidden_layers == (layers or text.config.num_hidden_layers)


def test_its_weights_have_the_size_of_a_network_of_that_width(narrow):
    unet, _ = narrow
    wide = widen_unet(unet, 4)
    name = "mid_block.resnets.0.conv1.weight"
    old, new = unet.get_parameter(name), wide.get_parameter(name)
    assert new.std() == pytest.approx(float(old.std()) / 2, rel=0.05)
    ranks = [int(torch.linalg.matrix_rank(weight.flatten(1))) for weight in (old, new)]
    assert ranks == [len(old), len(new)]
