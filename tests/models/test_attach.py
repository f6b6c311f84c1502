"""LoRAs baked in and LoRAs that act live are the same LoRA, for any weight and any row of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.errors import InputError
from lib_copier.lora.layer import Layer, Lora
from lib_copier.model_file.families import FAMILIES
from lib_copier.models.attach import LiveLora, bake, lora_targets, text_modules, unet_modules
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.text import encode_prompts
from lib_copier.models.tiny import random_lora


@torch.no_grad()
def answer(checkpoint, rows: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, 8, 8, generator=generator).expand(rows, -1, -1, -1)
    unet = checkpoint.unet
    text = torch.randn(1, 77, unet.config.cross_attention_dim, generator=generator).expand(rows, -1, -1)
    extra = {}
    if checkpoint.family.name == "sdxl":
        extra = {"text_embeds": torch.ones(rows, 128), "time_ids": torch.ones(rows, 6)}
    return unet(x, torch.tensor(400), text, added_cond_kwargs=extra, return_dict=False)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_targets_are_kohya_s(family, loaded):
    names = list(lora_targets(loaded(family)))
    assert len(names) == len(set(names))
    text = {"sd1": 12, "sd2": 12, "sdxl": 24}[family]
    assert sum(name.startswith("lora_te") for name in names) == text
    if family != "sdxl":
        assert sum(name.startswith("lora_unet_") for name in names) == 192
        assert "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k" in names
    else:
        assert "lora_unet_middle_block_1_transformer_blocks_1_ff_net_0_proj" in names
    wide = lora_targets(loaded(family), with_convolutions=True)
    assert set(names) < set(wide) and any(name.endswith(("conv1", "in_layers_2")) for name in wide)


@pytest.mark.parametrize("family", FAMILIES)
def test_live_equals_baked(family, loaded, checkpoint_path):
    checkpoint = loaded(family)
    lora = random_lora(checkpoint, seed=1)
    before = answer(checkpoint)
    live = LiveLora(unet_modules(checkpoint), [lora], checkpoint.family)
    live.set_weights(torch.tensor([[0.7]]))
    acting = answer(checkpoint)
    live.remove()
    assert torch.equal(answer(checkpoint), before)
    own = load_checkpoint(checkpoint_path(family))
    bake(own, lora, 0.7)
    assert (acting - before).abs().max() > 0.05
    assert torch.allclose(acting, answer(own), atol=2e-4)


def test_merged_equals_live_and_leaves_no_trace(loaded):
    checkpoint = loaded()
    loras = [random_lora(checkpoint, seed=1, rank=2), random_lora(checkpoint, seed=2, rank=3)]
    modules = unet_modules(checkpoint)
    weights = {name: module.weight for name, module in modules.items()}
    before = answer(checkpoint)
    live = LiveLora(modules, loras, checkpoint.family)
    live.set_weights(torch.tensor([[0.7, -0.4]]))
    acting = answer(checkpoint)
    live.merge(torch.tensor([0.7, -0.4]))
    assert torch.allclose(answer(checkpoint), acting, atol=2e-4)
    live.merge(torch.tensor([0.0, 0.0]))
    live.remove()
    assert torch.equal(answer(checkpoint), before)
    assert all(module.weight is weights[name] for name, module in modules.items())


def test_every_row_has_its_own_weights_of_many_loras(loaded):
    checkpoint = loaded()
    loras = [random_lora(checkpoint, seed=1, rank=2), random_lora(checkpoint, seed=2, rank=3)]
    live = LiveLora(unet_modules(checkpoint), loras, checkpoint.family)
    rows = torch.tensor([[0.0, 0.0], [0.8, 0.0], [0.0, -0.5], [0.3, 1.0]])
    try:
        live.set_weights(rows)
        together = answer(checkpoint, rows=4)
        for index, row in enumerate(rows):
            live.set_weights(row[None])
            assert torch.allclose(together[index], answer(checkpoint)[0], atol=1e-4)
        live.set_weights(None)
        assert torch.allclose(together[0], answer(checkpoint)[0], atol=1e-4)
    finally:
        live.remove()


def test_live_on_text_encoders_equals_baked(loaded, checkpoint_path):
    checkpoint = loaded("sdxl")
    lora = random_lora(checkpoint, seed=3)
    live = LiveLora(text_modules(checkpoint), [lora], checkpoint.family)
    live.set_weights(torch.tensor([[-0.6]]))
    acting = encode_prompts(checkpoint, ["a cat"])
    live.remove()
    own = load_checkpoint(checkpoint_path("sdxl"), parts=("unet", "text"))
    bake(own, lora, 1.0, te_weight=-0.6)
    baked = encode_prompts(own, ["a cat"])
    assert not torch.allclose(acting.hidden, encode_prompts(checkpoint, ["a cat"]).hidden, atol=1e-2)
    assert torch.allclose(acting.hidden, baked.hidden, atol=2e-4)
    assert torch.allclose(acting.pooled, baked.pooled, atol=2e-4)


@given(weight=st.floats(-2, 2, width=32))
@settings(deadline=None, max_examples=20)
def test_baking_adds_weight_times_delta_and_minus_takes_it_away(weight, small):
    module, lora, layer = small
    checkpoint = _Bare(module)
    before = module.weight.clone()
    bake(checkpoint, lora, weight)
    expected = before + weight * torch.from_numpy(layer.delta()).float()
    assert torch.allclose(module.weight, expected, atol=1e-5)
    bake(checkpoint, lora, -weight)
    assert torch.allclose(module.weight, before, atol=1e-5)


def test_a_factored_kernel_acts_as_its_product(small):
    """The `mid` matrix of convolutions is folded into the way down."""
    conv = torch.nn.Conv2d(4, 6, 3, padding=1).requires_grad_(False)
    random = np.random.default_rng(0)
    arrays = [
        random.standard_normal(shape).astype(np.float32)
        for shape in ((6, 2, 1, 1), (3, 4, 1, 1), (2, 3, 3, 3))
    ]
    layer = Layer(*arrays, alpha=1.5)
    live = LiveLora({"conv": conv}, [Lora({"conv": layer})], FAMILIES["sd1"])
    x = torch.randn(2, 4, 5, 5)
    live.set_weights(torch.tensor([[0.5], [-1.0]]))
    changed = conv(x)
    live.remove()
    delta = torch.from_numpy(layer.delta()).float()
    for row, weight in enumerate((0.5, -1.0)):
        expected = torch.nn.functional.conv2d(
            x[row : row + 1], conv.weight + weight * delta, conv.bias, padding=1
        )
        assert torch.allclose(changed[row : row + 1], expected, atol=1e-4)


def test_a_lora_that_does_not_fit_changes_nothing(loaded):
    checkpoint = loaded()
    good = random_lora(checkpoint)
    name = next(iter(good.layers))
    wrong = Layer(np.ones((5, 1), np.float32), np.ones((1, 7), np.float32))
    before = checkpoint.unet.state_dict()
    copies = {key: tensor.clone() for key, tensor in before.items()}
    for layers in ({**good.layers, name: wrong}, {**good.layers, "lora_unet_elsewhere": wrong}):
        with pytest.raises(InputError, match="does not fit"):
            bake(checkpoint, Lora(layers))
    assert all(torch.equal(before[key], copies[key]) for key in copies)


class _Bare:
    """A checkpoint with one module."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.family = FAMILIES["sd1"]
        self.unet = torch.nn.Module()
        self.unet.add_module("conv_in", module)
        self.text_encoders = ()


@pytest.fixture(scope="module")
def small():
    module = torch.nn.Conv2d(3, 5, 3).requires_grad_(False)
    random = np.random.default_rng(1)
    layer = Layer(
        random.standard_normal((5, 2, 1, 1)).astype(np.float16),
        random.standard_normal((2, 3, 3, 3)).astype(np.float16),
        alpha=1.0,
    )
    return module, Lora({"lora_unet_conv_in": layer}), layer
