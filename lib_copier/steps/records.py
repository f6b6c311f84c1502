"""What a LoRA's metadata may tell: not the hour, not this machine; so equal work gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_copier.graph.step import Workplace
from lib_copier.model_file.header import read_header, replace_metadata
from lib_copier.steps.parts import LORA

VOLATILE = frozenset(
    {
        "ss_training_started_at",
        "ss_training_finished_at",
        "ss_session_id",
        "modelspec.date",
        "ss_output_name",
        "ss_dataset_dirs",
        "ss_datasets",
        "ss_reg_dataset_dirs",
        "ss_sd_scripts_commit_hash",
    }
)
"""Entries that differ between two runs of the same work, or name folders of this machine."""


def forget_time(lora: Path) -> None:
    """Take the volatile entries out of a LoRA's metadata and sort the rest; its tensors stay bit for bit."""
    metadata = read_header(lora).metadata
    # The library that sd-scripts saves with lists them in an order of chance.
    kept = {name: metadata[name] for name in sorted(metadata.keys() - VOLATILE)}
    if list(kept.items()) != list(metadata.items()):
        replace_metadata(lora, kept)


def settle(place: Workplace, result: Mapping[str, Any]) -> None:
    """`forget_time` on a step's one LoRA, as its finishing touch."""
    forget_time(place.out / LORA)
