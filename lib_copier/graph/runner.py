"""Runs the steps of a plan that are not done, one child at a time or a few: each result is committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lib_copier.engines.listening import Watch
from lib_copier.engines.process import Outcome, shown
from lib_copier.engines.task import Command
from lib_copier.errors import CancelledError, ChildError, CopierError, InputError
from lib_copier.graph.events import EventLog, Listener, failure_fields
from lib_copier.graph.executor import Executor, Local, Work
from lib_copier.graph.folders import Folders, portable, without_folders
from lib_copier.graph.inputs import require_same_inputs, require_whole_inputs
from lib_copier.graph.lock import held
from lib_copier.graph.order import Waiting
from lib_copier.graph.running import RunningNote, end_orphans, wanted_stop, withdraw
from lib_copier.graph.status import MISSED, EngineVersion, Inspector, StepStatus, require_goals, workplace
from lib_copier.graph.step import Plan, Result, Step, Workplace, described, plain
from lib_copier.graph.store import Artifact, Store


@dataclass(frozen=True)
class Report:
    """What a run did: ids of the steps that it made and that it found done."""

    run: str
    made: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: Mapping[str, float]


class Runner:
    """One run over one project. Use it once.

    Steps that do not need each other run side by side, as many as the `executor` takes; without one, commands
    run here, one at a time.
    `advise` says what to do about a step that missed its goal.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        folders: Folders,
        engine_version: EngineVersion,
        *,
        listener: Listener | None = None,
        should_stop: Callable[[], str] = lambda: "",
        device_lock: Path | None = None,
        executor: Executor | None = None,
        advise: Callable[[StepStatus], str] = lambda missed: "",
    ) -> None:
        self.plan = plan
        self.store = store
        self.folders = folders
        # Names sort as runs began, also within a second; one run at a time has the project.
        self.run_id = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        self._engine_version = engine_version
        self._events = EventLog(folders.log / f"{self.run_id}.jsonl", listener)
        self._should_stop = should_stop
        self._device_lock = device_lock
        self._statuses: dict[str, StepStatus] = {}
        self._running = RunningNote(folders.running, self.run_id)
        self._executor = executor or Local()
        self._advise = advise
        self._is_interrupted = False
        # Only the children run side by side: all else is done by one thread at a time.
        self._books = threading.RLock()

    def run(self, force: Iterable[str] = ()) -> Report:
        """Do every step that is not done, and those in `force` also where they are.

        A step that waits for a missed goal is left, and so is what needs it; all else is done.

        Raises
        ------
        GoalError
            A step missed its goal, in this run or before; told once nothing else is left to do.
        HeldError
            Another process works on the project.
        ChildError, InputError, CancelledError
            The step that failed is noted in the store; what was done before stays.
        """
        with ExitStack() as stack:
            stack.enter_context(held(self.folders.lock, f"The project {self.folders.project.name}"))
            end_orphans(self.folders.running)
            self.store.recover()
            withdraw(self.folders.control)
            try:
                if self._device_lock is not None:
                    self._events.add("log", id="", text="waiting for the device")
                    stop = lambda: bool(self._wanted_stop())  # noqa: E731
                    stack.enter_context(held(self._device_lock, "The device", wait=True, should_stop=stop))
                # Within the lock: who has the device next finds its memory given back.
                stack.callback(self._executor.rest, leaves_device=self._device_lock is not None)
                report = self._run(frozenset(force))
            except (CancelledError, KeyboardInterrupt):
                self._events.add("run_cancelled")
                raise
            except (CopierError, OSError) as error:
                self._events.add("run_failed", **failure_fields(error))
                raise
            finally:
                self._running.clear()
                self.store.digests.save()
            self._events.add("run_done")
            return report

    def _run(self, force: frozenset[str]) -> Report:
        inspector = Inspector(self.plan, self.store, self.folders.project, self._engine_version)
        self._statuses = inspector.found
        ahead = [
            status.id
            for status in inspector.all()
            if (not status.is_made or status.id in force) and not inspector.held(status.step)
        ]
        self._events.add("run_started", run=self.run_id, steps=ahead)
        waiting = Waiting(self.plan)
        seconds: dict[str, float] = {}
        under_way: dict[Future[Artifact], StepStatus] = {}
        beside: set[Future[Artifact]] = set()
        places = self._executor.at_once + self._executor.beside
        with ThreadPoolExecutor(places, "step") as pool, self._passing_on_interrupts():
            while waiting or under_way:
                beside &= under_way.keys()
                is_full = len(under_way) - len(beside) >= self._executor.at_once
                may_begin = not is_full or len(beside) < self._executor.beside
                found = waiting.next(beside=is_full) if may_begin else None
                if found is None:
                    waiting.recall()
                    for status, artifact in _ended(under_way):
                        seconds[status.id] = float(artifact.manifest.get("seconds") or 0.0)
                        waiting.settle(status.id)
                        with self._books:
                            made = inspector.look(status.step)
                        if made.state == MISSED:
                            self._events.add("step_missed", id=made.id, reasons=list(made.shortfalls))
                    continue
                place, step = found
                with self._books:
                    status = inspector.look(step)
                if status.is_made and (step.id not in force or step.same_as):
                    waiting.settle(step.id)
                    self._events.add("step_skipped", id=step.id)
                elif inspector.held(step):
                    waiting.settle(step.id)
                elif not status.key:
                    raise InputError(
                        f"Step {step.id} cannot run: {'; '.join(status.reasons)}.", "Mend that first."
                    )
                elif any(other.key == status.key for other in under_way.values()):
                    waiting.set_aside(place)  # The same work under another name: it will be found done.
                else:
                    begun = pool.submit(self._do, step, status, is_full)
                    under_way[begun] = status
                    if is_full:
                        beside.add(begun)
        require_goals(self._statuses.values(), self._advise)
        skipped = tuple(step.id for step in self.plan if step.id not in seconds)
        return Report(self.run_id, tuple(seconds), skipped, seconds)

    @contextmanager
    def _passing_on_interrupts(self) -> Iterator[None]:
        """Ctrl-C reaches the main thread alone: the steps under way are told to stop."""
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self._is_interrupted = True
            raise

    def _do(self, step: Step, status: StepStatus, is_beside: bool) -> Artifact:
        """One step, from its inputs to its committed artifact."""
        if is_beside:
            step = replace(step, cosmetic=(*step.cosmetic, *(step.beside or ())))
        if self._wanted_stop():
            raise CancelledError
        self._events.add("step_started", id=step.id, key=status.key, reasons=list(status.reasons))
        started = time.monotonic()
        try:
            require_whole_inputs(status, self._statuses, self.store)
            with self._books:
                out, scratch = self.store.begin(status.key)
                place = workplace(step, self.folders.project, out, scratch, self._statuses)
                work = self._begin(step, status.key, place)
            if isinstance(work, Command):
                command, outcome = work, self._follow(status, Work(place, work, status.digests, is_beside))
            else:
                command, outcome = None, Outcome(dict(work))
            if outcome.was_stopped:
                outcome.result["was_stopped"] = True
            with self._books:
                require_same_inputs(status, self.store, self.folders.project)
                if step.finish is not None and not outcome.is_finished:
                    step.finish(place, outcome.result)
                taken = time.monotonic() - started
                facts = {
                    "described": plain(described(step, status.digests, self._version(step))),
                    "command": self._portable(command),
                    "device": outcome.device,
                    "seconds": round(taken, 3),
                    "result": portable(outcome.result, place.out, self.folders.project),
                }
                artifact = self._commit(step, status.key, facts)
        except CancelledError:
            raise
        except (CopierError, OSError) as error:
            self._note_failure(step, status.key, error)
            raise
        finally:
            self._running.end(step.id)
        self._events.add("step_done", id=step.id, key=status.key, seconds=round(taken, 3))
        return artifact

    def _begin(self, step: Step, key: str, place: Workplace) -> Command | Result:
        """The step's own small work, or the command that does it."""
        assert step.action is not None
        log = self.folders.step_log(step.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        self._running.begin(step.id, key)
        return step.action(place)

    def _follow(self, status: StepStatus, work: Work) -> Outcome:
        step = status.step
        watch = Watch(
            log=self.folders.step_log(step.id),
            on_event=lambda event: self._pass_on(step, event),
            wanted_stop=self._wanted_stop,
            control=work.place.scratch / "control.json",
            token=self._running.token,
            on_started=lambda pid: self._running.begin(step.id, status.key, pid),
        )
        return self._executor.run(work, watch)

    def _commit(self, step: Step, key: str, facts: Mapping[str, Any]) -> Artifact:
        try:
            return self.store.commit(key, step, facts)
        except ValueError as error:
            raise ChildError(
                f"Step {step.id} ended, but {error}.", "Run it again; if it comes back, look at its log."
            ) from error

    def _pass_on(self, step: Step, event: Mapping[str, Any]) -> None:
        fields = {key: value for key, value in event.items() if key not in {"event", "id", "at"}}
        self._events.add(str(event["event"]), id=step.id, **fields)

    def _note_failure(self, step: Step, key: str, error: CopierError | OSError) -> None:
        failure = failure_fields(error)
        lines = list(error.last_lines) if isinstance(error, ChildError) else []
        self._events.add("step_failed", id=step.id, **failure)
        try:
            self.store.note_failure(key, {**failure, "step": step.id, "last_lines": lines, "at": time.time()})
        except OSError:
            # The disk may be what failed; the error itself is on its way to the user.
            return

    def _wanted_stop(self) -> str:
        return "discard" if self._is_interrupted else self._should_stop() or wanted_stop(self.folders.control)

    def _version(self, step: Step) -> str:
        return self._engine_version(step.engine) if step.engine else ""

    def _portable(self, command: Command | None) -> str:
        """The command line without this machine's folders, which `Project.command` puts in again."""
        if command is None:
            return ""
        return without_folders(shown(command), self.folders.project)


def _ended(under_way: dict[Future[Artifact], StepStatus]) -> list[tuple[StepStatus, Artifact]]:
    """Wait until one step has ended or more, and take them out; raises what a step raised."""
    ended: set[Future[Artifact]] = set()
    while not ended:
        # With a timeout, Ctrl-C is heard on every system.
        ended, _ = wait(under_way, timeout=0.5, return_when=FIRST_COMPLETED)
    return [(under_way.pop(future), future.result()) for future in ended]
