"""The GPU changes hands in order, however clicks, the worker and the host's thread interleave."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.errors import CopierError
from lib_copier.graph.queue import CANCELLED, DONE, QUEUED, RUNNING, Queue
from lib_copier.host.hold import FREEING, HELD, IDLE, RESTORING, UNHELD, GpuHold, hold_of
from lib_copier.host.standalone import StandaloneHost

ACTIONS = ("submit", "install", "begin", "end", "cancel", "worker dies")


class Host(StandaloneHost):
    """A host with a model in its GPU; others get their turn while it frees and restores."""

    def __init__(self, folder: Path, turn: Callable[[], None] = lambda: None, device: str = "cuda") -> None:
        super().__init__(folder, [], folder)
        self.info = replace(self.info, is_webui=True)
        self.turn, self.device = turn, device
        self.has_gpu = True
        self.freed = 0
        self.failures: set[str] = set()
        self.is_used: Callable[[], bool] = lambda: False

    def device_for_child(self) -> str:
        return self.device

    @contextmanager
    def gpu_exclusive(self) -> Iterator[None]:
        self.turn()
        if "free" in self.failures:
            raise CopierError("An extension holds the model.")
        self.has_gpu = False
        self.freed += 1
        self.turn()
        try:
            yield
        finally:
            assert not self.is_used(), "the model comes back beside a running job"
            self.has_gpu = True
            self.turn()
        if "restore" in self.failures:
            raise CopierError("Out of memory.")


class TurningQueue(Queue):
    """Lets others have their turn before the hold takes the lock, and has no worker of its own."""

    turn: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def changing(self) -> Iterator[None]:
        self.turn()
        with super().changing():
            yield

    def ensure_worker(self) -> None:
        pass


class World:
    """Everything in one thread: what the hold would do in its own, with scripted turns of all others."""

    def __init__(self, folder: Path, script: list[list[str]], failures: frozenset[str] = frozenset()) -> None:
        self.script = [list(actions) for actions in script]
        self.threads: list[Callable[[], None]] = []
        self.is_acting = False
        self.phases: list[str] = []
        self.host = Host(folder, self.turn)
        self.host.is_used = lambda: any(job.needs_gpu for job in self.jobs(RUNNING))
        self.host.failures = set(failures)
        self.hold = GpuHold(self.host, start=self.threads.append, pause=self.turn)
        self.queue = TurningQueue(folder / "queue", self.hold)
        self.queue.turn = self.turn

    def jobs(self, state: str) -> list:
        return [job for job in self.queue.jobs() if job.state == state]

    def turn(self) -> None:
        """What others do now; when the script has ended, jobs begin and end by themselves."""
        if self.is_acting:
            return
        assert len(self.phases) < 100, "a job waits for ever"
        self.is_acting = True
        self.phases.append(self.hold.phase)
        for action in self.script.pop(0) if self.script else ("begin", "end"):
            self.act(action)
        self.is_acting = False

    def act(self, action: str) -> None:
        if action in {"submit", "install"}:
            number = str(len(self.queue.jobs()))
            self.queue.submit(number, number, ("x",), needs_gpu=action == "submit")
        for job in self.jobs(QUEUED)[:1]:
            if action == "cancel":
                self.queue.changed(job, state=CANCELLED)
            elif action == "begin" and not self.jobs(RUNNING):
                begun = self.queue.begin(job)
                if begun is not None and begun.needs_gpu and self.host.device != "cpu":
                    assert not self.host.has_gpu or self.hold.phase == UNHELD
                    assert self.hold.phase in {HELD, UNHELD}
        for job in self.jobs(RUNNING):
            if action == "end":
                self.queue.changed(job, state=DONE)
            elif action == "worker dies":
                self.queue.changed(job, state=QUEUED)

    def run(self) -> None:
        self.turn()
        while self.threads or any(job.is_open for job in self.queue.jobs()):
            if self.threads:
                self.threads.pop(0)()
            else:
                self.script.clear()
                self.turn()


@given(
    st.lists(st.lists(st.sampled_from(ACTIONS), max_size=3), min_size=1, max_size=12),
    st.sets(st.sampled_from(["free", "restore"])).map(frozenset),
)
@settings(max_examples=60, deadline=None)
def test_a_job_begins_only_after_the_freeing_and_ends_before_the_restoring(script, failures) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), script, failures)
        world.run()
        assert world.hold.phase == IDLE and not world.queue.gate.is_closed
        assert world.host.has_gpu


def test_a_job_that_comes_while_the_host_restores_goes_through_another_freeing(tmp_path) -> None:
    world = World(tmp_path, [["submit"]])
    act, turn = world.act, world.host.turn

    def late() -> None:
        if world.hold.phase == RESTORING and world.host.freed == 1:
            act("submit")
            act("begin")
            assert world.jobs(QUEUED), "it waits"
        turn()

    world.host.turn = late
    world.run()
    assert world.host.freed == 2
    assert [job.state for job in world.queue.jobs()] == [DONE, DONE]


def test_a_host_that_cannot_free_its_gpu_says_so_and_keeps_no_job_back(tmp_path) -> None:
    world = World(tmp_path, [["submit"]], frozenset({"free"}))
    world.run()
    assert UNHELD in world.phases
    assert world.hold.problem == "An extension holds the model."
    assert [job.state for job in world.queue.jobs()] == [DONE]
    world.host.failures.clear()
    world.act("submit")
    assert world.hold.problem == ""
    world.run()
    assert world.host.freed == 1


def test_a_cancelled_job_gives_the_gpu_back(tmp_path) -> None:
    world = World(tmp_path, [["submit"], ["cancel"], [], [], [], []])
    world.run()
    assert world.phases[:2] == [IDLE, FREEING] and world.host.freed == 1
    assert [job.state for job in world.queue.jobs()] == [CANCELLED]


def test_what_a_restart_left_open_is_cleared_for_before_a_worker_begins_it(tmp_path) -> None:
    Queue.submit(TurningQueue(tmp_path / "queue"), "a", "a", ("x",))
    world = World(tmp_path, [])
    world.is_acting = True
    world.queue.resume()
    assert world.queue.gate.is_closed and world.hold.phase == FREEING
    world.is_acting = False
    world.run()
    assert [job.state for job in world.queue.jobs()] == [DONE] and world.host.freed == 1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_only_work_for_a_gpu_frees_it(tmp_path, device) -> None:
    world = World(tmp_path, [["install"]] if device == "cuda" else [["submit"]])
    world.host.device = device
    world.run()
    assert world.host.freed == 0 and [job.state for job in world.queue.jobs()] == [DONE]


def test_a_hold_that_breaks_keeps_no_job_back(tmp_path, monkeypatch, caplog) -> None:
    world = World(tmp_path, [["submit"]])
    monkeypatch.setattr(world.queue, "needs_gpu", lambda: 1 / 0)
    world.turn()
    world.threads.pop()()
    assert world.hold.phase == IDLE and not world.queue.gate.is_closed
    assert "ZeroDivisionError" in caplog.text


def test_a_page_that_is_built_anew_finds_the_same_hold(tmp_path) -> None:
    hold = hold_of(Host(tmp_path))
    assert hold_of(Host(tmp_path)) is hold
    assert hold_of(Host(tmp_path / "other")) is not hold
