"""Running chains: order, skipping, broken artifacts, crashes at any moment, two runners at once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lib_copier.engines.tree import find_marked
from lib_copier.engines.workers import Workers
from lib_copier.errors import CancelledError, InputError
from lib_copier.graph import store
from lib_copier.graph.executor import Local
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.running import running
from lib_copier.graph.step import Plan
from lib_copier.graph.store import Store
from tests.graph.conftest import TEXT, child, make, step, texts

ROOT = Path(__file__).resolve().parents[2]


def test_steps_run_in_order_and_only_once(run) -> None:
    steps = (step("a"), step("b", "a", action=child), step("c", "a", "b"))
    first = run(*steps)
    assert first.run().made == ("a", "b", "c")
    assert texts(first)["c"] == "a+a+b+c"
    assert run(*steps).run().made == ()


def test_equal_bytes_upstream_stop_the_rerun_early(run) -> None:
    run(step("a", noise=1), step("b", "a")).run()
    # Another parameter, the same text: what follows has nothing new to read.
    assert run(step("a", noise=2), step("b", "a")).run().made == ("a",)


def test_a_new_engine_version_makes_it_anew(run) -> None:
    steps = (replace(step("a"), engine="e"), step("b"))
    run(*steps).run()
    again = run(*steps, engine_version="2")
    assert again.run().made == ("a",)


def test_forcing_replaces_one_artifact(run, tmp_path) -> None:
    steps = (step("a"), step("b", "a"))
    run(*steps).run()
    assert run(*steps).run(force=["a"]).made == ("a",)
    assert not list((tmp_path / "artifacts").glob(".old-*"))


def test_a_full_disk_is_told_and_nothing_is_lost(run, monkeypatch) -> None:
    steps = (step("a"), step("b", "a"))
    run(steps[0]).run()

    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(store, "flush_file", full)
    with pytest.raises(OSError, match="No space"):
        run(*steps).run()
    monkeypatch.undo()
    assert run(*steps).run().made == ("b",)


SCRIPT = """
import sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from lib_copier.graph.executor import Local
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.step import Plan
from lib_copier.graph.store import Store
from tests.graph.conftest import child, step, texts
slow = {{"action": child, "ticks": 8}}
steps = (step("a"), step("b", "a", **slow), step("c", "a", **slow), step("d", "b", "c"))
folder, at_once = Path(sys.argv[1]), int(sys.argv[2])
Runner(Plan(steps), Store(folder), Folders(folder), lambda name: "1", executor=Local(at_once=at_once)).run()
"""


def start(folder: Path, at_once: int = 1) -> subprocess.Popen[bytes]:
    code = SCRIPT.format(root=str(ROOT))
    words = [sys.executable, "-c", code, str(folder), str(at_once)]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL)


def result(folder: Path) -> bytes:
    (key,) = [key for key, manifest in Store(folder).manifests() if manifest["step"] == "d"]
    return (folder / "artifacts" / key / "text.txt").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
@pytest.mark.parametrize("at_once", [1, 2])
def test_kill_9_at_random_moments_changes_no_byte(tmp_path, at_once) -> None:
    calm = tmp_path / "calm"
    calm.mkdir()
    began = time.monotonic()
    assert start(calm).wait() == 0
    whole = time.monotonic() - began
    moments = random.Random(7)
    folder, chains = tmp_path / "0", [tmp_path / "0"]
    folder.mkdir()
    for round_number in range(8):
        runner = start(folder, at_once)
        if round_number % 2:
            target = _first_child(runner) or runner
            time.sleep(moments.uniform(0.0, 0.2))
        else:
            target = runner
            time.sleep(moments.uniform(0.3, 1.0) * whole)
        with suppress(psutil.NoSuchProcess):
            target.kill()
        # There is nothing left to kill in a chain that is done.
        if runner.wait(20) == 0:
            folder = tmp_path / str(len(chains))
            folder.mkdir()
            chains.append(folder)
    for folder in chains:
        assert start(folder, at_once).wait(60) == 0
        assert result(folder) == result(calm)
        assert not list((folder / "work").iterdir())


def _first_child(runner: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The first child that a runner has; None where it ends without any."""
    while runner.poll() is None:
        with suppress(psutil.NoSuchProcess):
            if children := psutil.Process(runner.pid).children():
                return children[0]
        time.sleep(0.01)
    return None


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_an_orphan_of_a_dead_runner_is_ended_by_the_next(tmp_path) -> None:
    code = SCRIPT.format(root=str(ROOT)).replace('"ticks": 8', '"ticks": 2000')
    runner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), "1"])
    note = Folders(tmp_path).running
    end = time.monotonic() + 20
    while not (note.exists() and json.loads(note.read_text())["steps"][0].get("child")):
        assert time.monotonic() < end
        time.sleep(0.02)
    orphan = psutil.Process(json.loads(note.read_text())["steps"][0]["child"]["pid"])
    runner.kill()
    runner.wait()
    Runner(Plan((step("a"),)), Store(tmp_path), Folders(tmp_path), lambda name: "1").run()
    _gone, alive = psutil.wait_procs([orphan], timeout=10)
    assert not alive


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM is POSIX")
def test_sigterm_ends_the_child_and_is_told_by_the_exit_code(tmp_path) -> None:
    code = SCRIPT.format(root=str(ROOT)).replace('"ticks": 8', '"ticks": 2000')
    run_line = code.strip().splitlines()[-1]
    code = code.replace(run_line, "from lib_copier import edge\nedge.end_with_children()\n") + (
        f"raise SystemExit(edge.guard(lambda argv: {run_line}, []))"
    )
    runner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), "1"])
    note = Folders(tmp_path).running
    end = time.monotonic() + 20
    while not (note.exists() and json.loads(note.read_text())["steps"][0].get("child")):
        assert time.monotonic() < end
        time.sleep(0.02)
    child = psutil.Process(json.loads(note.read_text())["steps"][0]["child"]["pid"])
    runner.terminate()
    assert runner.wait(20) == 143
    assert not child.is_running()


def test_asked_to_stop_before_a_step_it_does_not_begin(run) -> None:
    runner = run(step("a"), should_stop=lambda: "discard")
    with pytest.raises(CancelledError):
        runner.run()
    assert TEXT and not texts(runner)


@pytest.mark.parametrize("at_once", [2, 4])
def test_steps_side_by_side_make_the_same(tmp_path, at_once) -> None:
    steps = (
        step("a", action=child, ticks=5),
        step("b", action=child, ticks=5),
        step("twin/1", "a", word="t", action=child, ticks=5),
        step("twin/2", "a", word="t", action=child, ticks=5),
        step("c", "a", "b"),
        step("d", "c", "twin/1", "twin/2", action=child),
    )
    alone, beside = (make(tmp_path / name, *steps, at_once=n) for name, n in (("x", 1), ("y", at_once)))
    # Equal steps are made once, whatever their names.
    assert [len(one.run().made) for one in (alone, beside)] == [5, 5]
    assert texts(alone) == texts(beside)
    assert not running(beside.folders.running)
    assert make(tmp_path / "y", *steps, at_once=at_once).run().made == ()


def test_what_runs_side_by_side_is_told_and_overlaps(run, tmp_path) -> None:
    seen = []
    folders = Folders(tmp_path)
    runner = run(
        *(step(name, action=child, ticks=40) for name in "ab"),
        step("c", "a", "b"),
        at_once=2,
        listener=lambda event: seen.append((event["event"], event.get("id"), running(folders.running))),
    )
    runner.run()
    order = [(kind, name) for kind, name, _ in seen if kind in {"step_started", "step_done"}]
    assert {kind for kind, _ in order[:2]} == {"step_started"}, "both began before one ended"
    assert ("a", "b") in {tuple(sorted(found.steps)) for _, _, found in seen if found}
    assert order[-2:] == [("step_started", "c"), ("step_done", "c")]


def test_a_step_that_can_runs_on_the_processor_beside_the_one_that_has_the_device(run, monkeypatch) -> None:
    workers, both, sees_no_gpu = Workers(), threading.Barrier(2, timeout=20), []
    really = workers.run

    def together(command, watch):
        if command.argv[-2] != "origin":
            both.wait()  # Each goes on only while the other is there.
        if ("CUDA_VISIBLE_DEVICES", "") in command.env:
            sees_no_gpu.append(command.argv[-2])
        return really(command, watch)

    monkeypatch.setattr(workers, "run", together)
    runner = run(
        step("origin", action=child),
        step("long", action=child),
        step("other", action=child),
        replace(step("light", "origin", action=child), beside=(("word", "aside"),)),
        replace(step("again", "origin", action=child), beside=(("word", "aside, too"),)),
        executor=Local(workers, beside=1),
    )
    assert set(runner.run().made) == {"origin", "long", "other", "light", "again"}
    assert sees_no_gpu == ["origin+aside", "origin+aside, too"]
    assert texts(runner)["light"] == "origin+aside"


def test_a_failure_lets_the_step_beside_it_end(run) -> None:
    def fail(place):
        raise InputError("No luck.", "Try again.")

    runner = run(step("bad", action=fail), step("good", action=child, ticks=10), at_once=2)
    with pytest.raises(InputError, match="No luck"):
        runner.run()
    again = run(step("good", action=child, ticks=10))
    assert again.run().made == ()


def test_a_stop_ends_all_that_run_side_by_side(run) -> None:
    asked = threading.Event()
    runner = run(
        *(step(name, action=child, ticks=3000) for name in "ab"),
        at_once=2,
        should_stop=lambda: "discard" if asked.is_set() else "",
        listener=lambda event: asked.set() if event["event"] == "progress" else None,
    )
    began = time.monotonic()
    with pytest.raises(CancelledError):
        runner.run()
    assert time.monotonic() - began < 20
    assert not find_marked(runner._running.token)


def test_ctrl_c_ends_all_that_run_side_by_side(run, monkeypatch) -> None:
    from lib_copier.graph import runner as module

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "wait", interrupted)
    runner = run(*(step(name, action=child, ticks=3000) for name in "ab"), at_once=2)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    assert not find_marked(runner._running.token)
