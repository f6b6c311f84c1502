"""Events that tear, locks that go stale, digests that remember, requests to stop."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path

import psutil
import pytest

from lib_copier.graph import digest as digest_module
from lib_copier.graph.digest import FileDigests, sha256_of
from lib_copier.graph.events import EventLog, read_events
from lib_copier.graph.lock import held, holder, identity, living, this_process
from lib_copier.graph.running import ask_to_stop, wanted_stop, withdraw
from lib_copier.lock import HeldError


def test_events_are_read_on_from_an_offset(tmp_path) -> None:
    heard: list[dict] = []
    log = EventLog(tmp_path / "log" / "run.jsonl", heard.append)
    log.add("run_started", steps=["a"])
    events, offset = read_events(log.path)
    log.add("step_done", id="a")
    more, end = read_events(log.path, offset)
    assert (
        [one["event"] for one in events + more] == ["run_started", "step_done"] == [e["event"] for e in heard]
    )
    assert read_events(log.path, end) == ([], end)
    assert read_events(tmp_path / "none", 5) == ([], 5)


def test_torn_lines_are_passed_over(tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"event": "a"}\n{"event": "b", "x')
    events, offset = read_events(path)
    assert [one["event"] for one in events] == ["a"] and offset == 15
    EventLog(path).add("c")
    assert [one["event"] for one in read_events(path)[0]] == ["a", "c"]
    path.write_bytes(b'\xff\xfe\n[1]\n{"event": 5}\n{"event": "d"}\n')
    assert [one["event"] for one in read_events(path)[0]] == ["d"]


def test_progress_is_thinned_but_its_end_is_told(tmp_path) -> None:
    log = EventLog(tmp_path / "run.jsonl")
    for step in range(1, 1001):
        log.add("progress", id="a", step=step, total=1000)
    steps = [one["step"] for one in read_events(log.path)[0]]
    assert steps[0] == 1 and steps[-1] == 1000 and len(steps) < 100


def test_a_held_lock_says_by_whom(tmp_path) -> None:
    path = tmp_path / "a.lock"
    with held(path, "The project x"):
        with (
            pytest.raises(HeldError, match=f"The project x is in use by process {os.getpid()} on "),
            held(path, "The project x"),
        ):
            pass
        assert holder(path)["pid"] == os.getpid()
    assert holder(path) is None
    with held(path, "again"):
        pass


def _hold(path: Path, ready) -> None:
    with held(path, "it"):
        ready.set()
        time.sleep(60)


def test_the_lock_of_a_killed_holder_is_taken_over(tmp_path) -> None:
    path = tmp_path / "a.lock"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(path, ready))
    process.start()
    assert ready.wait(30)
    with pytest.raises(HeldError, match=f"process {process.pid}"), held(path, "it"):
        pass
    process.kill()
    process.join()
    assert holder(path) is None, "the note of a dead process means nothing"
    with held(path, "it"):
        assert holder(path)["pid"] == os.getpid()


def test_a_number_given_away_again_is_another_process() -> None:
    me = this_process()
    assert living(me).pid == os.getpid()
    assert living({**me, "created": me["created"] - 100}) is None
    assert living({**me, "host": "elsewhere"}) is None
    assert living({"pid": "x"}) is None and living(None) is None
    with pytest.raises(psutil.NoSuchProcess):
        identity(2**22 + 1)


def test_digests_are_remembered_until_the_file_changes(tmp_path, monkeypatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    memory = tmp_path / "project" / "digests.json"
    digests = FileDigests(memory, tmp_path / "project")
    first = digests.sha256(file)
    assert not memory.exists(), "written once a look, not once a file"
    digests.save()
    counted: list[Path] = []
    monkeypatch.setattr(digest_module, "sha256_of", lambda path: counted.append(path) or sha256_of(path))
    again = FileDigests(memory, tmp_path / "project")
    assert again.sha256(file) == first and not counted
    file.write_bytes(b"two!")
    assert again.sha256(file) != first and counted == [file]
    assert str(tmp_path) not in memory.read_text(), "no folder of the machine is told"
    memory.write_text("{broken")
    assert FileDigests(memory, tmp_path).sha256(file) == sha256_of(file)


def test_a_folder_s_digest_covers_names_and_contents(tmp_path) -> None:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    digests = FileDigests(tmp_path / "digests.json", tmp_path)
    seen = {digests.sha256(folder)}
    (folder / "sub" / "b").write_text("2")
    seen.add(digests.sha256(folder))
    (folder / "a").rename(folder / "c")
    seen.add(digests.sha256(folder))
    assert len(seen) == 3


def test_requests_to_stop(tmp_path) -> None:
    control = tmp_path / "x" / "control.json"
    assert wanted_stop(control) == ""
    ask_to_stop(control, "save")
    assert wanted_stop(control) == "save"
    for junk in ("", "{", "[]", '{"stop": "now"}', json.dumps({"stop": None})):
        control.write_text(junk)
        assert wanted_stop(control) == ""
    withdraw(control)
    withdraw(control)
