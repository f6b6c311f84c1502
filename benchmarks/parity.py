"""`run.py bench parity`: what both engines make from the same inputs, beside the exact answer."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.parity_algebra import Row, compare_algebra
from lib_copier import edge
from lib_copier.engines.sd_scripts.checkout import TRAIN, Checkout
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.state import own_places
from lib_copier.errors import InputError


def main(argv: Sequence[str]) -> int:
    """Compare, print a table, and write the figures where ``--json`` says."""
    asked = _parser().parse_args(argv)
    places = own_places()
    folder = asked.sd_scripts.expanduser().absolute() if asked.sd_scripts else places.folder()
    python = asked.sd_scripts_python.expanduser().absolute() if asked.sd_scripts_python else places.python()
    if not (folder / TRAIN).is_file() or not python.is_file():
        raise InputError(
            f"No sd-scripts at {folder}, or no Python at {python}.",
            "Name them with --sd-scripts and --sd-scripts-python, or run `python run.py engine install`.",
        )
    engine = SdScriptsEngine(Checkout(folder, python))
    found: dict[str, Any] = {"sd_scripts": engine.version()}
    with tempfile.TemporaryDirectory(prefix="parity ") as scratch:
        rows = compare_algebra(engine, Path(scratch), layer_count=asked.layers, seed=asked.seed)
        found["algebra"] = [asdict(row) for row in rows]
        print(_table(rows), flush=True)
        if asked.checkpoint is not None:
            # The trainer imports torch; the algebra does without.
            from benchmarks.parity_extract import compare_extract, extract_lines
            from benchmarks.parity_training import compare_training, training_lines

            checkpoint = asked.checkpoint.expanduser().absolute()
            found["extract"] = compare_extract(engine, checkpoint, Path(scratch) / "extract", seed=asked.seed)
            print("\n".join(extract_lines(found["extract"])), flush=True)
            training = compare_training(
                engine,
                checkpoint,
                Path(scratch),
                steps=asked.steps,
                copier_steps=asked.copier_steps,
                side=asked.side,
                seed=asked.seed,
            )
            found["training"] = training
            print("\n".join(training_lines(training)), flush=True)
        else:
            print("Extraction and training are compared where --checkpoint names an SD 1.x checkpoint.")
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py bench parity", description=__doc__)
    parser.add_argument("--sd-scripts", type=Path, metavar="DIR", help="a checkout; else the installed one")
    parser.add_argument("--sd-scripts-python", type=Path, metavar="FILE", help="the Python that runs it")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="also extraction and training, on this model"
    )
    parser.add_argument("--steps", type=int, default=12, help="training steps (12)")
    parser.add_argument("--copier-steps", type=int, default=60, help="steps of the compared copiers (60)")
    parser.add_argument("--side", type=int, default=64, help="side of the training picture in pixels (64)")
    parser.add_argument("--layers", type=int, default=8, help="layers of the compared LoRAs (8)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser


def _table(rows: Sequence[Row]) -> str:
    head = f"{'':<46}{'embedded':>12}{'sd-scripts':>12}   measure"
    lines = [f"{row.task:<46}{row.embedded:>12.3g}{row.sd_scripts:>12.3g}   {row.measure}" for row in rows]
    notes = dict.fromkeys(f"  {row.task}: {row.note}" for row in rows if row.note)
    return "\n".join([head, *lines, "Where they differ:", *notes])


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
