"""What is fuzzed: each reader of files, texts and requests with sound inputs made in code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import fuzz_changes as changes
from benchmarks import fuzz_seeds as seeds
from benchmarks.fuzz_changes import Change
from lib_copier.disk import parse_json


@dataclass(frozen=True)
class Reader:
    """Sound inputs, how they are changed, and what reads them; raises what the reader raises."""

    name: str
    sound: Sequence[bytes]
    changes: Sequence[Change]
    read: Callable[[bytes], object]

    def input(self, seed: int, number: int) -> bytes:
        """The input of that number: the sound ones first, then changed ones."""
        if number < len(self.sound):
            return self.sound[number]
        random = Random(f"{seed}/{self.name}/{number}")
        found = random.choice(self.sound)
        for _ in range(random.choice((1, 1, 1, 2))):
            try:
                found = random.choice(self.changes)(found, random)
            except Exception:
                # A change that needs a sound input got one that an earlier change broke.
                found = changes.scratches(found, random)
        return found


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _written(folder: Path, name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """`read` of a file with the input as its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name

    def write_and_read(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return write_and_read


def lora(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.lora.file import read_lora
        from lib_copier.lora.inspect import describe_lora, find_all_faults
        from lib_copier.lora.metadata import combined_metadata, resized_metadata

        find_all_faults(path)
        found = read_lora(path)
        describe_lora(found)
        combined_metadata([found], path)
        resized_metadata(found, path, "")

    ways = (changes.safetensors, changes.metadata, changes.scratches, changes.cut)
    return Reader("lora", seeds.loras(), ways, _written(folder, "x.safetensors", read))


def peft_folder(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.lora.file import read_lora

        (path.parent / "adapter_model.safetensors").write_bytes(seeds.peft_lora())
        read_lora(path.parent / "adapter_model.safetensors")

    ways = (changes.json_tree, changes.cut)
    return Reader("peft folder", [seeds.peft_config()], ways, _written(folder, "adapter_config.json", read))


def checkpoint(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.checkpoint import known_facts
        from lib_copier.lora.header import read_header
        from lib_copier.lora.inspect import describe_checkpoint
        from lib_copier.models.checkpoint import load_checkpoint

        known_facts(path)
        describe_checkpoint(read_header(path), path)
        load_checkpoint(path, parts=())

    ways = (changes.safetensors, changes.scratches, changes.cut)
    return Reader("checkpoint", [seeds.checkpoint()], ways, _written(folder, "x.safetensors", read))


def checkpoint_notes(folder: Path) -> Reader:
    """What lies beside a checkpoint: its yaml, and what suits it."""

    def read(path: Path) -> None:
        from lib_copier.checkpoint import facts_of
        from lib_copier.recipe.suggested import suggested_values

        _write(folder / "x.safetensors", seeds.checkpoint())
        (folder / "x.yaml").write_bytes(path.read_bytes())
        suggested_values(facts_of(folder / "x.safetensors"))

    ways = (changes.json_tree, changes.text)
    return Reader("checkpoint notes", [seeds.suggested()], ways, _written(folder, "x.copier-lora.json", read))


def pickled(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.checkpoint import known_facts
        from lib_copier.lora.source import open_checkpoint

        known_facts(path)
        file = open_checkpoint(path)
        for name in list(file.header.tensors)[:4]:
            file.read(name)
        file.close()

    ways = (changes.scratches, changes.zip_members, changes.cut)
    return Reader("pickled checkpoint", seeds.pickles(), ways, _written(folder, "x.ckpt", read))


def picture(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.image.files import picture_size, read_picture

        assert picture_size(path) == read_picture(path).image.size

    ways = (changes.png_chunks, changes.scratches, changes.cut)
    return Reader("picture", seeds.pictures(), ways, _written(folder, "x.png", read))


def recipe(folder: Path) -> Reader:
    def read(data: bytes) -> None:
        from lib_copier.recipe.document import from_document, to_document

        found = from_document(parse_json(data, "the recipe"))
        json.dumps(to_document(found), allow_nan=False)

    return Reader("recipe", [seeds.recipe()], (changes.json_tree, changes.scratches), read)


def project(folder: Path) -> Reader:
    """`project.json` in a project's folder, down to its list of steps."""

    def read(path: Path) -> None:
        from lib_copier.steps.project import Project

        found = Project.open(path.parent)
        found.faults()
        found.status()

    ways = (changes.json_tree, changes.scratches, changes.cut)
    return Reader("project", [seeds.recipe()], ways, _written(folder / "lines", "project.json", read))


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
    return Reader("lora's recipe", [seeds.published()], ways, _written(folder, "x.safetensors", read))


def records(folder: Path) -> Reader:
    """What a project keeps beside its recipe: a manifest, the note of a run, digests, a failure."""

    def read(data: bytes) -> None:
        from lib_copier.steps.project import Project

        for name in ("artifacts/0/manifest.json", "running.json", "digests.json", "work/0/failure.json"):
            _write(folder / "lines" / name, data)
        (folder / "lines" / "project.json").write_bytes(seeds.recipe())
        found = Project.open(folder / "lines")
        found.status()
        found.running()
        found.unused()

    return Reader("records", seeds.records(), (changes.json_tree, changes.scratches, changes.cut), read)


def queue(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.graph.queue import Queue

        found = Queue(folder)
        for job in found.jobs():
            found.find(job.key)
        Queue(folder).job("1")

    ways = (changes.json_tree, changes.scratches, changes.cut)
    return Reader("queue", [seeds.job()], ways, _written(folder / "jobs", "1.json", read))


def events(folder: Path) -> Reader:
    """A run's events, as the page and the terminal read them, and lines of a child."""

    def read(path: Path) -> None:
        from lib_copier import events as lines
        from lib_copier.app.progress import sentence_of, tail_of
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
    return Reader("events", [seeds.events()], ways, _written(folder, "x.jsonl", read))


def train_config(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.train.config import read_config

        read_config(path)

    ways = (changes.json_tree, changes.scratches)
    return Reader("train config", [seeds.train_config()], ways, _written(folder, "x.json", read))


def measure_job(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.measure.__main__ import checked_job

        checked_job(path)

    ways = (changes.json_tree, changes.scratches)
    return Reader("measure job", [seeds.measure_job()], ways, _written(folder, "job.json", read))


def picture_job(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.image.__main__ import KINDS
        from lib_copier.image.effects import read_chain
        from lib_copier.job import read_job

        read_chain(read_job(path, KINDS).get("chain", []))

    ways = (changes.json_tree, changes.scratches)
    return Reader("picture job", [seeds.picture_job()], ways, _written(folder, "job.json", read))


def requests(folder: Path) -> Reader:
    """Picture requests, as the generator's worker takes them."""

    def read(data: bytes) -> None:
        seeds.read_requests(parse_json(data, "the requests"))

    return Reader("picture requests", [seeds.requests()], (changes.json_tree,), read)


def settings(folder: Path) -> Reader:
    """``KEY=VALUE`` as `run.py set` takes it, for every option in turn."""

    def read(path: Path) -> None:
        from lib_copier.steps.project import Project

        key, _, value = path.read_bytes().decode("utf-8", "replace").partition("=")
        (path.parent / "project.json").write_bytes(seeds.recipe())
        Project.open(path.parent).set({key: value})

    def value_only(data: bytes, random: Random) -> bytes:
        key, _, value = data.partition(b"=")
        return key + b"=" + changes.text(value, random)

    for name, content in (("pictures/a.png", seeds.pictures()[0]), ("pictures/b.png", seeds.pictures()[1])):
        _write(folder / "lines" / name, content)
    _write(folder / "lines" / "loras" / "a.safetensors", seeds.published())
    ways = (value_only, value_only, value_only, changes.text)
    return Reader("settings", seeds.settings(), ways, _written(folder / "lines", "typed", read))


def prompts(folder: Path) -> Reader:
    def read(data: bytes) -> None:
        seeds.read_prompt(data.decode("utf-8", "replace"))

    return Reader("prompts", seeds.prompts(), (changes.text,), read)


def captions(folder: Path) -> Reader:
    """A folder of pictures with a caption file."""

    def read(path: Path) -> None:
        from lib_copier.steps.folder import pictures_in

        (path.parent / "a.png").write_bytes(seeds.pictures()[0])
        pictures_in(path.parent)

    ways = (changes.text, changes.scratches)
    return Reader("captions", [b"a house, (a tree:1.2)\n"], ways, _written(folder, "a.txt", read))


def tags(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.caption.tagger import read_tags

        read_tags(path)

    ways = (changes.text, changes.scratches, changes.cut)
    return Reader("tag list", [seeds.tags()], ways, _written(folder, "tags.csv", read))


def page(folder: Path) -> Reader:
    """Requests of a browser, each to a page with one project."""
    pristine, data = folder / "pristine", folder / "data"
    door: list[Any] = []

    def read(request: bytes) -> None:
        if not door:
            door.append(seeds.make_door(data, pristine))
        shutil.rmtree(data / "projects")
        shutil.copytree(pristine, data / "projects")
        json.loads(door[0].answer(request.decode("utf-8", "replace")))

    return Reader(
        "page", seeds.page_requests(), (changes.json_tree, changes.json_tree, changes.scratches), read
    )


WEIGHTS = {
    "lora": 4,
    "peft folder": 2,
    "checkpoint": 1,
    "checkpoint notes": 1,
    "pickled checkpoint": 3,
    "picture": 5,
    "recipe": 3,
    "project": 2,
    "lora's recipe": 2,
    "records": 2,
    "queue": 2,
    "events": 2,
    "train config": 2,
    "measure job": 1,
    "picture job": 1,
    "picture requests": 2,
    "settings": 3,
    "prompts": 2,
    "captions": 1,
    "tag list": 1,
    "page": 3,
}
"""Each reader's share of the inputs: more where files come from strangers, less where an input is slow."""

_MAKERS = (
    *(
        lora,
        peft_folder,
        checkpoint,
        checkpoint_notes,
        pickled,
        picture,
        recipe,
        project,
        lora_recipe,
        records,
        queue,
        events,
    ),
    *(train_config, measure_job, picture_job, requests, settings, prompts, captions, tags, page),
)
READERS: dict[str, Callable[[Path], Reader]] = dict(zip(WEIGHTS, _MAKERS, strict=True))
