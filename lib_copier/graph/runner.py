"""Runs the steps of a plan that are not done: in order, one child at a time, each result committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from lib_copier.engines.process import Outcome, Watch, run_command, shown
from lib_copier.engines.task import Command
from lib_copier.engines.tree import end_processes, find_marked
from lib_copier.errors import CancelledError, ChildError, CopierError, InputError
from lib_copier.graph.atomic import read_json, write_json
from lib_copier.graph.control import wanted_stop, withdraw
from lib_copier.graph.events import EventLog, Listener
from lib_copier.graph.folders import Folders, portable, without_folders
from lib_copier.graph.lock import held, identity, living, this_process
from lib_copier.graph.status import DONE, EngineVersion, Inspector, StepStatus, workplace
from lib_copier.graph.step import Plan, Step, Workplace, described, plain
from lib_copier.graph.store import Artifact, Store


@dataclass(frozen=True)
class Report:
    """What a run did: ids of the steps that it made and that it found done."""

    run: str
    made: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: Mapping[str, float]


class Runner:
    """One run over one project. Use it once."""

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
    ) -> None:
        self.plan = plan
        self.store = store
        self.folders = folders
        self.run_id = time.strftime("%Y%m%d-%H%M%S-") + uuid4().hex[:4]
        self._engine_version = engine_version
        self._events = EventLog(folders.log / f"{self.run_id}.jsonl", listener)
        self._should_stop = should_stop
        self._device_lock = device_lock
        self._statuses: dict[str, StepStatus] = {}

    def run(self, force: Iterable[str] = ()) -> Report:
        """Do every step that is not done, and those in `force` also where they are.

        Raises
        ------
        HeldError
            Another process works on the project.
        ChildError, InputError, CancelledError
            The step that failed is noted in the store; what was done before stays.
        """
        with ExitStack() as stack:
            stack.enter_context(held(self.folders.lock, f"The project {self.folders.project.name}"))
            self._clear_after_crash()
            withdraw(self.folders.control)
            try:
                if self._device_lock is not None:
                    self._events.add("log", id="", text="waiting for the device")
                    stop = lambda: bool(self._wanted_stop())  # noqa: E731
                    stack.enter_context(held(self._device_lock, "The device", wait=True, should_stop=stop))
                report = self._run(frozenset(force))
            except (CancelledError, KeyboardInterrupt):
                self._events.add("run_cancelled")
                raise
            except (CopierError, OSError) as error:
                self._events.add("run_failed", **_failure(error))
                raise
            finally:
                self.folders.running.unlink(missing_ok=True)
            self._events.add("run_done")
            return report

    def _run(self, force: frozenset[str]) -> Report:
        inspector = Inspector(self.plan, self.store, self.folders.project, self._engine_version)
        self._statuses = inspector.found
        ahead = [status.id for status in inspector.all() if status.state != DONE or status.id in force]
        self._events.add("run_started", run=self.run_id, steps=ahead)
        made, skipped, seconds = [], [], {}
        for step in self.plan:
            status = inspector.look(step)
            if status.state == DONE and (step.id not in force or step.same_as):
                skipped.append(step.id)
                self._events.add("step_skipped", id=step.id)
                continue
            if not status.key:
                raise InputError(
                    f"Step {step.id} cannot run: {'; '.join(status.reasons)}.", "Mend that first."
                )
            artifact = self._do(step, status)
            seconds[step.id] = float(artifact.manifest.get("seconds") or 0.0)
            made.append(step.id)
            inspector.look(step)
        return Report(self.run_id, tuple(made), tuple(skipped), seconds)

    def _do(self, step: Step, status: StepStatus) -> Artifact:
        """One step, from its inputs to its committed artifact."""
        if self._wanted_stop():
            raise CancelledError
        self._events.add("step_started", id=step.id, key=status.key, reasons=list(status.reasons))
        started = time.monotonic()
        try:
            out, scratch = self.store.begin(status.key)
            place = workplace(step, self.folders.project, out, scratch, self._statuses)
            command, outcome = self._act(step, status.key, place)
            if outcome.was_stopped:
                outcome.result["was_stopped"] = True
            if step.finish is not None:
                step.finish(place, outcome.result)
            taken = time.monotonic() - started
            facts = {
                "described": plain(described(step, status.digests, self._version(step))),
                "command": self._portable(command),
                "seconds": round(taken, 3),
                "result": portable(outcome.result, place.out, self.folders.project),
            }
            artifact = self._commit(step, status.key, facts)
        except CancelledError:
            raise
        except (CopierError, OSError) as error:
            self._note_failure(step, status.key, error)
            raise
        self._events.add("step_done", id=step.id, key=status.key, seconds=round(taken, 3))
        return artifact

    def _act(self, step: Step, key: str, place: Workplace) -> tuple[Command | None, Outcome]:
        assert step.action is not None
        log = self.folders.step_log(step.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        token = uuid4().hex
        self._note_running(step, key, token)
        work = step.action(place)
        if not isinstance(work, Command):
            return None, Outcome(dict(work))
        watch = Watch(
            log=log,
            on_event=lambda event: self._pass_on(step, event),
            wanted_stop=self._wanted_stop,
            control=place.scratch / "control.json",
            token=token,
            on_started=lambda pid: self._note_running(step, key, token, pid),
        )
        return work, run_command(work, watch)

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
        failure = _failure(error)
        lines = list(error.last_lines) if isinstance(error, ChildError) else []
        self._events.add("step_failed", id=step.id, **failure)
        try:
            self.store.note_failure(key, {**failure, "step": step.id, "last_lines": lines, "at": time.time()})
        except OSError:
            # The disk may be what failed; the error itself is on its way to the user.
            return

    def _note_running(self, step: Step, key: str, token: str, child: int | None = None) -> None:
        note: dict[str, Any] = {
            "run": self.run_id,
            "runner": this_process(),
            "step": step.id,
            "key": key,
            "token": token,
        }
        # A child that has ended already needs no looking for; the token finds what it may have left.
        note["child"] = identity(child) if child is not None and _runs(child) else None
        write_json(self.folders.running, note)

    def _clear_after_crash(self) -> None:
        """End what a runner that died left running, and settle a replacement that it began."""
        note = read_json(self.folders.running)
        if isinstance(note, dict):
            orphans = find_marked(str(note.get("token") or "none"))
            child = living(note.get("child"))
            end_processes([*orphans, *([child] if child else [])])
        self.store.recover()

    def _wanted_stop(self) -> str:
        return self._should_stop() or wanted_stop(self.folders.control)

    def _version(self, step: Step) -> str:
        return self._engine_version(step.engine) if step.engine else ""

    def _portable(self, command: Command | None) -> str:
        """The command line without this machine's folders, which `Project.command` puts in again."""
        if command is None:
            return ""
        return without_folders(shown(command), self.folders.project)


def _runs(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


def _failure(error: CopierError | OSError) -> dict[str, str]:
    if isinstance(error, CopierError):
        return {"what": error.what, "advice": error.advice}
    where = f" ({error.filename})" if error.filename else ""
    return {
        "what": f"{error.strerror or error}{where}.",
        "advice": "Check free space and rights, then run again.",
    }
