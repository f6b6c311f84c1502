"""`run.py bench lora`: resize and difference of LoRA files, ours beside the textbook way and sd-scripts."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measured import Measured, measure, ours, table
from benchmarks.shapes import SD15, SDXL_BASE
from lib_copier.lora.parallel import keep_blas_to_one_thread

RANK, NEW_RANK = 64, 8


def parser(prog: str, text: str) -> argparse.ArgumentParser:
    """The options that both file benchmarks have."""
    found = argparse.ArgumentParser(prog=prog, description=text)
    found.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    # Absolute: the scripts run in the checkout's folder.
    found.add_argument("--sd-scripts", type=_place, metavar="DIR", help="a checkout to run beside ours")
    found.add_argument("--sd-scripts-python", type=_place, default=sys.executable, metavar="PYTHON")
    found.add_argument("--family", choices=("sd1", "sdxl"), default="sd1", help="the size of the files")
    found.add_argument("--repeats", type=int, default=3, help="runs of ours; all are listed")
    found.add_argument("--no-textbook", action="store_true", help="leave out the slow textbook way")
    found.add_argument("--folder", type=_place, help="where the files go; a temporary folder if omitted")
    return found


def _place(text: str) -> Path:
    """A path that holds in any folder; links stay, for a Python is known by the one it is called through."""
    return Path(text).expanduser().absolute()


def main(argv: Sequence[str]) -> int:
    """Resize, and the difference of two LoRAs."""
    return run_table(parser("bench lora", __doc__ or "").parse_args(argv), _run)


Work = Callable[[argparse.Namespace, Path], list[Measured]]


def run_table(arguments: argparse.Namespace, run: Work) -> int:
    """Make the files, run every command, print the table; returns the exit code."""
    keep_blas_to_one_thread()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = run(arguments, Path(folder))
    print("\n".join(table(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n", "utf-8")
    return 0


def _run(arguments: argparse.Namespace, folder: Path) -> list[Measured]:
    # numpy comes with these, and BLAS must have been told to keep to one thread before that.
    from benchmarks.files import excess_errors, random_lora

    sizes = {"sd1": SD15, "sdxl": SDXL_BASE}[arguments.family]
    a, b = (random_lora(folder / f"{n}.safetensors", sizes, seed=s) for s, n in enumerate("ab"))
    rank, out = ("--new_rank", NEW_RANK, "--save_precision", "fp16"), folder / "out.safetensors"
    both = ("--models", a, b, "--ratios", 1, -1)
    tasks = {
        f"resize {RANK} -> {NEW_RANK}": (
            [(a, 1.0)],
            ("resize", "--model", a),
            ("resize_lora.py", "--model", a, "--new_conv_rank", NEW_RANK),
        ),
        f"difference A - B -> {NEW_RANK}": (
            [(a, 1.0), (b, -1.0)],
            ("svd-merge", *both),
            ("svd_merge_lora.py", *both, "--precision", "float"),
        ),
    }
    rows: list[Measured] = []
    for task, (terms, our_words, their_words) in tasks.items():
        runs: list[tuple[str, Sequence[object]]] = [
            ("ours", ours("lora", *our_words, *rank, "--save_to", out))
        ] * arguments.repeats
        if not arguments.no_textbook:
            words = [word for term in terms for word in term]
            runs.append(
                ("textbook", [sys.executable, "-m", "benchmarks.textbook", "svd", out, NEW_RANK, *words])
            )
        if arguments.sd_scripts:
            script, *rest = their_words
            theirs = [arguments.sd_scripts_python, arguments.sd_scripts / "networks" / script, *rest, *rank]
            runs.append(("sd-scripts", [*theirs, "--save_to", out]))
        for who, command in runs:
            row = measure(task, who, command, cwd=arguments.sd_scripts if who == "sd-scripts" else Path.cwd())
            error, excess = excess_errors(out, terms, NEW_RANK)
            rows.append(
                Measured(task, who, row.seconds, row.peak_mib, {"error": error, "worst excess": excess})
            )
    return rows
