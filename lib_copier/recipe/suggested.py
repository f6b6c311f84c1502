"""What a checkpoint's file suggests for projects on it, checked like any input: the unsound is left out."""

from __future__ import annotations

from lib_copier.model_file.checkpoint import CheckpointFacts
from lib_copier.recipe.options import OPTIONS
from lib_copier.settings.option import Value

PRESET_KEY = "preset"
_GROUPS = frozenset(
    {"origin", "pictures", "copier", "edit_lora", "merge", "resize", "check", "calibrate", "sweep"}
)
"""What a file may speak of: how pictures are made and learned, never where files lie."""
_ALSO = frozenset({"project.at_once"})


def suggested_values(facts: CheckpointFacts | None) -> dict[str, Value]:
    """The suggested settings by their addresses; pictures start at the size that it was trained at."""
    if facts is None:
        return {}
    found: dict[str, Value] = {"origin.width": facts.resolution, "origin.height": facts.resolution}
    for key, value in facts.suggested.items():
        option = OPTIONS.get(key)
        if option is None or option.kind == "path" or option.group not in _GROUPS and key not in _ALSO:
            continue
        try:
            found[key] = option.accept(value)
        except ValueError:
            continue
    return found
