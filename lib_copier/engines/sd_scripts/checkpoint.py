"""What sd-scripts must be told about a checkpoint or a LoRA, read from the files' headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lib_copier.errors import InputError
from lib_copier.model_file.checkpoint import CheckpointFacts, facts_of
from lib_copier.model_file.families import Family, detect_lora_family
from lib_copier.model_file.header import read_header

_WIDTH = 320


def real_facts(path: Path, prediction: str = "auto") -> CheckpointFacts:
    """The facts of a checkpoint of a real model's size; `prediction` other than ``auto`` overrules the file.

    Raises
    ------
    InputError
        The file is missing, broken, of an architecture that is not supported, or of another size.
    """
    facts = facts_of(path, prediction)
    if facts.unet_width != _WIDTH:
        raise InputError(
            f"sd-scripts builds {facts.family.label} only at its real size, {_WIDTH} channels; {path.name} "
            f"has {facts.unet_width}.",
            "Use the embedded engine for it.",
        )
    return facts


def loras_family(paths: Sequence[Path]) -> Family | None:
    """The first family that the LoRAs' keys tell; None where none of them tells."""
    for path in paths:
        header = read_header(path)
        family = detect_lora_family(header.shapes, header.metadata)
        if family is not None:
            return family
    return None
