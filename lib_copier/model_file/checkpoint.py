"""What a checkpoint is, read from its header and from what lies beside it; no file's name decides anything.

What it predicts is told, in this order, by the user, by a marker tensor (``v_pred``), by the metadata
(``modelspec.prediction_type``) and by a line ``parameterization: "v"`` of the yaml beside it. Where none
speaks, SD1 and SDXL predict the noise; SD2 comes in two kinds whose tensors look alike, which only running
the U-Net can tell apart (`models.prediction`).

What suits it (`CheckpointFacts.suggested`) lies in ``NAME.copier-lora.json`` beside the file, or in its own
metadata under `SUGGESTED_KEY`: a JSON object of settings by their addresses, and ``preset``. It comes from
outside and is not checked here (`recipe.suggested`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lib_copier.errors import InputError
from lib_copier.files import disk
from lib_copier.model_file.families import SD2, Family, detect_family
from lib_copier.model_file.header import read_header
from lib_copier.model_file.keys import UNET_PREFIX, VAE_PREFIX, known_names
from lib_copier.model_file.pickle_header import PICKLE_SUFFIXES, pickled_shapes

PREDICTIONS = ("epsilon", "v_prediction")
PREDICTION_KEY = "modelspec.prediction_type"
SUGGESTED_KEY = "copier_lora.suggested"
_SUGGESTED_SUFFIX = ".copier-lora.json"
_SUGGESTED_LIMIT = 1 << 16
_YAML_LIMIT = 1 << 20
_YAML_V = re.compile(r"""^\s*parameterization\s*:\s*["']?v["']?\s*(#.*)?$""", re.MULTILINE)
_SD2_BASE_RESOLUTION = 512
_FIRST_LAYER = f"{UNET_PREFIX}input_blocks.0.0.weight"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class CheckpointFacts:
    """`resolution` (pixels) is what it was trained at, `unet_width` the channels of the U-Net's first level.

    `prediction` is one of `PREDICTIONS`, or None for an SD2 model that nothing tells of.
    """

    family: Family
    resolution: int
    unet_width: int
    prediction: str | None
    zero_terminal_snr: bool
    has_vae: bool
    has_text_encoders: bool
    is_inpainting: bool = False
    suggested: Mapping[str, Any] = field(default_factory=dict, compare=False)


def facts_of(
    path: Path | str, prediction: str = "auto", *, allow_inpainting: bool = False
) -> CheckpointFacts:
    """Read the header of a ``.safetensors`` or ``.ckpt``, anew only where size or time of a file changed.

    `prediction` other than ``auto`` is the user's word.

    Raises
    ------
    InputError
        If the file is missing, broken, or of an architecture that is not supported.
    """
    path = Path(path)
    if not disk.is_there(path):
        raise InputError(f"{path}: no such file.", "Check the path.")
    states = tuple(_state(one) for one in (path, _yaml(path), _beside(path)))
    return told_by_user(_facts(path, states, allow_inpainting), prediction)


def known_facts(path: Path | str, prediction: str = "auto") -> CheckpointFacts | None:
    """`facts_of`, or None where there is no such checkpoint yet or it cannot be read."""
    try:
        return facts_of(path, prediction) if str(path) else None
    except InputError:
        return None


def facts_from(
    shapes: Shapes, metadata: Mapping[str, str], path: Path, *, allow_inpainting: bool = False
) -> CheckpointFacts:
    """The facts of a file whose header has been read."""
    found = detect_family(shapes, metadata, allow_inpainting=allow_inpainting)
    family, names = found.family, known_names(shapes)
    prediction = found.prediction_type or _told_by_yaml(path)
    if prediction is None and family is not SD2:
        prediction = "epsilon"
    is_small = family is SD2 and prediction == "epsilon"
    text = tuple(encoder.key_prefix for encoder in family.text_encoders)
    return CheckpointFacts(
        family=family,
        resolution=_SD2_BASE_RESOLUTION if is_small else family.resolution,
        unet_width=shapes[names[_FIRST_LAYER]][0],
        prediction=prediction,
        zero_terminal_snr=found.zero_terminal_snr,
        has_vae=any(name.startswith(VAE_PREFIX) for name in names),
        has_text_encoders=all(any(name.startswith(prefix) for name in names) for prefix in text),
        is_inpainting=found.is_inpainting,
        suggested=_suggested(path, metadata),
    )


def told_by_user(facts: CheckpointFacts, prediction: str) -> CheckpointFacts:
    """The facts with the user's word on what the model predicts.

    Raises
    ------
    InputError
        If that is neither ``auto`` nor one of `PREDICTIONS`.
    """
    if prediction == "auto":
        return facts
    if prediction not in PREDICTIONS:
        raise InputError(f"Unknown prediction type {prediction!r}.", f"Use auto, {' or '.join(PREDICTIONS)}.")
    return replace(facts, prediction=prediction)


@lru_cache(maxsize=256)
def _facts(path: Path, states: tuple[Any, ...], allow_inpainting: bool) -> CheckpointFacts:
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return facts_from(pickled_shapes(path), {}, path, allow_inpainting=allow_inpainting)
    header = read_header(path)
    return facts_from(header.shapes, header.metadata, path, allow_inpainting=allow_inpainting)


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _yaml(path: Path) -> Path:
    return path.with_suffix(".yaml")


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}{_SUGGESTED_SUFFIX}")


def _told_by_yaml(path: Path) -> str | None:
    try:
        with _yaml(path).open("rb") as file:
            text = file.read(_YAML_LIMIT).decode("utf-8", "replace")
    except OSError:
        return None
    return "v_prediction" if _YAML_V.search(text) else None


def _suggested(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    beside = _beside(path)
    source = beside if beside.is_file() else metadata.get(SUGGESTED_KEY, "")
    return disk.found_object(source, limit=_SUGGESTED_LIMIT)
