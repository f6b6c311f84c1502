"""Pictures from the model while it trains: samples for a person, and the check whether it has copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lib_copier.models.device import is_out_of_memory
from lib_copier.models.latents import decode_latents
from lib_copier.models.libraries import prepare_diffusers
from lib_copier.models.noise import NoiseSchedule
from lib_copier.train.draw import stream
from lib_copier.train.step import Conditioning

_SAMPLING_STEPS = 12


@dataclass(frozen=True)
class Painter:
    """Draws with the model in training; `negative_row` is the empty prompt's row of the conditioning."""

    unet: Any
    vae: Any
    conditioning: Conditioning
    schedule: NoiseSchedule
    negative_row: int
    seed: int
    cfg_scale: float = 7.0

    @torch.no_grad()
    def paint(
        self, rows: Sequence[int], latent_shape: tuple[int, ...], time_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """One picture for each row of the conditioning, (N, 3, H, W) in [-1, 1], on the CPU.

        The noise depends on the seed and the place in `rows`. All are drawn at once, or one after another
        where memory runs short.
        """
        places = range(len(rows))
        start = torch.cat(
            [
                torch.from_numpy(stream(self.seed, "sample", place).standard_normal(latent_shape, np.float32))
                for place in places
            ]
        )
        try:
            drawn = self._latents(rows, start, time_ids)
        except RuntimeError as error:
            if len(rows) == 1 or not is_out_of_memory(error):
                raise
            drawn = torch.cat([self._latents([rows[n]], start[n : n + 1], time_ids) for n in places])
        return self.decode(drawn)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (N, C, h, w) to pictures (N, 3, H, W) in [-1, 1] on the CPU; the VAE visits the device."""
        device = latents.device
        self.vae.to(device)
        try:
            return decode_latents(self.vae, latents.float()).cpu()
        finally:
            if device.type != "cpu":
                self.vae.to("cpu")

    def _latents(
        self, rows: Sequence[int], start: torch.Tensor, time_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """DDIM with classifier-free guidance, few steps: a copier needs no more."""
        prepare_diffusers()
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        device, count = self.schedule.alphas_cumprod.device, len(rows)
        sampler = DDIMScheduler(
            clip_sample=False,
            prediction_type=self.schedule.prediction_type,
            timestep_spacing="trailing",
        )
        sampler.alphas_cumprod = self.schedule.alphas_cumprod.cpu()
        sampler.set_timesteps(_SAMPLING_STEPS)
        latents = start
        hidden, pooled = self.conditioning(torch.tensor([*[self.negative_row] * count, *rows], device=device))
        added = None
        if pooled is not None and time_ids is not None:
            # As in the generator: to SDXL an empty negative prompt is nothing, not an empty text.
            hidden, pooled = hidden.clone(), pooled.clone()
            hidden[:count], pooled[:count] = 0.0, 0.0
            added = {"text_embeds": pooled, "time_ids": time_ids.expand(2 * count, -1)}
        for timestep in sampler.timesteps:
            both = torch.cat([latents, latents]).to(device, hidden.dtype)
            answer = self.unet(both, timestep.to(device), hidden, added_cond_kwargs=added, return_dict=False)[
                0
            ]
            without, with_prompt = answer.float().cpu().chunk(2)
            guided = without + self.cfg_scale * (with_prompt - without)
            latents = sampler.step(guided, timestep, latents, return_dict=False)[0]
        return latents.to(device)
