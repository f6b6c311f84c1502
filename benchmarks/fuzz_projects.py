"""Readers of what makes a project: recipes, records, the queue, settings as typed, requests of a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import fuzz_changes as changes
from benchmarks import fuzz_files as files
from benchmarks import fuzz_texts as texts
from benchmarks.fuzz_reader import Reader, write_file, written
from lib_copier.files.disk import parse_json


def recipe(folder: Path) -> Reader:
    def read(data: bytes) -> None:
        from lib_copier.recipe.document import from_document, to_document

        found = from_document(parse_json(data, "the recipe"))
        json.dumps(to_document(found), allow_nan=False)

    return Reader("recipe", [texts.recipe()], (changes.json_tree, changes.scratches), read)


def project(folder: Path) -> Reader:
    """`project.json` in a project's folder, down to its list of steps."""

    def read(path: Path) -> None:
        from lib_copier.steps.project import Project

        found = Project.open(path.parent)
        found.faults()
        found.status()

    ways = (changes.json_tree, changes.scratches, changes.cut)
    return Reader("project", [texts.recipe()], ways, written(folder / "lines", "project.json", read))


def lora_recipe(folder: Path) -> Reader:
    """A project made from the recipe that a LoRA carries."""

    def read(path: Path) -> None:
        from lib_copier.steps.project import Project

        made = path.parent / "made"
        shutil.rmtree(made, ignore_errors=True)
        found = Project.from_lora(made, path)
        found.faults()
        found.status()

    ways = (changes.metadata,)
    return Reader(
        "lora's recipe", [files.published(texts.recipe())], ways, written(folder, "x.safetensors", read)
    )


def records(folder: Path) -> Reader:
    """What a project keeps beside its recipe: a manifest, the note of a run, digests, a failure."""

    def read(data: bytes) -> None:
        from lib_copier.steps.project import Project

        for name in ("artifacts/0/manifest.json", "running.json", "digests.json", "work/0/failure.json"):
            write_file(folder / "lines" / name, data)
        (folder / "lines" / "project.json").write_bytes(texts.recipe())
        found = Project.open(folder / "lines")
        found.status()
        found.running()
        found.unused()

    return Reader("records", texts.records(), (changes.json_tree, changes.scratches, changes.cut), read)


def queue(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.graph.queue import Queue

        found = Queue(folder)
        for job in found.jobs():
            found.find(job.key)
        Queue(folder).job("1")

    ways = (changes.json_tree, changes.scratches, changes.cut)
    return Reader("queue", [texts.job()], ways, written(folder / "jobs", "1.json", read))


def events(folder: Path) -> Reader:
    """A run's events, as the page and the terminal read them, and lines of a child."""

    def read(path: Path) -> None:
        from lib_copier.app.progress import sentence_of, tail_of
        from lib_copier.border import events as lines
        from lib_copier.graph.events import read_events
        from lib_copier.ui.progress import gather

        found, _ = read_events(path)
        gather(found, "copier/first")
        for event in found:
            sentence_of(event)
            tail_of(event)
        for line in path.read_bytes().decode("utf-8", "replace").splitlines():
            lines.parse(line)

    ways = (changes.json_lines, changes.scratches, changes.cut)
    return Reader("events", [texts.events()], ways, written(folder, "x.jsonl", read))


def settings(folder: Path) -> Reader:
    """``KEY=VALUE`` as `run.py set` takes it, for every option in turn."""

    def read(path: Path) -> None:
        from lib_copier.steps.project import Project

        key, _, value = path.read_bytes().decode("utf-8", "replace").partition("=")
        (path.parent / "project.json").write_bytes(texts.recipe())
        Project.open(path.parent).set({key: value})

    def value_only(data: bytes, random: Random) -> bytes:
        key, _, value = data.partition(b"=")
        return key + b"=" + changes.text(value, random)

    for name, content in (("pictures/a.png", files.pictures()[0]), ("pictures/b.png", files.pictures()[1])):
        write_file(folder / "lines" / name, content)
    write_file(folder / "lines" / "loras" / "a.safetensors", files.published(texts.recipe()))
    ways = (value_only, value_only, value_only, changes.text)
    return Reader("settings", texts.settings(), ways, written(folder / "lines", "typed", read))


def page(folder: Path) -> Reader:
    """Requests of a browser, each to a page with one project."""
    pristine, data = folder / "pristine", folder / "data"
    door: list[Any] = []

    def read(request: bytes) -> None:
        if not door:
            door.append(texts.make_door(data, pristine))
        shutil.rmtree(data / "projects")
        shutil.copytree(pristine, data / "projects")
        json.loads(door[0].answer(request.decode("utf-8", "replace")))

    return Reader(
        "page", texts.page_requests(), (changes.json_tree, changes.json_tree, changes.scratches), read
    )
