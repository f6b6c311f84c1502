"""`run.py bench merge`: merging into a checkpoint and extracting from two, beside other ways."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.files import random_checkpoint, random_lora
from benchmarks.lora import parser
from benchmarks.measured import Measured, measure, ours, table
from benchmarks.shapes import SD15, SDXL_BASE
from lib_copier.lora.extract import find_targets
from lib_copier.lora.file import read_lora
from lib_copier.lora.header import read_header
from lib_copier.lora.metadata import ERROR_KEY
from lib_copier.lora.parallel import in_parallel, keep_blas_to_one_thread
from lib_copier.lora.stream import TensorFile

RANK = 64


def main(argv: Sequence[str]) -> int:
    """Make the files, run every command, print the table."""
    keep_blas_to_one_thread()
    arguments = parser("bench merge", __doc__ or "").parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = _run(arguments, Path(folder))
    print("\n".join(table(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n", "utf-8")
    return 0


def _run(arguments: Any, folder: Path) -> list[Measured]:
    sizes = {"sd1": SD15, "sdxl": SDXL_BASE}[arguments.family]
    model, tuned = (random_checkpoint(folder / f"m{s}.safetensors", sizes, seed=s) for s in (1, 2))
    lora = random_lora(folder / "lora.safetensors", sizes, seed=3)
    out, small = folder / "out.safetensors", folder / "extracted.safetensors"
    merge = ("--sd_model", model, "--models", lora, "--ratios", 1, "--precision", "float")
    merge = (*merge, "--save_precision", "float", "--save_to", out)
    extract = ("--model_org", model, "--model_tuned", tuned, "--dim", RANK, "--save_precision", "fp16")
    extract = (*extract, "--save_to", small)
    prefix = "sdxl_" if arguments.family == "sdxl" else ""
    flags = ("--sdxl",) if arguments.family == "sdxl" else ()
    tasks = {
        "merge into a checkpoint, float": (
            ours("lora", "merge", *merge, "--json"),
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
            facts = (
                _merge_facts(out)
                if task.startswith("merge")
                else {"error": extract_error(model, tuned, small)}
            )
            rows.append(Measured(task, who, row.seconds, row.peak_mib, facts))
            out.unlink(missing_ok=True)
    return rows


def _merge_facts(out: Path) -> dict[str, float]:
    """The error that our merges note in their result; others note none."""
    told = json.loads(read_header(out).metadata.get(ERROR_KEY, "{}"))
    return {"error": float(told["relative"])} if "relative" in told else {}


def extract_error(model: Path, tuned: Path, result: Path) -> float:
    """The relative error of an extracted LoRA over the layers that it has."""
    found = read_lora(result)
    with TensorFile(model) as before, TensorFile(tuned) as after:
        targets = [x for x in find_targets(before, after, has_conv=True)[1] if x.name in found.layers]

        def work(target: Any) -> tuple[float, float]:
            difference = target.read(after, 0, target.shape[0]) - target.read(before, 0, target.shape[0])
            left = difference - found.layers[target.name].delta().reshape(target.size).astype(np.float32)
            return float(np.vdot(left, left)), float(np.vdot(difference, difference))

        sums = [row for _, row in in_parallel(work, targets)]
    return math.sqrt(math.fsum(row[0] for row in sums) / math.fsum(row[1] for row in sums))
