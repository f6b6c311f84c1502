"""Training pictures and masks as tensors, with everything that was done to them said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.image.files import crop_to_multiple, read_picture
from lib_copier.models.walks import Walk
from lib_copier.settings.buckets import bucket_of
from lib_copier.settings.training import Picture

_MULTIPLE = 8
"""Pixels in one latent, each way."""


@dataclass(frozen=True)
class TrainingPicture:
    """A picture ready for the VAE.

    `pixels` (1, 3, H, W) in [-1, 1], H and W divisible by 8; `mask` (1, 1, H/8, W/8) in [0, 1] or None;
    `origin` as `pixels`, the picture before its edit, and the `walk` to it, or None.
    """

    name: str
    caption: str
    pixels: torch.Tensor
    mask: torch.Tensor | None
    origin: torch.Tensor | None = None
    walk: Walk | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[-1], self.pixels.shape[-2]


def load_picture(
    picture: Picture, *, log: Callable[[str], None], resolution: int | None = None
) -> TrainingPicture:
    """Read a picture and its mask.

    Parameters
    ----------
    log:
        Told what was changed on the way: turned, flattened, scaled, cropped.
    resolution:
        Larger pictures are scaled down into a bucket of at most this squared; None: each keeps its size.

    Raises
    ------
    InputError
        A file is no picture, is too small or too large, mask or origin has another size, or the mask is
        all black.
    """
    image, size = _opened(picture.path, resolution, log)
    mask = None if picture.mask is None else _load_mask(picture.mask, size, resolution)
    origin = None
    if picture.origin is not None:
        before, before_size = _opened(picture.origin, resolution, log)
        if before_size != size:
            raise InputError(
                f"The origin {picture.origin} is {before_size[0]}x{before_size[1]}, its edited picture "
                f"{picture.path} {size[0]}x{size[1]}.",
                "Make them the same size.",
            )
        origin = _pixels(before)
    walk = None if picture.walk is None else Walk.read(picture.walk)
    return TrainingPicture(picture.path.name, picture.caption, _pixels(image), mask, origin, walk)


def _opened(
    path: Path, resolution: int | None, log: Callable[[str], None]
) -> tuple[Image.Image, tuple[int, int]]:
    """The picture as it fits the VAE, and its own size."""
    opened = read_picture(path)
    image, fitted = _fitted(opened.image, resolution, path.name)
    for note in (*opened.notes, *([fitted] if fitted else [])):
        log(f"{path.name}: {note}")
    return image, opened.image.size


def _pixels(image: Image.Image) -> torch.Tensor:
    found = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    return found.contiguous()


def _load_mask(path: Path, size: tuple[int, int], resolution: int | None) -> torch.Tensor:
    """The mask at the latents' size: each value is the mean of its 8×8 pixels."""
    mask = read_picture(path).image.convert("L")
    if mask.size != size:
        raise InputError(
            f"The mask {path} is {mask.width}x{mask.height}, its picture {size[0]}x{size[1]}.",
            "Make them the same size.",
        )
    values = torch.from_numpy(np.array(_fitted(mask, resolution, path.name)[0])).float() / 255.0
    small = torch.nn.functional.avg_pool2d(values[None, None], _MULTIPLE)
    if not bool(small.any()):
        raise InputError(f"The mask {path} is black all over.", "Paint white what is to be learned.")
    return small


def _fitted(image: Image.Image, resolution: int | None, name: str) -> tuple[Image.Image, str]:
    """The picture in its bucket, or cropped for the VAE; and what was done."""
    try:
        if resolution is None:
            return crop_to_multiple(image, _MULTIPLE)
        bucket, scaled = bucket_of(image.size, resolution)
    except InputError as error:
        raise InputError(f"{name}: {error.what}", error.advice) from None
    except ValueError as error:
        raise InputError(f"{name}: {error}.", "Take a larger picture, or a wider one.") from None
    if bucket == image.size:
        return image, ""
    # Averaging over areas, and the middle of what is left over: both as sd-scripts does it.
    values = (
        np.asarray(image)
        if scaled == image.size
        else cv2.resize(np.asarray(image), scaled, interpolation=cv2.INTER_AREA)
    )
    left, top = ((side - own) // 2 for side, own in zip(scaled, bucket, strict=True))
    cut = Image.fromarray(values[top : top + bucket[1], left : left + bucket[0]])
    return cut, f"Brought from {image.width}x{image.height} to {bucket[0]}x{bucket[1]}."
