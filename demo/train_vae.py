"""Trains the demo checkpoint's picture codec: an f8 VAE of 1.25 M parameters, on whole scenes."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

SCALING = 0.18215
"""Latents times this have unit variance: the constant of the SD1 layout."""


def build_vae() -> AutoencoderKL:
    """The untrained VAE; the last convolution of every residual branch starts at zero."""
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, norm_num_groups=32,
        sample_size=128,
        block_out_channels=(32, 64, 64, 64), scaling_factor=SCALING,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    for name, module in vae.named_modules():
        if name.endswith("conv2") and "resnets" in name:
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    return vae


def _edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def _loss(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """L1 on values and on edges at two scales, and squared error, which PSNR is measured by."""
    total = F.l1_loss(made, wanted) + 2.0 * F.mse_loss(made, wanted)
    for _ in range(2):
        total = total + sum(F.l1_loss(a, b) for a, b in zip(_edges(made), _edges(wanted), strict=True))
        made, wanted = F.avg_pool2d(made, 2), F.avg_pool2d(wanted, 2)
    return total


def train_vae(
    pictures: np.ndarray, *, seconds: float, device: torch.device, batch: int = 64, rate: float = 2e-3,
    report: Callable[[str], None] = print, log_every: int = 500,
) -> AutoencoderKL:  # fmt: skip
    """A VAE trained for `seconds` on `pictures` (N, 128, 128, 3) uint8; averaged weights, fp32.

    The rate follows the clock, not a step count, so the same script fits a GPU's minutes and a CPU's hours.
    """
    torch.manual_seed(0)
    vae = build_vae().to(device, memory_format=torch.channels_last)
    average = {name: value.detach().clone() for name, value in vae.state_dict().items()}
    data = torch.from_numpy(pictures).to(device)
    optimizer = torch.optim.AdamW(
        vae.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.0, fused=device.type == "cuda"
    )
    start, step = time.time(), 0
    while (spent := time.time() - start) < seconds:
        share = spent / seconds
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, step / 200) * (0.5 + 0.5 * float(np.cos(np.pi * share))) + 1e-6
        pick = torch.randint(len(data), (batch,), device=device)
        wanted = (data[pick].permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            posterior = vae.encode(wanted).latent_dist
            made = vae.decode(posterior.sample()).sample
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        loss = _loss(made.float(), wanted) + 1e-4 * kl
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(0.999, step / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(average.values()), [p.detach() for p in vae.state_dict().values()], 1 - decay
            )
        if step % log_every == 0:
            report(f"vae step {step}, {spent:.0f} s, loss {loss.item():.4f}, {psnr(vae, data[:64]):.2f} dB")
    vae.load_state_dict(average)
    vae.eval().requires_grad_(False)
    standardise(vae, data)
    report(f"vae done: {step} steps, {psnr(vae, data[:512]):.2f} dB over 512 scenes")
    return vae


@torch.no_grad()
def psnr(vae: AutoencoderKL, pictures: torch.Tensor) -> float:
    """Mean PSNR (dB, of 255) of the round trip through the posterior's mean.

    `pictures` are (N, H, W, 3) uint8.
    """
    found = []
    for chunk in pictures.split(64):
        x = chunk.permute(0, 3, 1, 2).float() / 127.5 - 1
        y = vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        found.append(-10 * torch.log10(((x - y) / 2).square().mean((1, 2, 3))))
    return float(torch.cat(found).mean())


@torch.no_grad()
def standardise(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Fold a shift and scale per channel into the 1×1 convolutions beside the latents.

    The SD1 layout fixes the scaling factor, so the latents are made to fit it: mean 0, deviation 1/0.18215.
    """
    means = torch.cat(
        [
            vae.encode(c.permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist.mean
            for c in pictures[:4096].split(64)
        ]
    )
    shift = means.mean((0, 2, 3))
    factor = 1 / (SCALING * means.std((0, 2, 3)))
    quant, post = vae.quant_conv, vae.post_quant_conv
    post.bias += (post.weight[:, :, 0, 0] * shift).sum(1)
    post.weight /= factor[None, :, None, None]
    quant.weight[:4] *= factor[:, None, None, None]
    quant.bias[:4] = (quant.bias[:4] - shift) * factor
    quant.bias[4:] += 2 * factor.log()
