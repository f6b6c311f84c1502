"""What a LoRA's metadata may tell: not the hour, not this machine; so equal work gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from lib_copier.files.disk import found_object, json_text
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
_TAGS = "ss_tag_frequency"


def forget_time(lora: Path) -> None:
    """Take the volatile entries out of a LoRA's metadata and sort the rest; its tensors stay bit for bit."""
    metadata = read_header(lora).metadata
    # The library that sd-scripts saves with lists them in an order of chance.
    kept = {name: metadata[name] for name in sorted(metadata.keys() - VOLATILE)}
    if _TAGS in kept:
        kept[_TAGS] = _without_folders(kept[_TAGS])
    if list(kept.items()) != list(metadata.items()):
        replace_metadata(lora, kept)


def _without_folders(told: str) -> str:
    """The counts of tags by the number of their folder: its name is a place on the machine that trained."""
    folders = found_object(told)
    return json_text(dict(zip(map(str, count(1)), folders.values(), strict=False)), indent=None).strip()


def settle(place: Workplace, result: Mapping[str, Any]) -> None:
    """`forget_time` on a step's one LoRA, as its finishing touch."""
    forget_time(place.out / LORA)
