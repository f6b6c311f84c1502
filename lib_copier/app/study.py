"""`run.py study new|run|status|report|publish|take FOLDER`: a recipe with axes, tried in all its variants."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_copier.app import progress
from lib_copier.app.flags import parse_with_hints
from lib_copier.app.recipe_flags import add_recipe_flags, recipe_changes
from lib_copier.app.where import add_where_flag, executor_on
from lib_copier.edge import Parser
from lib_copier.errors import InputError
from lib_copier.files.disk import read_json
from lib_copier.recipe.document import from_elsewhere
from lib_copier.recipe.model import Recipe
from lib_copier.steps.change import all_changed
from lib_copier.steps.project import Project
from lib_copier.study import handing, running, table
from lib_copier.study.axes import read_axes
from lib_copier.study.halving import require_library
from lib_copier.study.question import Question
from lib_copier.study.rungs import WHOLE, usual_rungs
from lib_copier.study.score import Outcome
from lib_copier.study.study import Study

_ROWS = 20
_REDUCTION = 3


def main(argv: Sequence[str]) -> int:
    """Do what the first word names."""
    verb, *rest = argv or ("--help",)
    if verb not in COMMANDS:
        print(f"usage: run.py study {{{'|'.join(COMMANDS)}}} FOLDER …   (each with --help)")
        if verb in ("-h", "--help"):
            return 0
        raise InputError(f"There is no `study {verb}`.", f"Choose from {', '.join(COMMANDS)}.")
    return COMMANDS[verb](rest)


def new(argv: Sequence[str]) -> int:
    """Make a study."""
    parser = _parser("new", "Make a study: a folder with a recipe and the axes along which it is varied.")
    parser.usage = (
        "run.py study new FOLDER [--project PROJECT | --recipe FILE] --axis ADDRESS VALUE [VALUE …] … "
        "[--axes FILE] [--listed] [--prune [N]] [--origin …] [--edit …] [--GROUP.NAME VALUE …]"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--project", type=Path, metavar="PROJECT", help="start from a project's recipe")
    source.add_argument("--recipe", type=Path, metavar="FILE", help="start from a recipe (JSON)")
    parser.add_argument(
        "--axis",
        action="append",
        nargs="+",
        default=[],
        metavar=("ADDRESS", "VALUE"),
        help="a setting and its values, for instance edits.outline.effects.strength 0.5 1",
    )
    parser.add_argument("--axes", type=Path, metavar="FILE", help="axes as JSON, see docs/studies.md")
    parser.add_argument("--listed", action="store_true", help="first values together, second ones …")
    parser.add_argument("--prune", type=int, nargs="?", const=_REDUCTION, default=0, metavar="N",
                        help=f"one in N goes on from each cheap look (default: {_REDUCTION})")  # fmt: skip
    add_recipe_flags(parser)
    arguments = parse_with_hints(parser, argv)
    base, files = _base(arguments)
    given = read_json(arguments.axes, advice="Give a list of axes.") if arguments.axes else []
    if not isinstance(given, list):
        raise InputError(f"{arguments.axes} holds no list of axes.", "Give a list of axes.")
    typed = [{"address": address, "values": values} for address, *values in arguments.axis]
    is_crossed = not arguments.listed
    rungs = usual_rungs(base) if arguments.prune else (WHOLE,)
    axes = read_axes([*given, *typed], base, is_crossed=is_crossed)
    question = Question(base, axes, is_crossed, rungs, arguments.prune).checked()
    if arguments.prune:
        require_library()  # Now, not in the middle of a night's run.
    study = Study.create(arguments.folder, question, files)
    print(f"Made {study.folder}: {table.sizes(study)}.")
    return 0


def _base(arguments: argparse.Namespace) -> tuple[Recipe, Path | None]:
    """The recipe that the study starts from, and the project whose files it names."""
    base, files = Recipe(), None
    if arguments.project is not None:
        project = Project.open(arguments.project)
        base, files = project.recipe.with_settings({"project.name": ""}), project.folder
    elif arguments.recipe is not None:
        document = read_json(arguments.recipe, advice="Give a recipe as `export` writes it.")
        base, forgotten = from_elsewhere(document, str(arguments.recipe))
        for named in forgotten:
            print(f"not taken over, give it again: {named}")
    has_recipe = bool(arguments.project or arguments.recipe)
    return all_changed(base, recipe_changes(arguments, has_recipe=has_recipe)), files


def run(argv: Sequence[str]) -> int:
    """Do what is not done."""
    parser = _parser("run", "Make and judge every variant; what is done already is found.")
    add_where_flag(parser)
    parser.add_argument("--json", action="store_true", help="print one object on stdout")
    arguments = parser.parse_args(argv)
    study = Study.open(arguments.folder)
    with executor_on(arguments.on) as elsewhere, progress.shown() as listener:
        outcomes = running.run(study, listener=listener, elsewhere=elsewhere)
    return _told(study, outcomes, arguments.json, _ROWS)


def status(argv: Sequence[str]) -> int:
    """Tell where every variant stands."""
    parser = _parser("status", "Where the variants stand, the best first.")
    parser.add_argument("--json", action="store_true", help="print one object on stdout")
    parser.add_argument("--all", action="store_true", help=f"every variant, not the first {_ROWS}")
    arguments = parser.parse_args(argv)
    study = Study.open(arguments.folder)
    return _told(study, study.known(), arguments.json, len(study.variants) if arguments.all else _ROWS)


def report(argv: Sequence[str]) -> int:
    """Write table and page."""
    parser = _parser("report", "Write report.html and report.json into the study's folder.")
    parser.add_argument("--out", type=Path, metavar="DIR", help="another folder")
    arguments = parser.parse_args(argv)
    study = Study.open(arguments.folder)
    # It draws; the help of the command needs no package.
    from lib_copier.study.report import write_report

    print(write_report(study, study.climb(), arguments.out or study.folder))
    return 0


def publish(argv: Sequence[str]) -> int:
    """Copy the best variant's LoRAs out."""
    parser = _parser("publish", "Copy finished LoRAs of the best variant, or of another one, into a folder.")
    parser.add_argument("target", type=Path, metavar="TARGET", help="the folder that they go to")
    parser.add_argument("--variant", metavar="NAME", help="its name or number; default: the best")
    parser.add_argument("--best", type=int, default=1, metavar="N", help="the mean of the best N as one LoRA")
    arguments = parser.parse_args(argv)
    study = Study.open(arguments.folder)
    with progress.shown() as listener:
        if arguments.best > 1:
            made = handing.publish_mean(study, arguments.best, arguments.target, listener)
        else:
            variant = handing.winner(study) if arguments.variant is None else study.variant(arguments.variant)
            made = handing.publish(study, variant, arguments.target, listener)
    for path in made:
        print(path)
    return 0


def take(argv: Sequence[str]) -> int:
    """Make a project of a variant."""
    parser = _parser("take", "Make an ordinary project of a variant, with all that was made of it.")
    parser.add_argument("project", type=Path, metavar="PROJECT", help="the new project's folder")
    parser.add_argument("--variant", metavar="NAME", help="its name or number; default: the best")
    arguments = parser.parse_args(argv)
    study = Study.open(arguments.folder)
    variant = handing.winner(study) if arguments.variant is None else study.variant(arguments.variant)
    print(f"Made {handing.take(study, variant, arguments.project).folder} of {variant.name}.")
    return 0


COMMANDS = {"new": new, "run": run, "status": status, "report": report, "publish": publish, "take": take}


def _parser(verb: str, description: str) -> Parser:
    parser = Parser(prog=f"run.py study {verb}", description=description)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the study's folder")
    return parser


def _told(study: Study, outcomes: Mapping[int, Outcome], as_json: bool, most: int) -> int:
    if as_json:
        told: dict[str, Any] = table.as_json(study, outcomes)
        json.dump(told, sys.stdout, indent=1, ensure_ascii=False)
        print()
        return 0
    for line in table.lines(study, outcomes, most):
        print(line)
    return 0
