"""The training data as sd-scripts wants them: a folder a picture, with its caption, and one TOML file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from lib_copier.errors import InputError
from lib_copier.settings.buckets import bucket_of
from lib_copier.settings.training import Picture, TrainTask

REPEATS = 512
"""Repeats of the picture in one epoch: the memo's."""
_LATENT_PIXELS = 8


@dataclass(frozen=True)
class Length:
    """How long to train: repeats of each picture an epoch, and epochs, or steps where these do not divide."""

    repeats: int
    epochs: int | None
    steps: int

    @property
    def arguments(self) -> list[str]:
        if self.epochs is not None:
            return ["--max_train_epochs", str(self.epochs)]
        return ["--max_train_steps", str(self.steps)]


@dataclass(frozen=True)
class Dataset:
    """What to write and copy before training."""

    config: Path
    files: tuple[tuple[Path, str], ...]
    copies: tuple[tuple[Path, Path], ...]
    has_masks: bool
    width: int
    height: int
    """Of the first picture, in pixels: sample pictures take it."""


def training_length(steps: int, pictures: int, batch_size: int) -> Length:
    """Steps as the memo counts them, 512 repeats × epochs; any other number is given as it is."""
    epochs, rest = divmod(steps, REPEATS * pictures)
    if rest == 0:
        return Length(REPEATS * batch_size, epochs, steps)
    # Repeats by the batch: every batch is then full, however many pictures there are.
    return Length(min(REPEATS, math.ceil(steps / pictures)) * batch_size, None, steps)


def dataset_of(task: TrainTask, work_dir: Path, resolution: int) -> Dataset:
    """Lay out the pictures of a task under `work_dir`, one dataset each: they may differ in size.

    `resolution` is the checkpoint's, for a task whose pictures go into buckets.

    Raises
    ------
    InputError
        A picture cannot be read or is too small.
    """
    folder = work_dir / "dataset"
    repeats = training_length(task.last_step, len(task.pictures), task.batch_size).repeats
    lines = [
        "[general]",
        'caption_extension = ".txt"',
        f"shuffle_caption = {_toml(task.shuffle_caption)}",
        f"keep_tokens = {task.keep_tokens}",
    ]
    files: list[tuple[Path, str]] = []
    copies: list[tuple[Path, Path]] = []
    bucket = resolution if task.bucketed else None
    sizes = [picture_size(picture.path, bucket) for picture in task.pictures]
    for index, (picture, (width, height)) in enumerate(zip(task.pictures, sizes, strict=True)):
        home = folder / f"{index + 1}_{picture.path.stem}"
        masks = folder / f"{index + 1}_mask"
        lines += [
            "",
            "[[datasets]]",
            f"resolution = [{bucket or width}, {bucket or height}]",
            f"batch_size = {task.batch_size}",
            f"enable_bucket = {_toml(task.bucketed)}",
            "bucket_no_upscale = true",
            "[[datasets.subsets]]",
            f"image_dir = {_toml(str(home))}",
            f"num_repeats = {repeats}",
        ]
        copies.append((picture.path, home / f"picture{picture.path.suffix.lower()}"))
        # An empty file would be refused, so a caption always ends with a line break.
        files.append((home / "picture.txt", " ".join(picture.caption.split()) + "\n"))
        if picture.mask is not None:
            lines.append(f"conditioning_data_dir = {_toml(str(masks))}")
            copies.append((picture.mask, masks / f"picture{picture.mask.suffix.lower()}"))
    config = work_dir / "dataset.toml"
    files.append((config, "\n".join(lines) + "\n"))
    return Dataset(config, tuple(files), tuple(copies), _has_masks(task.pictures), *sizes[0])


def picture_size(path: Path, bucket: int | None = None) -> tuple[int, int]:
    """Width and height in pixels, rounded down to what the VAE's latents can hold, or those of its bucket."""
    try:
        with Image.open(path) as picture:
            size = picture.size
        if bucket is not None:
            return bucket_of(size, bucket)[0]
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(
            f"The picture {path} cannot be read: {error}.", "Check the path and the file."
        ) from error
    except ValueError as error:
        raise InputError(
            f"The picture {path} of {error}.", "Give a larger picture, or a wider one."
        ) from error
    width, height = (side - side % _LATENT_PIXELS for side in size)
    if min(width, height) < _LATENT_PIXELS * 8:
        raise InputError(f"The picture {path} is smaller than 64 pixels.", "Give a larger picture.")
    return width, height


def _has_masks(pictures: Sequence[Picture]) -> bool:
    return any(picture.mask is not None for picture in pictures)


def _toml(value: bool | str) -> str:
    """A value as TOML writes it; its strings know JSON's escapes."""
    return json.dumps(value, ensure_ascii=False)
