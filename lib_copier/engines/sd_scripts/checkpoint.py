"""What sd-scripts must be told about a checkpoint or a LoRA, read from the file's keys alone."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.families import SD1, SD2, SDXL, Family, detect_family, detect_lora_family
from lib_copier.keys import UNET_PREFIX
from lib_copier.lora.header import read_header

_PICKLE_SUFFIXES = {".ckpt", ".pt", ".pth"}
_LEGACY_BYTES = 64 << 20
_FIRST_LAYER = f"{UNET_PREFIX}input_blocks.0.0.weight"
_FIRST_LAYER_CHANNELS = 320


@dataclass(frozen=True)
class CheckpointFacts:
    """A checkpoint's family and what it predicts; `prediction_type` is None where the file does not tell."""

    family: Family
    prediction_type: str | None = None
    zero_terminal_snr: bool = False


def checkpoint_facts(path: Path, prediction: str = "auto") -> CheckpointFacts:
    """Read a single-file checkpoint's kind; `prediction` other than ``auto`` overrules the file.

    Raises
    ------
    InputError
        The file is missing, broken, of an architecture that is not supported, or not of a real model's size.
    """
    if path.suffix.lower() in _PICKLE_SUFFIXES:
        facts = CheckpointFacts(_family_of_pickle(path))
    else:
        header = read_header(path)
        details = detect_family(header.shapes, header.metadata)
        channels = header.shapes[_FIRST_LAYER][0]
        if channels != _FIRST_LAYER_CHANNELS:
            raise InputError(
                f"sd-scripts builds {details.family.label} only at its real size, {_FIRST_LAYER_CHANNELS} "
                f"channels; {path.name} has {channels}.",
                "Use the embedded engine for it.",
            )
        facts = CheckpointFacts(details.family, details.prediction_type, details.zero_terminal_snr)
    told = facts.prediction_type if prediction == "auto" else prediction
    # Only SD2 comes in two kinds that look alike; without a mark the others predict the noise.
    if told is None and facts.family is not SD2:
        told = "epsilon"
    return CheckpointFacts(facts.family, told, facts.zero_terminal_snr)


def loras_family(paths: Sequence[Path]) -> Family | None:
    """The first family that the LoRAs' keys tell; None where none of them tells."""
    for path in paths:
        header = read_header(path)
        family = detect_lora_family(header.shapes, header.metadata)
        if family is not None:
            return family
    return None


def _family_of_pickle(path: Path) -> Family:
    """By the key names in a pickle's bytes: nothing is unpickled, so nothing in it can run."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
                content = archive.read(name) if name else b""
        else:
            with path.open("rb") as file:
                content = file.read(_LEGACY_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error
    for mark, family in (
        (b"conditioner.embedders.1.", SDXL),
        (b"cond_stage_model.model.", SD2),
        (b"cond_stage_model.transformer.", SD1),
    ):
        if mark in content:
            return family
    raise InputError(
        f"{path} holds no Stable Diffusion 1.x, 2.x or XL checkpoint.",
        "Choose a whole single-file checkpoint.",
    )
