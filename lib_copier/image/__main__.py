"""`python -m lib_copier.image JOB.json`: edits and pair checks in a child process.

The job file is one JSON object; paths are absolute.

``{"job": "edit", "picture": PATH, "chain": [{"name", "strength", "params"}, …], "output": PATH.png}``
    Applies the chain and writes a PNG, cropped to a multiple of 8; with ``"heat": PATH.png`` and
    ``"mask": PATH.png`` also where the two differ (see ``pair``). The ``done`` event carries
    ``output``, ``width``, ``height``, ``notes`` (sentences) and ``changed`` (share of the pixels that
    differ visibly).

``{"job": "pair", "origin": PATH, "edited": PATH, "output": FOLDER, "align": false,
"threshold": 0.02, "feather": 8, "background": 0.1}``
    Checks the user's own edited picture against its origin and writes ``edited.png`` (moved onto the
    origin where ``align`` is true and a shift was measured), ``heat.png`` and ``mask.png`` (the last three
    settings shape it, see `pair.soft_mask`). ``done``: ``output``, ``shift`` ({"x", "y", "is_certain"} in
    pixels, as measured before any correction), ``aligned`` (whether it was moved), ``changed``, ``notes``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lib_copier import edge
from lib_copier.border import events
from lib_copier.border.job import Entries, Job, read_job
from lib_copier.errors import InputError
from lib_copier.image import files, pair
from lib_copier.image.effects import apply_chain, read_chain


def edit(job: Job) -> dict[str, Any]:
    """Apply a chain of edits to a picture file."""
    chain = read_chain(job["chain"])
    opened = files.read_picture(Path(job["picture"]))
    picture, cropped = files.crop_to_multiple(opened.image)
    edited = apply_chain(picture, chain)
    files.write_png(edited, Path(job["output"]), opened.text)
    if job.get("heat"):
        files.write_png(pair.heat_map(picture, edited), Path(job["heat"]))
    if job.get("mask"):
        files.write_png(pair.soft_mask(picture, edited), Path(job["mask"]))
    return {
        "output": job["output"],
        "width": edited.width,
        "height": edited.height,
        "notes": [note for note in (*opened.notes, cropped) if note],
        "changed": round(pair.changed_share(picture, edited), 4),
    }


def check(job: Job) -> dict[str, Any]:
    """Check a pair and write its edited picture, heat map and mask."""
    first, first_notes = files.crop_to_multiple(files.read_picture(job["origin"]).image)
    opened = files.read_picture(job["edited"])
    second, second_notes = files.crop_to_multiple(opened.image)
    notes = [*opened.notes, *(note for note in (first_notes, second_notes) if note)]
    shift = pair.measure_shift(first, second)
    aligned = shift.needs_correction and bool(job.get("align", False))
    if aligned:
        second = pair.correct_shift(second, shift)
        notes.append(f"The edited picture was moved back by {shift.distance:.2f} pixels onto the origin.")
    elif shift.needs_correction:
        notes.append(
            f"The edited picture lies {shift.distance:.2f} pixels off the origin: the LoRA would "
            "learn to move pictures. Turn alignment on, or align it by hand."
        )
    changed = pair.changed_share(first, second)
    if changed == 0.0:
        notes.append("Nothing visible differs between the two pictures: there is nothing to learn.")
    folder = Path(job["output"])
    settings = {name: float(job[name]) for name in (key[:-1] for key in _SHAPES) if job.get(name) is not None}
    files.write_png(second, folder / "edited.png", opened.text)
    files.write_png(pair.heat_map(first, second), folder / "heat.png")
    files.write_png(pair.soft_mask(first, second, **settings), folder / "mask.png")
    return {
        "output": str(folder),
        "shift": {"x": shift.x, "y": shift.y, "is_certain": shift.is_certain},
        "aligned": aligned,
        "changed": round(changed, 4),
        "notes": notes,
    }


JOBS: dict[str, Callable[[Job], dict[str, Any]]] = {"edit": edit, "pair": check}
_SHAPES = {"threshold?": float, "feather?": float, "background?": float}
KINDS: dict[str, Entries] = {
    "edit": {"picture": str, "chain": list, "output": str, "heat?": str, "mask?": str},
    "pair": {"origin": str, "edited": str, "output": str, "align?": bool, **_SHAPES},
}
"""What each job's entries are."""


def main(argv: Sequence[str]) -> int:
    """Run one job and tell its result as the ``done`` event."""
    if len(argv) != 1:
        raise InputError("usage: python -m lib_copier.image JOB.json", "Name one job file.")
    job = read_job(Path(argv[0]), KINDS)
    result = JOBS[job["job"]](job)
    events.emit("done", **result)
    return 0


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:], emits_events=True))
