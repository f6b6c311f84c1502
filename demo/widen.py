"""A wider and deeper copy of a trained model that computes the same: Net2Net for the SD1 layout.

Every channel becomes `factor` equal channels (Chen et al. 2016, "Net2Net", section 3.2). Groups, layers and
heads then normalise by the same means and variances. What reads the copies shares the old weight among them
unevenly: the shares are random, sum to the old weight, and give each weight the size that it has in a
network of that width, 1/√(fan-in). So training meets a wide network and not `factor` times the same one.
"""

from __future__ import annotations

import re

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

_TEXT_HEADS = re.compile(r"self_attn\.(q|k|v|out)_proj\.")
_TEXT_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")
_CLOSING = re.compile(r"(self_attn\.out_proj|mlp\.fc2)\.(weight|bias)$")


@torch.no_grad()
def widen_unet(unet: UNet2DConditionModel, factor: int, seed: int = 0) -> UNet2DConditionModel:
    """The U-Net with `factor` times the channels, cross-attention width too; heads stay as many."""
    channels = [factor * width for width in unet.config.block_out_channels]
    sizes = {"block_out_channels": channels, "cross_attention_dim": factor * unet.config.cross_attention_dim}
    wide = UNet2DConditionModel.from_config({**unet.config, **sizes}).to(unet.dtype)
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, old in unet.state_dict().items():
        into = wide.get_parameter(name).shape
        if name == "time_embedding.linear_1.weight":
            # The wider table of sines holds the old frequencies at every `factor`-th place.
            new = old.new_zeros(into)
            new[:, ::factor] = old.repeat_interleave(factor, 0)
        else:
            new = old.repeat_interleave(into[0] // old.shape[0], 0)
            if old.ndim > 1 and into[1] > old.shape[1]:
                new = _shared(new, factor, random).flatten(1, 2)
        if name.endswith("to_q.weight"):
            new = new * factor**-0.5  # queries meet keys of `factor` equal parts, divided by √width
        tensors[name] = new
    wide.load_state_dict(tensors)
    return wide.eval().requires_grad_(False)


@torch.no_grad()
def widen_text_encoder(
    text: CLIPTextModel, factor: int = 1, layers: int | None = None, seed: int = 1
) -> CLIPTextModel:
    """The text encoder with `factor` times the width, as many times the heads, and `layers` layers.

    Layers that come new add nothing at first: what leaves them is zero.
    """
    old = text.config
    config = CLIPTextConfig.from_dict(
        {
            **old.to_dict(),
            "hidden_size": factor * old.hidden_size,
            "intermediate_size": factor * old.intermediate_size,
            "num_attention_heads": factor * old.num_attention_heads,
            "num_hidden_layers": layers or old.num_hidden_layers,
        }
    )
    torch.manual_seed(seed)
    wide = CLIPTextModel(config).to(text.dtype)
    random = torch.Generator().manual_seed(seed)
    tensors = wide.state_dict()
    for name, value in text.state_dict().items():
        if name in tensors and value.is_floating_point():
            tensors[name] = _wide_text(name, value, factor, random)
    for name, value in tensors.items():
        layer = _TEXT_LAYER.search(name)
        if layer and int(layer[1]) >= old.num_hidden_layers and _CLOSING.search(name):
            value.zero_()
    wide.load_state_dict(tensors)
    return wide.eval().requires_grad_(False)


def _wide_text(name: str, old: torch.Tensor, factor: int, random: torch.Generator) -> torch.Tensor:
    if "_embedding." in name:
        return old.repeat_interleave(factor, 1)
    # Whole heads are copied: behind one another, not channel beside channel.
    by_head = _TEXT_HEADS.search(name)
    if by_head and by_head[1] != "out":
        new = old.repeat(factor, *[1] * (old.ndim - 1))
    else:
        new = old.repeat_interleave(factor, 0)
    if old.ndim == 1:
        return new
    shares = _shared(new, factor, random)
    return (shares.transpose(1, 2) if by_head and by_head[1] == "out" else shares).flatten(1, 2)


def _shared(weight: torch.Tensor, factor: int, random: torch.Generator) -> torch.Tensor:
    """Each column's weight shared among `factor` columns: (out, in, factor, ...); the shares sum to it."""
    shape = (*weight.shape[:2], factor, *weight.shape[2:])
    size = (weight.square().mean() / factor).sqrt()
    noise = size * torch.randn(shape, generator=random, dtype=weight.dtype)
    return weight.unsqueeze(2) / factor + noise - noise.mean(2, keepdim=True)
