"""Steps on a real cluster: what comes back is what would have been made here, whatever falls meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lib_copier.cluster import executor
from lib_copier.errors import CancelledError, ChildError, InputError
from lib_copier.graph.step import Step, StepInput
from lib_copier.steps.project import Project
from tests.graph.conftest import TEXT, child, make, step, texts

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.ray, pytest.mark.slow]


def said(heard: list[dict[str, Any]], word: str) -> list[str]:
    return [event["text"] for event in heard if event["event"] == "log" and word in event["text"]]


def wait_for(what: Any, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(what())


def soon_given_up() -> dict[str, str]:
    """The environment of a process that is killed: Ray would wait half a minute for it to come back."""
    return {**os.environ, "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "2"}


def test_a_chain_gives_what_it_gives_here(tmp_path, on_ray, nodes) -> None:
    steps = (step("a"), step("b", "a", action=child, ticks=3), step("c", "a", action=child), step("d", "b"))
    heard: list[dict[str, Any]] = []
    there = make(tmp_path / "there", *steps, executor=on_ray, listener=heard.append)
    here = make(tmp_path / "here", *steps)
    assert set(there.run().made) == set(here.run().made)
    assert texts(there) == texts(here)
    assert [event["step"] for event in heard if event["event"] == "progress"], "as if it were here"
    assert "$ " in there.folders.step_log("b").read_text()
    assert wait_for(lambda: not nodes.left())


def made(project: Project) -> dict[str, Any]:
    """What lies in the store, without the time of day."""
    found = {}
    for status in project.status():
        manifest = dict(status.artifact.manifest)
        found[status.id] = {name: manifest[name] for name in manifest if name not in ("made_at", "seconds")}
    return found


def test_a_project_gives_byte_for_byte_what_it_gives_here(project, on_ray, nodes) -> None:
    here, there = project("here"), project("there")
    here.change(lambda recipe: recipe.with_settings({"project.name": "slider"}))
    there.change(lambda recipe: recipe.with_settings({"project.name": "slider"}))
    here.run()
    there.run(elsewhere=on_ray)
    assert json.dumps(made(there), sort_keys=True) == json.dumps(made(here), sort_keys=True)
    assert wait_for(lambda: not nodes.left())


def big(path: Path) -> Step:
    given = StepInput("text", path=str(path))
    return Step(f"read/{path.stem}", "read", child, (given,), (("word", path.stem),), TEXT)


def test_what_a_step_reads_travels_once(tmp_path, on_ray, nodes, monkeypatch) -> None:
    sent: list[str] = []
    send = executor._send_file
    monkeypatch.setattr(
        executor, "_send_file", lambda note, *rest: (sent.append(note.name), send(note, *rest))
    )
    path = tmp_path / "words.txt"
    path.write_text("w" * 100_000)
    monkeypatch.setattr(executor, "PIECE_BYTES", 30_000)
    for name in ("x", "y", "z"):
        runner = make(tmp_path / name, big(path), executor=on_ray)
        runner.run()
        assert texts(runner)["read/words"] == "w" * 100_000 + "+words"
    assert 1 <= len(sent) <= 2, "a node has it after the first time"


def test_cancelling_reaches_the_processes_on_the_node(tmp_path, on_ray, nodes) -> None:
    asked = threading.Event()
    runner = make(
        tmp_path,
        step("a", action=child, ticks=3000),
        executor=on_ray,
        should_stop=lambda: "discard" if asked.is_set() else "",
        listener=lambda event: asked.set() if event["event"] == "progress" else None,
    )
    with pytest.raises(CancelledError):
        runner.run()
    assert wait_for(lambda: not nodes.left() and not nodes.children())


def fail(place: Any) -> Any:
    command = child(place)
    return type(command)((command.argv[0], "-c", "import sys; print('No space left on device'); sys.exit(7)"))


def refuse(place: Any) -> Any:
    import socket

    if place.project.name == "refused":
        return child(place)
    raise InputError(f"{socket.gethostname()} does not want it.", "Take another.")


def test_a_step_that_fails_is_not_tried_again(tmp_path, on_ray) -> None:
    heard: list[dict[str, Any]] = []
    there = make(tmp_path / "there", step("a", action=fail), executor=on_ray, listener=heard.append)
    with pytest.raises(ChildError) as found:
        there.run()
    with pytest.raises(ChildError) as expected:
        make(tmp_path / "here", step("a", action=fail)).run()
    assert str(found.value) == str(expected.value)
    assert found.value.returncode == 7 and found.value.last_lines == expected.value.last_lines
    assert len(said(heard, "runs on node")) == 1
    with pytest.raises(InputError, match="does not want it. Take another."):
        make(tmp_path / "refused", step("a", action=refuse), executor=on_ray).run()


def test_a_node_that_falls_under_a_step_costs_only_time(tmp_path, on_ray, nodes) -> None:
    are_under_way = threading.Event()
    heard: list[dict[str, Any]] = []

    def listen(event: dict[str, Any]) -> None:
        heard.append(event)
        if {one["id"] for one in heard if one["event"] == "progress"} == {"a", "b"}:
            are_under_way.set()

    is_lost = tmp_path / "a node is lost"
    steps = tuple(step(name, action=child, until=str(is_lost)) for name in "ab")
    runner = make(tmp_path / "there", *steps, executor=on_ray, listener=listen)
    run = threading.Thread(target=runner.run)
    run.start()
    assert are_under_way.wait(60)
    nodes.kill_other()
    # Until that is known a step might end yet, in what is left of its node.
    is_known = wait_for(lambda: said(heard, "is lost. The step begins again."), 60)
    is_lost.touch()
    run.join(120)
    assert is_known
    here = make(tmp_path / "here", *(step(name, action=child) for name in "ab"))
    here.run()
    assert sorted(texts(runner).values()) == sorted(texts(here).values())
    assert len(said(heard, "is lost. The step begins again.")) == 1
    done = [event["id"] for event in heard if event["event"] == "step_done"]
    assert sorted(done) == ["a", "b"]
    assert wait_for(lambda: not nodes.left() and not nodes.children())


def test_what_no_node_has_is_told_before_anything_waits(tmp_path, on_ray) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(64 << 30)
    huge = Step("a", "a", child, (StepInput("checkpoint", path=str(path)),), (("word", "a"),), TEXT)
    runner = make(tmp_path / "p", huge, executor=on_ray)
    runner.store.digests.remember({path: "0" * 64})
    with pytest.raises(InputError, match="No node of the cluster has 1 core with 129.0 GiB for a step"):
        runner.run()


def test_a_second_connection_goes_on_where_a_killed_one_has_ended(tmp_path, on_ray, nodes) -> None:
    on_ray.close_places()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lib_copier.cluster.executor import RayExecutor\n"
        "from tests.graph.conftest import child, make, step\n"
        "with RayExecutor(sys.argv[1]) as found:\n"
        "    steps = (step('a', action=child), step('b', 'a', action=child, ticks=150))\n"
        "    tell = lambda event: print(event['event'], event.get('id'), flush=True)\n"
        "    print(make(Path(sys.argv[2]), *steps, executor=found, listener=tell).run().made)\n"
    )
    argv = [sys.executable, "-c", code, nodes.address, str(tmp_path)]
    first = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=soon_given_up())
    assert first.stdout is not None
    for line in first.stdout:
        if line.startswith("progress b"):
            first.kill()
    assert first.wait() == -9
    assert wait_for(lambda: not nodes.left() and not nodes.children(), 60)
    second = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert second.stdout.splitlines()[-1] == "('b',)"
