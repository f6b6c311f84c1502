"""`run.py bench merge`: merging into a checkpoint and extracting from two, beside other ways."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.lora import parser, run_table
from benchmarks.measured import Measured, flush_disks, measure, ours
from benchmarks.shapes import SD15, SDXL_BASE
from lib_copier.model_file.header import read_header

RANK = 64


def main(argv: Sequence[str]) -> int:
    """Merge and extract."""
    return run_table(parser("bench merge", __doc__ or "").parse_args(argv), _run)


def _run(arguments: Any, folder: Path) -> list[Measured]:
    # numpy comes with these, and BLAS must have been told to keep to one thread before that.
    from benchmarks.files import extract_error, random_checkpoint, random_lora

    sizes = {"sd1": SD15, "sdxl": SDXL_BASE}[arguments.family]
    model, tuned = (random_checkpoint(folder / f"m{s}.safetensors", sizes, seed=s) for s in (1, 2))
    lora = random_lora(folder / "lora.safetensors", sizes, seed=3)
    out, small = folder / "out.safetensors", folder / "extracted.safetensors"
    merge: tuple[object, ...] = ("--sd_model", model, "--models", lora, "--ratios", 1, "--precision", "float")
    merge = (*merge, "--save_precision", "float", "--save_to", out)
    extract: tuple[object, ...] = ("--model_org", model, "--model_tuned", tuned, "--dim", RANK)
    extract = (*extract, "--save_precision", "fp16", "--save_to", small)
    prefix = "sdxl_" if arguments.family == "sdxl" else ""
    flags = ("--sdxl",) if arguments.family == "sdxl" else ()
    tasks = {
        "merge into a checkpoint, float": (
            ours("lora", "merge", *merge),
            ("merge", out, model, lora),
            (f"{prefix}merge_lora.py", *merge),
        ),
        f"extract, rank {RANK}": (
            ours("lora", "extract", *extract),
            ("extract", small, model, tuned, RANK),
            ("extract_lora_from_models.py", *extract, *flags),
        ),
    }
    rows: list[Measured] = []
    for task, (our_command, textbook, theirs) in tasks.items():
        runs = [("ours", our_command)] * arguments.repeats
        if not arguments.no_textbook:
            runs.append(("textbook", [sys.executable, "-m", "benchmarks.textbook", *map(str, textbook)]))
        if arguments.sd_scripts:
            script = str(arguments.sd_scripts / "networks" / theirs[0])
            runs.append(("sd-scripts", [arguments.sd_scripts_python, script, *map(str, theirs[1:])]))
        for who, command in runs:
            row = measure(task, who, command, cwd=arguments.sd_scripts if who == "sd-scripts" else Path.cwd())
            if task.startswith("merge"):
                facts = {**_flush_facts(row), **_merge_facts(out)}
            else:
                facts = {"error": extract_error(model, tuned, small)}
            rows.append(Measured(task, who, row.seconds, row.peak_mib, facts))
            out.unlink(missing_ok=True)
    return rows


def _flush_facts(row: Measured) -> dict[str, float]:
    """The command's seconds without and with the flush to the disk; only ours flushes by itself."""
    own = re.search(r"flushed in ([\d.]+) s", row.output)
    if own:
        return {"unflushed": row.seconds - float(own[1]), "flushed": row.seconds}
    return {"unflushed": row.seconds, "flushed": row.seconds + flush_disks()}


def _merge_facts(out: Path) -> dict[str, float]:
    """The error that our merges note in their result; others note none."""
    from lib_copier.lora.metadata import ERROR_KEY

    told = json.loads(read_header(out).metadata.get(ERROR_KEY, "{}"))
    return {"error": float(told["relative"])} if "relative" in told else {}
