"""Will a step run, and why: compares a plan with what lies in the store, and says it in words."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lib_copier.errors import GoalError, InputError
from lib_copier.graph.readings import LARGE, Readings
from lib_copier.graph.step import Plan, Step, StepInput, Workplace, described, plain, step_key
from lib_copier.graph.store import Artifact, Store

DONE, STALE, MISSING, RUNNING, FAILED = "done", "stale", "missing", "running", "failed"
MISSED, HELD = "missed", "held"

EngineVersion = Callable[[str], str]


@dataclass(frozen=True)
class StepStatus:
    """Where one step stands.

    Parameters
    ----------
    state:
        ``done``; ``stale`` (made once, but something has changed); ``missing`` (never made);
        ``running``; ``failed`` (the last attempt at exactly this work failed); ``missed`` (made, but its
        result is not what it is for); ``held`` (it waits for a goal that was missed).
    reasons:
        Why it will run, or what failed, a phrase each; a remark where a done step had nothing to do.
    shortfalls:
        What its result lacks of its goal, also where that is accepted.
    key:
        Its content key; empty while its inputs or its engine are not there.
    artifact:
        What it made; where the engine is missing, what that made of the same inputs once.
    """

    step: Step
    state: str
    reasons: tuple[str, ...] = ()
    key: str = ""
    artifact: Artifact | None = None
    digests: tuple[str, ...] = ()
    shortfalls: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step.id

    @property
    def is_made(self) -> bool:
        """Whether there is nothing left to do for it, whatever its result is worth."""
        return self.state in {DONE, MISSED}

    def to_json(self) -> dict[str, Any]:
        """What `status --json` prints for the step."""
        made = self.artifact.manifest if self.artifact else {}
        return {
            "id": self.step.id,
            "kind": self.step.kind,
            "state": self.state,
            "reasons": list(self.reasons),
            "shortfalls": list(self.shortfalls),
            "is_accepted": bool(self.shortfalls) and self.step.is_accepted,
            "key": self.key,
            "engine": self.step.engine,
            "made_at": made.get("made_at"),
            "seconds": made.get("seconds"),
            "device": made.get("device"),
            "files": sorted(made.get("files", {})),
        }


class Inspector:
    """Works out states along a plan; each step's key needs the digests of what comes before it.

    With `readings`, large files that nobody has read yet are read by a thread meanwhile.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        project: Path,
        engine_version: EngineVersion,
        running: Container[str] = (),
        readings: Readings | None = None,
    ) -> None:
        self.plan = plan
        self.store = store
        self._project = project
        self._engine_version = engine_version
        self._running = running
        self._readings = readings
        self.found: dict[str, StepStatus] = {}

    def all(self) -> tuple[StepStatus, ...]:
        """The state of every step, in the plan's order; digests that had to be computed are remembered."""
        found = tuple(self.look(step) for step in self.plan)
        self.store.digests.save()
        return found

    def look(self, step: Step) -> StepStatus:
        """The state of one step; those before it must have been looked at already."""
        status = self._look(step)
        if step.id in self._running:
            status = StepStatus(step, RUNNING, status.reasons, status.key, digests=status.digests)
        elif not status.is_made and (held := self.held(step)):
            status = replace(status, state=HELD, reasons=held)
        self.found[step.id] = status
        return status

    def held(self, step: Step) -> tuple[str, ...]:
        """Which goals that it waits for were missed, and which held steps it needs; none where it may run."""
        missed = [source for source in step.waits_for if self.found[source].state == MISSED]
        held = [source for source in step.follows if self.found[source].state == HELD]
        return (*(f"{one} missed its goal" for one in missed), *(f"waits for {one}" for one in held))

    def _look(self, step: Step) -> StepStatus:
        if step.same_as:
            source = self.found[step.same_as]
            waits = (f"waits for {step.same_as}",)
            reasons: tuple[str, ...] = waits
            if source.is_made:
                reasons = (step.note,) if step.note else ()
            state = DONE if source.is_made else self._undone(step)
            return StepStatus(step, state, reasons, source.key, source.artifact)
        digests, waiting = self._input_digests(step)
        if waiting:
            return StepStatus(step, self._undone(step), waiting)
        try:
            version = self._version(step)
        except InputError as error:
            return StepStatus(step, STALE, (str(error),), "", self._of_any_version(step, digests), digests)
        key = step_key(step, digests, version)
        artifact, fault = self.store.inspect(key)
        if artifact is not None:
            return judged(StepStatus(step, DONE, (step.note,) if step.note else (), key, artifact, digests))
        failure = self.store.failure(key)
        if failure is not None:
            return StepStatus(step, FAILED, (str(failure.get("what", "it failed")),), key, digests=digests)
        if fault:
            return StepStatus(step, STALE, (fault + ": made again",), key, digests=digests)
        reasons = self._changes(step, digests, version)
        state = STALE if self._latest(step.id) else MISSING
        return StepStatus(step, state, reasons, key, digests=digests)

    def _undone(self, step: Step) -> str:
        return STALE if self._latest(step.id) else MISSING

    def _version(self, step: Step) -> str:
        return self._engine_version(step.engine) if step.engine else ""

    def _of_any_version(self, step: Step, digests: tuple[str, ...]) -> Artifact | None:
        """What was made of the same inputs while the step's engine was there: finished work stays of use."""
        wanted = plain(described(step, digests, ""))
        for key, manifest in self._all_manifests:
            if manifest.get("described") and {**manifest["described"], "engine": wanted["engine"]} == wanted:
                return self.store.inspect(key)[0]
        return None

    def _input_digests(self, step: Step) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Digests of all inputs, and why some cannot be told yet."""
        digests, waiting = [], []
        for given in step.inputs:
            if given.step:
                source = self.found[given.step]
                if source.artifact is None or given.output not in source.artifact.manifest["files"]:
                    waiting.append(f"waits for {given.step}")
                else:
                    digests.append(source.artifact.digest(given.output))
                continue
            path = self._project / given.path
            if given.is_outside and path.is_dir():
                waiting.append(f"the {given.role} in {given.path} are copied in when it runs")
                continue
            try:
                digest = self._digest(path)
            except OSError:
                waiting.append(f"{given.role} {given.path} is missing")
                continue
            if digest is None:
                waiting.append(f"{given.role} {path.name} is being read")
            else:
                digests.append(digest)
        return tuple(digests), tuple(dict.fromkeys(waiting))

    def _digest(self, path: Path) -> str | None:
        """A file's digest; None while a thread reads a large one for whoever must not wait."""
        digests = self.store.digests
        if self._readings is None or path.stat().st_size < LARGE or digests.known(path):
            return digests.sha256(path)
        digest = self._readings.sha256(path)
        if digest is not None:
            digests.remember({path: digest})
        return digest

    def _latest(self, step_id: str) -> Mapping[str, Any] | None:
        return self._newest.get(step_id)

    @cached_property
    def _all_manifests(self) -> list[tuple[str, Mapping[str, Any]]]:
        return self.store.manifests()

    @cached_property
    def _newest(self) -> Mapping[str, Mapping[str, Any]]:
        """The manifest made last of each step, by its id."""
        return {manifest["step"]: manifest for _key, manifest in reversed(self._all_manifests)}

    def _changes(self, step: Step, digests: tuple[str, ...], version: str) -> tuple[str, ...]:
        """What differs from the last time this step was made."""
        last = self._latest(step.id)
        if last is None or not last.get("described"):
            return ("not made yet",)
        now = plain(described(step, digests, version))
        return tuple(_differences(step, last["described"], now)) or ("it was made in another way",)


def judged(made: StepStatus) -> StepStatus:
    """A made step by its goal: missed, or done although it missed it."""
    step = made.step
    lacking = step.goal(made.artifact.result) if step.goal and made.artifact else ()
    if not lacking:
        return made
    if step.is_accepted:
        told = (f"accepted although {one}" for one in lacking)
        return replace(made, reasons=(*made.reasons, *told), shortfalls=lacking)
    return replace(made, state=MISSED, reasons=lacking, shortfalls=lacking)


def require_goals(found: Iterable[StepStatus], advise: Callable[[StepStatus], str]) -> None:
    """Raise GoalError where steps missed their goals: what each lacks, and how much waits for them."""
    statuses = tuple(found)
    missed = [status for status in statuses if status.state == MISSED]
    if not missed:
        return
    told = "; ".join(f"{one.id} missed its goal: {'; '.join(one.shortfalls)}" for one in missed)
    count = sum(status.state == HELD for status in statuses)
    waiting = f" {count} {'step waits' if count == 1 else 'steps wait'} for it." if count else ""
    raise GoalError(f"{told}.{waiting}", advise(missed[0]))


def input_path(project: Path, given: StepInput, statuses: Mapping[str, StepStatus]) -> Path:
    """Where an input lies; the step that makes it must be done."""
    if not given.step:
        return project / given.path
    artifact = statuses[given.step].artifact
    assert artifact is not None, f"{given.step} is not done"
    return artifact.file(given.output)


def workplace(
    step: Step, project: Path, out: Path, scratch: Path, statuses: Mapping[str, StepStatus]
) -> Workplace:
    """Where the step works; the steps that it reads from must be done."""
    inputs = tuple((given, input_path(project, given, statuses)) for given in step.inputs)
    results = {
        given.step: found.result
        for given in step.inputs
        if given.step and (found := statuses[given.step].artifact) is not None
    }
    return Workplace(step, project, out, scratch, inputs, results)


def _differences(step: Step, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    old_params, new_params = before.get("params", {}), now["params"]
    for name in [*new_params, *(name for name in old_params if name not in new_params)]:
        old, new = old_params.get(name), new_params.get(name)
        if old != new:
            is_told = _brief(old) != _brief(new) and not (_is_record(old) or _is_record(new))
            values = f" {_brief(old)} → {_brief(new)}" if is_told else ""
            yield f"{step.kind}.{name} changed{values}"
    if before.get("engine") != now["engine"]:
        yield f"engine changed {_brief(before.get('engine'))} → {_brief(now['engine'])}"
    if before.get("format") != now["format"]:
        yield "a new version of Copier LoRA makes it otherwise"
    old_inputs, new_inputs = before.get("inputs", []), now["inputs"]
    if [(i[0], i[2]) for i in old_inputs] != [(i[0], i[2]) for i in new_inputs]:
        yield "its inputs are others"
        return
    for given, old, new in zip(step.inputs, old_inputs, new_inputs, strict=True):
        if old[1] != new[1]:
            source = given.step or f"{given.role} {given.path}"
            yield f"{source} changed ({old[1][:8]} → {new[1][:8]})"


def _is_record(value: Any) -> bool:
    """Whether a value is a record or a list of them: too much for a phrase."""
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_is_record, value)))


def _brief(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 40 else text[:37] + "…"
