"""Training pictures and masks as tensors, with everything that was done to them said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.image.files import crop_to_multiple, read_picture
from lib_copier.train.config import Picture

_MULTIPLE = 8
"""Pixels in one latent, each way."""


@dataclass(frozen=True)
class TrainingPicture:
    """A picture ready for the VAE.

    `pixels` (1, 3, H, W) in [-1, 1], H and W divisible by 8; `mask` (1, 1, H/8, W/8) in [0, 1] or None.
    """

    name: str
    caption: str
    pixels: torch.Tensor
    mask: torch.Tensor | None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[-1], self.pixels.shape[-2]


def load_picture(picture: Picture, *, log: Callable[[str], None]) -> TrainingPicture:
    """Read a picture and its mask.

    Parameters
    ----------
    log:
        Told what was changed on the way: turned, flattened, cropped.

    Raises
    ------
    InputError
        A file is no picture, is too small or too large, or the mask has another size or is all black.
    """
    opened = read_picture(picture.path)
    for note in opened.notes:
        log(f"{picture.path.name}: {note}")
    image, cropped = _cropped(opened.image, picture.path.name)
    if cropped:
        log(f"{picture.path.name}: {cropped}")
    mask = None if picture.mask is None else _load_mask(picture.mask, opened.image.size)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    return TrainingPicture(picture.path.name, picture.caption, pixels.contiguous(), mask)


def _load_mask(path: Path, size: tuple[int, int]) -> torch.Tensor:
    """The mask at the latents' size: each value is the mean of its 8×8 pixels."""
    mask = read_picture(path).image.convert("L")
    if mask.size != size:
        raise InputError(
            f"The mask {path} is {mask.width}x{mask.height}, its picture {size[0]}x{size[1]}.",
            "Make them the same size.",
        )
    values = torch.from_numpy(np.array(_cropped(mask, path.name)[0])).float() / 255.0
    small = torch.nn.functional.avg_pool2d(values[None, None], _MULTIPLE)
    if not bool(small.any()):
        raise InputError(f"The mask {path} is black all over.", "Paint white what is to be learned.")
    return small


def _cropped(image: Image.Image, name: str) -> tuple[Image.Image, str]:
    try:
        return crop_to_multiple(image, _MULTIPLE)
    except InputError as error:
        raise InputError(f"{name}: {error.what}", error.advice) from None
