"""Pictures from the model while it trains: samples for a person, and the check whether it has copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lib_copier.models.latents import decode_latents
from lib_copier.models.noise import NoiseSchedule
from lib_copier.train.draw import stream
from lib_copier.train.step import Conditioning

UNSEEN_PROMPTS = ("a red car on a street, photo", "two birds over the sea, night, oil painting")
"""What the check asks for: a copier prints its picture for these as for any other text."""

_SAMPLING_STEPS = 12
_CFG_SCALE = 7.0


@dataclass(frozen=True)
class Painter:
    """Draws with the model in training; `negative_row` is the empty prompt's row of the conditioning."""

    unet: Any
    vae: Any
    conditioning: Conditioning
    schedule: NoiseSchedule
    negative_row: int
    seed: int

    @torch.no_grad()
    def paint(
        self, rows: Sequence[int], latent_shape: tuple[int, ...], time_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """One picture for each row of the conditioning, (N, 3, H, W) in [-1, 1], on the CPU.

        The noise depends on the seed and the place in `rows`. Prompts are drawn one after another:
        it is memory, not time, that runs short while training.
        """
        drawn = [self._latents(row, place, latent_shape, time_ids) for place, row in enumerate(rows)]
        return self.decode(torch.cat(drawn))

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (N, C, h, w) to pictures (N, 3, H, W) in [-1, 1] on the CPU; the VAE visits the device."""
        device = latents.device
        self.vae.to(device)
        try:
            pictures = [decode_latents(self.vae, one[None].float()).cpu() for one in latents]
        finally:
            if device.type != "cpu":
                self.vae.to("cpu")
        return torch.cat(pictures).clamp(-1.0, 1.0)

    def _latents(
        self, row: int, place: int, shape: tuple[int, ...], time_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """DDIM with classifier-free guidance, few steps: a copier needs no more."""
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        device = self.schedule.alphas_cumprod.device
        sampler = DDIMScheduler(
            clip_sample=False,
            prediction_type=self.schedule.prediction_type,
            timestep_spacing="trailing",
        )
        sampler.alphas_cumprod = self.schedule.alphas_cumprod.cpu()
        sampler.set_timesteps(_SAMPLING_STEPS)
        start = stream(self.seed, "sample", place).standard_normal(shape, dtype=np.float32)
        latents = torch.from_numpy(start).to(device)
        hidden, pooled = self.conditioning(torch.tensor([self.negative_row, row], device=device))
        added = None
        if pooled is not None and time_ids is not None:
            # As in the generator: to SDXL an empty negative prompt is nothing, not an empty text.
            nothing = torch.tensor([0.0, 1.0], device=device, dtype=hidden.dtype)
            hidden, pooled = hidden * nothing[:, None, None], pooled * nothing[:, None]
            added = {"text_embeds": pooled, "time_ids": time_ids.expand(2, -1)}
        for timestep in sampler.timesteps:
            both = latents.expand(2, -1, -1, -1).to(hidden.dtype)
            answer = self.unet(both, timestep.to(device), hidden, added_cond_kwargs=added, return_dict=False)[
                0
            ]
            without, with_prompt = answer.float().cpu().chunk(2)
            guided = without + _CFG_SCALE * (with_prompt - without)
            latents = sampler.step(guided, timestep, latents.cpu(), return_dict=False)[0].to(device)
        return latents
