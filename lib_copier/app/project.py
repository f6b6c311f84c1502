"""The project commands: new, set, run, rerun, status, by-hand, export, prune."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib_copier.app import progress
from lib_copier.app.flags import parse_with_hints
from lib_copier.app.recipe_flags import add_recipe_flags, recipe_changes
from lib_copier.app.where import add_where_flag, executor_on
from lib_copier.edge import Parser
from lib_copier.errors import CopierError, InputError
from lib_copier.files.disk import read_json
from lib_copier.graph.runner import Report
from lib_copier.graph.status import DONE
from lib_copier.steps.project import Project


def main(argv: Sequence[str]) -> int:
    """Do the command that the first word names."""
    verb, *rest = argv
    return COMMANDS[verb](rest)


def new(argv: Sequence[str]) -> int:
    """Make a project."""
    parser = _parser("new", "Make a project: a folder with a recipe.")
    parser.usage = (
        "run.py new PROJECT [--recipe FILE | --from-lora FILE] [--preset NAME] [--origin NAME[=PICTURE]] "
        "[--edit NAME=EFFECTS] [--GROUP.NAME VALUE …]"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--recipe", type=Path, metavar="FILE", help="start from a recipe (JSON)")
    source.add_argument("--from-lora", type=Path, metavar="FILE", help="start from a LoRA made here")
    add_recipe_flags(parser)
    arguments = parse_with_hints(parser, argv)
    # A recipe that was given already says how to train.
    changes = recipe_changes(arguments, has_recipe=bool(arguments.recipe or arguments.from_lora))
    folder, checkpoint = arguments.project, str(changes.get("project.checkpoint", ""))
    if arguments.from_lora is not None:
        project = Project.from_lora(folder, arguments.from_lora, checkpoint)
    elif arguments.recipe is not None:
        document = read_json(arguments.recipe, advice="Give a recipe as `export` writes it.")
        project = Project.from_elsewhere(folder, document, str(arguments.recipe), checkpoint)
    else:
        project = Project.create(folder)
    try:
        project.set(changes)
    except CopierError:
        project.discard()
        raise
    print(f"Made {project.folder}.")
    _tell_faults(project)
    return 0


def change(argv: Sequence[str]) -> int:
    """Change settings."""
    parser = _parser("set", "Change settings of a project's recipe, all or none.")
    parser.add_argument("changes", nargs="+", metavar="KEY=VALUE")
    arguments = parser.parse_args(argv)
    project = Project.open(arguments.project)
    values: dict[str, Any] = {}
    for text in arguments.changes:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{text!r} is not KEY=VALUE.", "Write for example copier.rank=32.")
        is_name_alone = key.count(".") == 1 and key.startswith(("origins.", "edits."))
        is_taken_away = (
            is_name_alone and value in {"", "none"} or key.startswith("edits.") and value == "common"
        )
        values[key] = None if is_taken_away else value
    project.set(values)
    for edit in project.recipe.edits:
        for key in sorted(values.keys() & dict(edit.settings).keys()):
            print(f"note: edit {edit.name} has its own {key}; edits.{edit.name}.{key}=common takes it away")
    for status in project.status():
        if status.state != DONE:
            print(f"{status.id}: {status.state} ({'; '.join(status.reasons)})")
    _tell_faults(project)
    return 0


def run(argv: Sequence[str]) -> int:
    """Do what is not done."""
    parser = _parser("run", "Do the steps of a project that are not done.")
    parser.add_argument("--until", action="append", default=[], metavar="STEP", help="only what it needs")
    add_where_flag(parser)
    parser.add_argument("--json", action="store_true", help="print one object on stdout")
    arguments = parser.parse_args(argv)
    project = Project.open(arguments.project)
    with executor_on(arguments.on) as elsewhere, progress.shown() as listener:
        report = project.run(arguments.until, listener=listener, elsewhere=elsewhere)
    return _told(project, report, arguments.json)


def rerun(argv: Sequence[str]) -> int:
    """Do one step again."""
    parser = _parser("rerun", "Do one step of a project again; what follows only where its result differs.")
    parser.add_argument("step", metavar="STEP")
    add_where_flag(parser)
    parser.add_argument("--json", action="store_true", help="print one object on stdout")
    arguments = parser.parse_args(argv)
    project = Project.open(arguments.project)
    with executor_on(arguments.on) as elsewhere, progress.shown() as listener:
        report = project.rerun(arguments.step, listener=listener, elsewhere=elsewhere)
    return _told(project, report, arguments.json)


def status(argv: Sequence[str]) -> int:
    """Tell where every step stands."""
    parser = _parser("status", "What is done, what will run, and why.")
    parser.add_argument("--json", action="store_true", help="print one object on stdout")
    arguments = parser.parse_args(argv)
    project = Project.open(arguments.project)
    found, faults = project.status(), project.faults()
    if arguments.json:
        steps = [status.to_json() for status in found]
        _print_json(
            {"project": project.name, "folder": str(project.folder), "steps": steps, "faults": faults}
        )
        return 0
    width = max((len(status.id) for status in found), default=0)
    for one in found:
        print(f"{one.id:<{width}}  {one.state:<8} {'; '.join(one.reasons)}".rstrip())
    _tell_faults(project)
    return 0


def by_hand(argv: Sequence[str]) -> int:
    """Lay out a step's command."""
    parser = _parser("by-hand", "Print a line that does one step by hand, and write the files that it reads.")
    parser.add_argument("step", metavar="STEP")
    arguments = parser.parse_args(argv)
    print(Project.open(arguments.project).lay_out(arguments.step))
    return 0


def export(argv: Sequence[str]) -> int:
    """Copy finished LoRAs out."""
    parser = _parser(
        "export", "Copy a project's finished LoRAs, with preview, card and recipe, into a folder."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--edit", action="append", default=[], metavar="NAME", help="default: all")
    arguments = parser.parse_args(argv)
    project = Project.open(arguments.project)
    for name in arguments.edit or [edit.name for edit in project.recipe.edits]:
        for path in project.export(name, arguments.folder):
            print(path)
    return 0


def prune(argv: Sequence[str]) -> int:
    """Delete what the recipe does not use."""
    parser = _parser("prune", "Delete artifacts that the recipe, as it is now, does not use.")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")
    arguments = parser.parse_args(argv)
    project = Project.open(arguments.project)
    if arguments.dry_run:
        for path in project.unused():
            print(path)
        return 0
    count, freed = project.prune()
    print(f"Deleted {count} {'folder' if count == 1 else 'folders'}, {freed / 1e6:.1f} MB.")
    return 0


COMMANDS = {
    "new": new,
    "set": change,
    "run": run,
    "rerun": rerun,
    "status": status,
    "by-hand": by_hand,
    "export": export,
    "prune": prune,
}


def _parser(verb: str, description: str) -> Parser:
    parser = Parser(prog=f"run.py {verb}", description=description)
    parser.add_argument("project", type=Path, metavar="PROJECT", help="the project's folder")
    return parser


def _told(project: Project, report: Report, as_json: bool) -> int:
    paths = {edit.name: project.file(f"publish/{edit.name}") for edit in project.recipe.edits}
    finished = {name: str(path) for name, path in paths.items() if path is not None}
    if as_json:
        made = {"run": report.run, "made": report.made, "skipped": report.skipped, "seconds": report.seconds}
        _print_json({**made, "loras": finished})
        return 0
    for name, lora in finished.items():
        print(f"{name}: {lora}")
    return 0


def _tell_faults(project: Project) -> None:
    for named in project.forgotten:
        print(f"not taken over, give it again: {named}")
    for fault in project.faults():
        print(f"to do: {fault}")


def _print_json(value: dict[str, Any]) -> None:
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False)
    print()
