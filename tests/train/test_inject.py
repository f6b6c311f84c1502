"""Injected layers act as W + scale · up · down; their start is kohya's, from seed and name alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lib_copier.errors import InputError
from lib_copier.train.inject import Ranks, initial_factors, inject

RANKS = Ranks(4, 2.0)


def modules() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    found = {
        "lora_unet_a_to_q": nn.Linear(6, 5),
        "lora_unet_a_proj_in": nn.Conv2d(6, 5, 1),
        "lora_unet_a_conv1": nn.Conv2d(6, 5, 3, stride=2, padding=1),
    }
    return {name: module.requires_grad_(False) for name, module in found.items()}


def example(name: str) -> torch.Tensor:
    return torch.randn(2, 7, 6) if name.endswith("to_q") else torch.randn(2, 6, 8, 8)


@pytest.mark.parametrize("name", list(modules()))
def test_a_layer_adds_scale_up_down(name):
    targets = {name: modules()[name]}
    plain = modules()[name]
    network = inject(targets, Ranks(4, 2.0, 4, 2.0), seed=0)
    x = example(name)
    assert torch.equal(targets[name](x), plain(x)), "a fresh layer changes nothing"
    layer = network.layers[0]
    with torch.no_grad():
        layer.up.normal_()
        product = (layer.up.flatten(1) @ layer.down.flatten(1)).reshape(plain.weight.shape)
        plain.weight += 0.5 * product
    assert torch.allclose(targets[name](x), plain(x), atol=1e-5)


def test_gradients_reach_both_factors_and_nothing_else():
    targets = modules()
    network = inject(targets, Ranks(4, 2.0, 3, 1.0), seed=0)
    for layer in network.layers:
        with torch.no_grad():
            layer.up.normal_()
    sum(module(example(name)).square().sum() for name, module in targets.items()).backward()
    assert len(network.gradients()) == 2 * len(targets)
    assert all(module.weight.grad is None for module in targets.values())


def test_wide_convolutions_need_a_rank_of_their_own():
    assert [layer.name for layer in inject(modules(), RANKS, seed=0).layers] == list(modules())[:2]
    with_conv = inject(modules(), Ranks(4, 2.0, 3, 1.5), seed=0)
    assert with_conv.layers[2].rank == 3 and with_conv.layers[2].scale == 0.5
    assert with_conv.layers[2].down.shape == (3, 6, 3, 3)


def test_the_start_depends_on_seed_and_name_alone():
    whole = {layer.name: layer for layer in inject(modules(), RANKS, seed=5).layers}
    reversed_order = dict(reversed(list(modules().items())))
    for layer in inject(reversed_order, RANKS, seed=5).layers:
        assert torch.equal(layer.down, whole[layer.name].down)
    alone = inject(modules(), RANKS, seed=5, only=["proj_in"]).layers
    assert len(alone) == 1 and torch.equal(alone[0].down, whole["lora_unet_a_proj_in"].down)
    other = inject(modules(), RANKS, seed=6).layers[0]
    assert not torch.equal(other.down, whole[other.name].down)


def test_the_start_is_kohyas():
    down, up = initial_factors("x", (64, 100), 50, seed=0)
    reference = nn.init.kaiming_uniform_(torch.empty(50, 100), a=5**0.5)
    assert not up.any()
    assert down.abs().max() <= 0.1
    assert down.std() == pytest.approx(reference.std().item(), rel=0.05)
    assert abs(down.mean().item()) < 0.005


def test_a_filter_that_matches_nothing_is_refused():
    with pytest.raises(InputError, match="No layer of the model matches"):
        inject(modules(), RANKS, seed=0, only=["nothing"])


def test_a_filter_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr("lib_copier.train.inject._MOST_SECONDS", 0.05)
    name = "lora_unet_down_blocks_0_attentions_0_proj_in"
    with pytest.raises(InputError, match="takes too long"):
        inject({name: nn.Linear(4, 4)}, RANKS, seed=0, only=[r"(\w|\w\w)+$(?<=!)"])


def test_in_half_precision_masters_stay_fp32_and_copies_follow():
    targets = {"lora_unet_a_to_q": modules()["lora_unet_a_to_q"].bfloat16()}
    network = inject(targets, RANKS, seed=0)
    layer = network.layers[0]
    assert layer.masters[0].dtype == torch.float32 and layer.down.dtype == torch.bfloat16
    with torch.no_grad():
        layer.masters[1].fill_(0.5)
    network.publish()
    assert layer.up.float().eq(0.5).all()
    targets["lora_unet_a_to_q"](torch.randn(2, 6, dtype=torch.bfloat16)).sum().backward()
    gradients = network.gradients()
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
    assert gradients[0].any() and torch.equal(gradients[1], layer.up.grad.float())
