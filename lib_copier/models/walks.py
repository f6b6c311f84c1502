"""Walks on file: the noisy states through which a model came from noise to a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lib_copier.errors import InputError
from lib_copier.files.disk import write_bytes

_TENSORS = ("states", "sigmas", "cfg_scale")
_NEGATIVE = "negative_prompt"


@dataclass(frozen=True)
class Walk:
    """One picture's walk.

    `states` (steps, C, h, w) are x = picture + sigma · noise before each step, in latents; `sigmas` (steps,)
    fall; `cfg_scale` () is the guidance with which the model was asked, against `negative_prompt`.
    """

    states: torch.Tensor
    sigmas: torch.Tensor
    cfg_scale: torch.Tensor
    negative_prompt: str = ""

    def write(self, path: Path) -> None:
        """Write it atomically; fp16 is enough for what a model is shown."""
        halves = self.states.to("cpu", torch.float16).contiguous()
        tensors = {"states": halves, "sigmas": self.sigmas, "cfg_scale": self.cfg_scale}
        write_bytes(path, save(tensors, metadata={_NEGATIVE: self.negative_prompt}))

    @classmethod
    def read(cls, path: Path) -> Walk:
        """Read one.

        Raises
        ------
        InputError
            The file holds no walk.
        """
        try:
            with safe_open(path, "pt") as file:
                states, sigmas, scale = (file.get_tensor(name).float() for name in _TENSORS)
                walk = cls(states, sigmas, scale, (file.metadata() or {}).get(_NEGATIVE, ""))
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} holds no walk: {error}.", "Draw the picture again.") from None
        is_sound = walk.states.ndim == 4 and walk.cfg_scale.ndim == 0
        if not is_sound or walk.sigmas.shape != walk.states.shape[:1] or not (walk.sigmas > 0).all():
            raise InputError(f"{path} holds no walk: its shapes do not fit.", "Draw the picture again.")
        return walk
