"""`run.py bench [NAME …] [--json FILE] [arguments]`: one benchmark, several, or all."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lib_copier import edge
from lib_copier.errors import InputError

BENCHMARKS = {
    "lora": "resize and difference of LoRA files: time, memory, error",
    "look": "a look at a project of a thousand files",
    "fuzz": "every reader under mutated input: exceptions that are not ours, time, memory",
    "merge": "merging into a checkpoint and extracting from two: time, memory, error",
    "train": "one training step beside the bare step; start-up to the first step",
    "memory": "what a training step holds on the GPU, computed",
    "slider": "from the origin to the published slider: time by step and kind, process starts, memory",
    "study": "10,000 variants: plan, memory, a look, the page; what a step costs its driver",
    "endurance": "the child that stays: 200 kills over a chain of tiny models, memory over 100 jobs",
    "generate": "pictures a minute; many weights in one batch",
    "parity": "our results beside sd-scripts' (needs --sd-scripts DIR)",
}
WHEN_ALL = ("lora", "look", "merge", "train", "memory", "generate")
"""What runs when no name is given: everything that needs nothing from outside."""


def main(argv: Sequence[str]) -> int:
    """Run benchmarks; each module has ``main(argv) -> int`` and understands ``--json FILE``.

    With several names, FILE holds one object by name. The exit code is the worst of all.
    """
    if "-h" in argv[:1] or "--help" in argv[:1]:
        _print_help()
        return 0
    names, rest = _leading_names(argv)
    if len(names) == 1:
        return _run(names[0], rest)
    rest, target = _without_json(rest)
    found, worst = {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in names or WHEN_ALL:
            print(f"== {name}: {BENCHMARKS[name]}", flush=True)
            part = Path(scratch) / f"{name}.json"
            worst = max(worst, _run(name, [*rest, "--json", str(part)]))
            if part.exists():
                found[name] = json.loads(part.read_text(encoding="utf-8"))
    if target:
        target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return worst


def _leading_names(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    names: list[str] = []
    for index, argument in enumerate(argv):
        if argument.startswith("-"):
            return names, list(argv[index:])
        if argument not in BENCHMARKS:
            raise InputError(f"There is no benchmark {argument!r}.", f"Choose from {', '.join(BENCHMARKS)}.")
        names.append(argument)
    return names, []


def _without_json(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Take ``--json FILE`` out of the arguments."""
    rest = list(arguments)
    if "--json" not in rest:
        return rest, None
    at = rest.index("--json")
    if at + 1 >= len(rest):
        raise InputError("--json names no file.", "Give the file that the figures go to.")
    target = Path(rest[at + 1])
    if not target.absolute().parent.is_dir():
        raise InputError(f"The folder of {target} does not exist.", "Make it, or name another file.")
    return rest[:at] + rest[at + 2 :], target


def _run(name: str, arguments: Sequence[str]) -> int:
    module = importlib.import_module(f"benchmarks.{name}")
    code: int = module.main(list(arguments))
    return code


def _print_help() -> None:
    print("usage: python run.py bench [NAME ...] [--json FILE] [arguments of the benchmark]\n")
    for name, summary in BENCHMARKS.items():
        print(f"  {name:<10}{summary}")


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
