"""Every reader that is fuzzed, by its name, with its share of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import fuzz_changes as changes
from benchmarks import fuzz_files as files
from benchmarks import fuzz_projects as projects
from benchmarks import fuzz_texts as texts
from benchmarks.fuzz_reader import Reader, write_file, written
from lib_copier.files.disk import parse_json


def lora(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.lora.file import read_adapter, read_lora
        from lib_copier.lora.inspect import describe_lora, find_all_faults
        from lib_copier.lora.metadata import combined_metadata, resized_metadata

        find_all_faults(path)
        read_adapter(path)
        found = read_lora(path)
        describe_lora(found)
        combined_metadata([found], path)
        resized_metadata(found, path, "")

    ways = (changes.safetensors, changes.metadata, changes.scratches, changes.cut)
    return Reader("lora", files.loras(), ways, written(folder, "x.safetensors", read))


def peft_folder(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.lora.file import read_lora

        (path.parent / "adapter_model.safetensors").write_bytes(files.peft_lora())
        read_lora(path.parent / "adapter_model.safetensors")

    ways = (changes.json_tree, changes.cut)
    return Reader("peft folder", [texts.peft_config()], ways, written(folder, "adapter_config.json", read))


def checkpoint(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.lora.inspect import describe_checkpoint
        from lib_copier.model_file.checkpoint import known_facts
        from lib_copier.model_file.header import read_header
        from lib_copier.models.checkpoint import load_checkpoint

        known_facts(path)
        describe_checkpoint(read_header(path), path)
        load_checkpoint(path, parts=())

    ways = (changes.safetensors, changes.scratches, changes.cut)
    return Reader("checkpoint", [files.checkpoint()], ways, written(folder, "x.safetensors", read))


def checkpoint_notes(folder: Path) -> Reader:
    """What lies beside a checkpoint: its yaml, and what suits it."""

    def read(path: Path) -> None:
        from lib_copier.model_file.checkpoint import facts_of
        from lib_copier.recipe.suggested import suggested_values

        write_file(folder / "x.safetensors", files.checkpoint())
        (folder / "x.yaml").write_bytes(path.read_bytes())
        suggested_values(facts_of(folder / "x.safetensors"))

    ways = (changes.json_tree, changes.text)
    return Reader("checkpoint notes", [texts.suggested()], ways, written(folder, "x.copier-lora.json", read))


def pickled(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.lora.source import open_checkpoint
        from lib_copier.model_file.checkpoint import known_facts

        known_facts(path)
        file = open_checkpoint(path)
        for name in list(file.header.tensors)[:4]:
            file.read(name)
        file.close()

    ways = (changes.scratches, changes.zip_members, changes.cut)
    return Reader("pickled checkpoint", files.pickles(), ways, written(folder, "x.ckpt", read))


def picture(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.image.files import picture_size, read_picture

        assert picture_size(path) == read_picture(path).image.size

    ways = (changes.png_chunks, changes.scratches, changes.cut)
    return Reader("picture", files.pictures(), ways, written(folder, "x.png", read))


def train_config(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.train.config import read_config

        read_config(path)

    ways = (changes.json_tree, changes.scratches)
    return Reader("train config", [texts.train_config()], ways, written(folder, "x.json", read))


def measure_job(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.measure.__main__ import checked_job

        checked_job(path)

    ways = (changes.json_tree, changes.scratches)
    return Reader("measure job", [texts.measure_job()], ways, written(folder, "job.json", read))


def picture_job(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.border.job import read_job
        from lib_copier.image.__main__ import KINDS
        from lib_copier.image.effects import read_chain

        read_chain(read_job(path, KINDS).get("chain", []))

    ways = (changes.json_tree, changes.scratches)
    return Reader("picture job", [texts.picture_job()], ways, written(folder, "job.json", read))


def requests(folder: Path) -> Reader:
    """Picture requests, as the generator's worker takes them."""

    def read(data: bytes) -> None:
        texts.read_requests(parse_json(data, "the requests"))

    return Reader("picture requests", [texts.requests()], (changes.json_tree,), read)


def prompts(folder: Path) -> Reader:
    def read(data: bytes) -> None:
        texts.read_prompt(data.decode("utf-8", "replace"))

    return Reader("prompts", texts.prompts(), (changes.text,), read)


def captions(folder: Path) -> Reader:
    """A folder of pictures with a caption file."""

    def read(path: Path) -> None:
        from lib_copier.steps.folder import pictures_in

        (path.parent / "a.png").write_bytes(files.pictures()[0])
        pictures_in(path.parent)

    ways = (changes.text, changes.scratches)
    return Reader("captions", [b"a house, (a tree:1.2)\n"], ways, written(folder, "a.txt", read))


def tags(folder: Path) -> Reader:
    def read(path: Path) -> None:
        from lib_copier.caption.tagger import read_tags

        read_tags(path)

    ways = (changes.text, changes.scratches, changes.cut)
    return Reader("tag list", [texts.tags()], ways, written(folder, "tags.csv", read))


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
    lora,
    peft_folder,
    checkpoint,
    checkpoint_notes,
    pickled,
    picture,
    projects.recipe,
    projects.project,
    projects.lora_recipe,
    projects.records,
    projects.queue,
    projects.events,
    train_config,
    measure_job,
    picture_job,
    requests,
    projects.settings,
    prompts,
    captions,
    tags,
    projects.page,
)
READERS: dict[str, Callable[[Path], Reader]] = dict(zip(WEIGHTS, _MAKERS, strict=True))
