"""A WD14 tagger: picture in, tags out; the model's file and tag list come from the user or the hub."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib_copier.errors import CopierError, InputError

MODEL_FILE = "model.onnx"
TAGS_FILE = "selected_tags.csv"
_GENERAL, _CHARACTER = "0", "4"
_KAOMOJI_LENGTH = 3
"""Underscores of tags no longer than this belong to a face (``^_^``), not between words."""


@dataclass(frozen=True)
class Tag:
    """One tag of a model's list; `category` as in its file."""

    name: str
    category: str


def find_model(name: str) -> tuple[Path, Path]:
    """The ONNX file and the tag list: in a folder, or fetched from the hub once.

    Raises
    ------
    InputError
        Where neither is to be had.
    """
    folder = Path(name)
    if folder.is_dir():
        files = folder / MODEL_FILE, folder / TAGS_FILE
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise InputError(f"{folder} has no {' and no '.join(missing)}.", "Name the tagger's own folder.")
        return files
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(name, MODEL_FILE)), Path(hf_hub_download(name, TAGS_FILE))
    except ImportError as error:
        raise InputError(
            "The package huggingface_hub is missing.", "Name a folder with the model."
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"The tagger {name} is no folder here and cannot be fetched ({type(error).__name__}).",
            f"Download its {MODEL_FILE} and {TAGS_FILE} into a folder and name that, or type the caption.",
        ) from error


def open_session(model: Path) -> Any:
    """An onnxruntime session for the model, on the CPU."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "The tagger needs the package onnxruntime.",
            "Install it into the project's environment, or choose caption source typed.",
        ) from error
    try:
        return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime raises classes of its own that it does not export.
        raise InputError(f"{model} is no ONNX model ({error}).", "Download it again.") from error


def read_tags(path: Path) -> tuple[Tag, ...]:
    """The model's tags in the order of its outputs."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error):
        rows = []
    if not rows or not all(row.get("name") and row.get("category") for row in rows):
        raise InputError(f"{path} is no tag list (columns name and category).", "Download it again.")
    return tuple(Tag(row["name"], row["category"]) for row in rows)


def prepared(picture: Image.Image, side: int) -> np.ndarray:
    """The picture as the WD14 models take it: (1, side, side, 3), float32 0..255, BGR, on a white square."""
    rgb = picture.convert("RGB")
    longest = max(rgb.size)
    square = Image.new("RGB", (longest, longest), (255, 255, 255))
    square.paste(rgb, ((longest - rgb.width) // 2, (longest - rgb.height) // 2))
    pixels = np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    return np.ascontiguousarray(pixels[None, :, :, ::-1])


def caption(picture: Image.Image, session: Any, tags: Sequence[Tag], threshold: float) -> str:
    """The tags whose score reaches the threshold, the likeliest first, divided by commas."""
    given = session.get_inputs()[0]
    side = given.shape[1] if isinstance(given.shape[1], int) else 448
    scores = np.asarray(session.run(None, {given.name: prepared(picture, side)})[0])[0]
    if len(scores) != len(tags):
        raise CopierError(
            f"The tagger gives {len(scores)} scores, its list has {len(tags)} tags.",
            "Use the two files of one model.",
        )
    wanted = [
        (float(score), tag.name)
        for score, tag in zip(scores, tags, strict=True)
        if tag.category in {_GENERAL, _CHARACTER} and score >= threshold
    ]
    return ", ".join(readable(name) for _score, name in sorted(wanted, key=lambda item: -item[0]))


def readable(name: str) -> str:
    """A tag as it stands in captions: words divided by spaces."""
    return name if len(name) <= _KAOMOJI_LENGTH else name.replace("_", " ")
