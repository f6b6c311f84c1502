"""Looking at a project, whatever its records hold: an answer, or one error of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lib_copier.errors import CopierError, InputError
from lib_copier.steps.project import Project

BROKEN = (b"", b"[]", b"{", b"[" * 100_000, b"\xff\xfe{")
BROKEN += (b'{"a": ' + b"9" * 400 + b"}", b'{"\\ud800": "\\udfff"}')
OTHERS: tuple[Any, ...] = (None, True, -1, 10**19, 1e300, "../../x", "\x00", [], [[]], {}, {"x": {}})


def altered(value: Any) -> Iterator[Any]:
    """The value with each of its parts in turn replaced by what does not belong there, or taken out."""
    yield from OTHERS
    if isinstance(value, dict):
        for name, part in value.items():
            yield {key: one for key, one in value.items() if key != name}
            yield from ({**value, name: other} for other in altered(part))
    elif isinstance(value, list):
        for number, part in enumerate(value[:2]):
            yield from ([*value[:number], other, *value[number + 1 :]] for other in altered(part))


def look(folder: Path) -> None:
    """All that a page or a command asks of a project; only our errors may leave it."""
    with suppress(CopierError):
        project = Project.open(folder)
        project.faults()
        for status in project.status():
            json.dumps(status.to_json())
            project.scratch(status.id)
            if status.key:
                project.store.failure(status.key)
        events, offset = project.events()
        assert all(isinstance(event["event"], str) for event in events) and offset >= 0
        project.unused()


@pytest.fixture
def made(project) -> Project:
    found = project()
    found.run(until=["origin/one"])
    (manifest,) = found.store.manifests()
    failure = {"what": "no", "advice": "", "step": "origin/one", "last_lines": []}
    found.store.note_failure(manifest[0], failure)
    (found.folder / "lock" / "control.json").write_text('{"stop": "save"}')
    (found.folder / "lock" / "running.json").write_text(
        json.dumps({"runner": {"pid": 1, "created": 1.0, "host": "x"}, "steps": [{"step": "a", "key": "b"}]})
    )
    return found


RECORDS = ["project.json", "digests.json", "lock/running.json", "lock/control.json"]
RECORDS += ["artifacts/*/manifest.json", "work/*/failure.json", "log/*.jsonl"]


@pytest.mark.parametrize("record", RECORDS)
def test_no_record_keeps_a_project_from_being_looked_at(made, record):
    (path,) = made.folder.glob(record)
    raw = path.read_bytes()
    whole = json.loads(raw.splitlines()[1] if path.suffix == ".jsonl" else raw)
    for content in BROKEN:
        path.write_bytes(content)
        look(made.folder)
    every = list(altered(whole))
    for other in every[:: len(every) // 150 + 1]:
        path.write_text(json.dumps(other) + "\n", encoding="utf-8")
        look(made.folder)
    path.write_bytes(raw)
    assert Project.open(made.folder).step_status("origin/one").state in {"done", "failed"}


def test_a_manifest_that_names_a_file_elsewhere_gives_none_out(made, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (path,) = made.folder.glob("artifacts/*/manifest.json")
    manifest = json.loads(path.read_text())
    entry = manifest["files"].pop("picture.png")
    manifest["files"]["../../../secret"] = entry
    path.write_text(json.dumps(manifest))
    assert made.artifact("origin/one") is None
    assert made.store.manifests() == []


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_recipe_is_told_with_its_place(made, content):
    (made.folder / "project.json").write_bytes(content)
    with pytest.raises(InputError, match=r"slider") as caught:
        Project.open(made.folder)
    assert caught.value.advice


def test_runs_stand_in_the_order_in_which_they_began_also_within_a_second(project):
    made = project()
    began = [made.run(["caption/one"]).run for _ in range(8)]
    assert made.runs() == tuple(began)


def test_a_record_tells_on_what_it_was_made_and_no_key_does(made):
    status = made.step_status("origin/one")
    assert status.to_json()["device"] == "CPU"
    (path,) = made.folder.glob("artifacts/*/manifest.json")
    manifest = json.loads(path.read_text())
    # One that an earlier version wrote.
    del manifest["device"]
    path.write_text(json.dumps(manifest))
    assert made.step_status("origin/one").to_json() == {**status.to_json(), "device": None}
