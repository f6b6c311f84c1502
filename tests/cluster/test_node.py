"""A slot without Ray around it: takes a step, does it, gives out what it made, and leaves nothing."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib_copier.cluster.node import Slot
from lib_copier.cluster.parcel import FileNote, InputNote, Parcel
from lib_copier.engines.task import Command
from lib_copier.engines.tree import find_marked
from lib_copier.graph.step import Step, StepInput, Workplace
from tests.graph.conftest import TEXT, child


@pytest.fixture
def slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COPIER_LORA_NODE", str(tmp_path / "node"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = Slot(False)
    yield found
    found.do_end()
    found._workers.close()
    found._warden.stdin.close()
    assert wait_for(lambda: not list((tmp_path / "node" / "jobs").iterdir())), "the warden clears up"


def wait_for(what: Any, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(what())


def value(answer: dict[str, Any]) -> Any:
    assert "error" not in answer, answer
    return answer["value"]


def parcel(*contents: tuple[str, bytes], action: Any = child, ticks: int = 0, **more: Any) -> Parcel:
    files = [
        FileNote(hashlib.sha256(text).hexdigest(), len(text), name, f"/away/{name}")
        for name, text in contents
    ]
    inputs = tuple(StepInput("text", path=note.path) for note in files)
    params = (("word", "end"), ("ticks", ticks))
    step = Step("a", "a", action, inputs, params, TEXT, **more)
    return Parcel(step, "a-key", tuple(InputNote(note.path, (("", note),)) for note in files), {})


def bring(slot: Slot, wanted: Parcel, *contents: bytes) -> None:
    notes = [note for given in wanted.inputs for _, note in given.files]
    missing = value(slot.ask("lacks", notes))
    for note, content in zip(notes, contents, strict=True):
        if note.digest in missing:
            value(slot.ask("put", note, 0, content))
            value(slot.ask("seal", note))
    assert value(slot.ask("lacks", notes)) == []


def end_of(slot: Slot) -> dict[str, Any]:
    heard: list[dict[str, Any]] = []
    while True:
        news = value(slot.ask("hear", 0))
        heard += news["events"]
        if news["ended"]:
            return {**news["ended"], "heard": heard, "log": news["log"]}


def test_a_step_from_its_inputs_to_its_outputs(slot, tmp_path) -> None:
    wanted = parcel(("x.txt", b"one"), ("y.txt", b"two"), ticks=2)
    bring(slot, wanted, b"one", b"two")
    value(slot.ask("begin", wanted, ""))
    ended = end_of(slot)
    ((name, size, digest),) = ended["files"]
    assert (name, size, digest) == ("text.txt", 11, hashlib.sha256(b"one+two+end").hexdigest())
    assert (
        ended["small"] == {"text.txt": b"one+two+end"}
        and value(slot.ask("fetch", "text.txt", 4)) == b"two+end"
    )
    assert ended["result"] == {"ok": True} and not ended["was_stopped"]
    assert [event["event"] for event in ended["heard"]] == ["progress"] * len(ended["heard"])
    assert b"$ " in ended["log"]
    value(slot.ask("end"))
    assert not list((tmp_path / "node").glob("jobs/*/*/work"))


def sample(place: Workplace) -> Command:
    """Prints a picture underway, and names its input and its output in its result."""
    code = (
        "import json, sys, pathlib\n"
        "picture = pathlib.Path(sys.argv[2]) / 'samples' / '1.png'\n"
        "picture.parent.mkdir()\n"
        "picture.write_bytes(b'picture')\n"
        "print(json.dumps({'event': 'sample', 'path': str(picture), 'step': 1}))\n"
        "open(sys.argv[1], 'w').write('made')\n"
        "print(json.dumps({'event': 'done', 'read': sys.argv[3], 'made': sys.argv[1]}))"
    )
    import sys

    words = (str(place.out / "text.txt"), str(place.scratch), str(place.path("text")))
    return Command((sys.executable, "-S", "-c", code, *words))


def loud(place: Workplace, result: Any) -> None:
    (place.out / "text.txt").write_text((place.out / "text.txt").read_text().upper())


def test_paths_come_back_as_those_of_the_other_machine_and_samples_as_they_are(slot) -> None:
    wanted = parcel(("x.txt", b"one"), action=sample, finish=loud)
    bring(slot, wanted, b"one")
    value(slot.ask("begin", wanted, ""))
    ended = end_of(slot)
    assert ended["result"] == {"read": "/away/x.txt", "made": "text.txt"}
    (event,) = ended["heard"]
    assert event == {"event": "sample", "path": "samples/1.png", "step": 1, "content": b"picture"}
    assert ended["small"] == {"text.txt": b"MADE"}, "what the step does to its outputs is done here"


def test_a_folder_is_laid_out_under_its_name(slot) -> None:
    def read(place: Workplace) -> Command:
        (folder,) = place.paths("text")
        assert (folder.name, (folder / "deep" / "b.txt").read_text()) == ("pictures", "two")
        return child(replace(place, inputs=()))

    wanted = parcel(("b.txt", b"two"), action=read)
    bring(slot, wanted, b"two")
    (given,) = wanted.inputs
    as_folder = InputNote("/away/pictures", (("deep/b.txt", given.files[0][1]),), "pictures")
    value(slot.ask("begin", replace(wanted, inputs=(as_folder,)), ""))
    assert end_of(slot)["small"] == {"text.txt": b"end"}


def test_discarding_ends_the_child(slot) -> None:
    value(slot.ask("begin", parcel(ticks=3000), ""))
    assert wait_for(lambda: find_marked(slot._token))
    value(slot.ask("stop", "discard"))
    assert end_of(slot)["error"]["kind"] == "CancelledError"
    assert not find_marked(slot._token)


def test_a_slot_that_gets_another_step_has_left_the_first(slot) -> None:
    value(slot.ask("begin", parcel(ticks=3000), ""))
    assert wait_for(lambda: find_marked(slot._token))
    value(slot.ask("begin", parcel(ticks=0), ""))
    assert end_of(slot)["small"] == {"text.txt": b"end"}


def unexpected(place: Workplace) -> Command:
    raise ZeroDivisionError("by zero")


def test_errors_come_as_words(slot) -> None:
    assert "it runs no step" in slot.ask("hear", 0)["error"]["what"]
    assert "another one than here" in slot.ask("begin", parcel(engine="embedded"), "0")["error"]["what"]
    value(slot.ask("begin", parcel(action=unexpected), ""))
    assert end_of(slot)["error"]["what"] == "ZeroDivisionError: by zero."
    missing = slot.ask("begin", parcel(("x.txt", b"never sent")), "")
    assert "x.txt is no longer in its cache" in missing["error"]["what"]


def test_without_a_gpu_of_its_own_it_sees_none(slot) -> None:
    import os

    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_what_a_fallen_node_left_is_settled_by_the_next(slot, tmp_path) -> None:
    left = tmp_path / "node" / "jobs" / "dead" / "a-key"
    left.mkdir(parents=True)
    orphan = psutil.Popen(["sleep", "600"], env={"COPIER_LORA_TOKEN": "dead"})
    other = Slot(False)
    assert not left.parent.exists() and not orphan.is_running()
    assert slot._jobs.exists(), "one that lives is left alone"
    other._warden.stdin.close()
