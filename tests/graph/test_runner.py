"""Running chains: order, skipping, broken artifacts, crashes at any moment, two runners at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lib_copier import disk
from lib_copier.engines.task import Command
from lib_copier.engines.tree import find_marked
from lib_copier.errors import CancelledError, ChildError, InputError
from lib_copier.graph import store
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.running import running
from lib_copier.graph.status import DONE, STALE, Inspector
from lib_copier.graph.step import Output, Plan, Step, StepInput
from lib_copier.graph.store import Store
from tests.graph.conftest import TEXT, child, make, step

ROOT = Path(__file__).resolve().parents[2]


def texts(runner) -> dict[str, str]:
    found = {status: runner._statuses[status].artifact for status in runner._statuses}
    return {name: artifact.file("text.txt").read_text() for name, artifact in found.items() if artifact}


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


@pytest.mark.parametrize(
    ("output", "content", "fault"),
    [
        (Output("x.json", "json"), b"{", "is no json"),
        (Output("x.png", "picture"), b"\x89PNG\r\n\x1a\n", "is no picture"),
        (Output("x.safetensors", "lora"), b"x" * 40, "cannot be read"),
        (Output("x.bin", "file"), b"", "is empty"),
        (Output("x.bin", "file"), None, "was not made"),
    ],
)
def test_an_unsound_output_is_not_committed(run, tmp_path, output, content, fault) -> None:
    def act(place):
        if content is not None:
            (place.out / output.name).write_bytes(content)
        return {}

    with pytest.raises(ChildError, match=fault):
        run(replace(step("a", action=act), outputs=(output,))).run()
    assert not (tmp_path / "artifacts").exists()


def test_numbers_that_are_not_finite_are_not_committed(run) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    def act(place):
        save_file({"a.lora_up.weight": np.array([[1.0, np.inf]], np.float16)}, place.out / "x.safetensors")
        return {}

    with pytest.raises(ChildError, match="not finite"):
        run(replace(step("a", action=act), outputs=(Output("x.safetensors", "lora"),))).run()


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


class Killed(BaseException):
    """Stands for the power cord: nothing of ours catches it."""


@pytest.mark.parametrize("replaces", [False, True])
def test_a_crash_at_any_write_leaves_the_old_state_or_the_new(tmp_path, monkeypatch, replaces) -> None:
    instant = 0
    while _crashes_at(instant, tmp_path / str(instant), monkeypatch, replaces):
        instant += 1
    assert instant > 20, "the writes of two steps were all cut once"


def _crashes_at(instant: int, folder: Path, monkeypatch: pytest.MonkeyPatch, replaces: bool) -> bool:
    """Cut a run at its n-th write and look at what the next run finds; False: it ended before."""
    steps = (step("a"), step("b", "a"))
    folder.mkdir()
    if replaces:
        make(folder, *steps).run()
    with monkeypatch.context() as patched:
        countdown = iter(range(instant, -1, -1))
        for place, name in WRITES:
            patched.setattr(place, name, _cutting(getattr(place, name), countdown))
        try:
            make(folder, *steps).run(force=["a", "b"] if replaces else [])
        except Killed:
            was_cut = True
        else:
            was_cut = False
    if replaces:
        Store(folder).recover()
        assert {key.split("-")[0] for key, _m in Store(folder).manifests()} == {"a", "b"}
    last = make(folder, *steps)
    last.run()
    assert texts(last) == {"a": "a", "b": "a+b"}
    assert make(folder, *steps).run().made == ()
    assert not list((folder / "artifacts").glob(".*"))
    return was_cut


def _cutting(original, countdown):
    def call(*arguments, **options):
        if next(countdown, None) == 0:
            raise Killed
        return original(*arguments, **options)

    return call


WRITES = (
    (store, "flush_file"),
    (store, "write_json"),
    (store.shutil, "rmtree"),
    (Path, "replace"),
    (disk.os, "fsync"),
)


SCRIPT = """
import sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from lib_copier.graph.folders import Folders
from lib_copier.graph.runner import Runner
from lib_copier.graph.step import Plan
from lib_copier.graph.store import Store
from tests.graph.conftest import child, step
slow = {{"action": child, "ticks": 8}}
steps = (step("a"), step("b", "a", **slow), step("c", "a", **slow), step("d", "b", "c"))
folder, at_once = Path(sys.argv[1]), int(sys.argv[2])
Runner(Plan(steps), Store(folder), Folders(folder), lambda name: "1", at_once=at_once).run()
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
    folder = tmp_path / "shaken"
    folder.mkdir()
    moments = random.Random(7)
    for round_number in range(20):
        runner = start(folder, at_once)
        time.sleep(moments.uniform(0.3, 1.0) * whole)
        target = psutil.Process(runner.pid)
        if round_number % 2:
            children = [one for one in _children(target) if one.is_running()]
            target = children[0] if children else target
        _kill(target)
        runner.wait(20)
    assert start(folder, at_once).wait(60) == 0
    assert result(folder) == result(calm)
    assert not list((folder / "work").iterdir())


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


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


def test_commands_side_by_side_share_the_cores(run, monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    shared = run(step("a"), at_once=4)._with_its_share(Command(("x",)))
    assert ("OMP_NUM_THREADS", "2") in shared.env
    assert not run(step("a"))._with_its_share(Command(("x",))).env
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert not run(step("a"), at_once=4)._with_its_share(Command(("x",))).env


def test_a_file_that_is_swapped_meanwhile_is_not_what_the_key_tells_of(tmp_path) -> None:
    checkpoint = tmp_path / "outside.bin"
    checkpoint.write_bytes(b"one")
    before = checkpoint.stat()

    def act(place):
        # Another file of the same size and time moves into the place of the first.
        other = tmp_path / "other.bin"
        other.write_bytes(b"two")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        if place.params["swaps"]:
            other.replace(checkpoint)
        (place.out / "text.txt").write_bytes(place.path("checkpoint").read_bytes())
        return {}

    def reading(swaps: bool) -> Step:
        inputs = (StepInput("checkpoint", path=str(checkpoint)),)
        return replace(step("a", action=act, swaps=swaps), inputs=inputs)

    folder = tmp_path / "project"
    with pytest.raises(ChildError, match="changed while a read it"):
        make(folder, reading(True)).run()
    assert not Store(folder).manifests()
    again = make(folder, reading(False))
    again.run()
    assert texts(again) == {"a": "two"}


def test_a_bit_that_turned_in_an_artifact_is_found_before_anything_is_made_of_it(run) -> None:
    first = run(step("a"))
    first.run()
    path = first._statuses["a"].artifact.file("text.txt")
    state = path.stat()
    path.write_text("b")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run(step("a")).run().made == (), "size and time are the same"
    with pytest.raises(ChildError, match=r"text\.txt of a is not as it was written"):
        run(step("a"), step("b", "a")).run()
    again = run(step("a"), step("b", "a"))
    assert again.run().made == ("a", "b")
    assert texts(again)["b"] == "a+b"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:x", "..\\x", "", "a//b", "x\0"])
def test_no_output_leads_out_of_its_artifact(name) -> None:
    with pytest.raises(InputError, match="leads elsewhere"):
        Output(name, "text")


def test_a_link_among_the_outputs_is_not_committed(run, tmp_path) -> None:
    (tmp_path / "secret").write_text("secret")

    def act(place):
        (place.out / "text.txt").write_text("x")
        (place.out / "more.txt").symlink_to(tmp_path / "secret")
        return {}

    with pytest.raises(ChildError, match=r"more\.txt is a link"):
        run(step("a", action=act)).run()


def test_finished_work_stays_of_use_while_its_engine_is_missing(run, tmp_path) -> None:
    steps = (replace(step("a"), engine="e"), step("b", "a"))
    run(*steps).run()

    def missing(name: str) -> str:
        raise InputError("e is not installed.", "Install it.")

    a, b = Inspector(Plan(steps), Store(tmp_path), tmp_path, missing).all()
    assert (a.state, a.key) == (STALE, "") and "not installed" in a.reasons[0]
    assert a.artifact is not None and b.state == DONE
    with pytest.raises(InputError, match="Step a cannot run"):
        Runner(Plan(steps), Store(tmp_path), Folders(tmp_path), missing).run()
