"""A place on a node: takes a step with its inputs, has the command done there, and gives out what it made."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from lib_copier.cluster.cache import FOLDERS_VARIABLE, LIMIT_VARIABLE, Cache
from lib_copier.cluster.parcel import PIECE_BYTES, FileNote, Parcel, told
from lib_copier.cluster.surroundings import facts, version_of
from lib_copier.cluster.warden import set_warden
from lib_copier.engines.listening import Event, Watch
from lib_copier.engines.process import Outcome
from lib_copier.engines.task import Command
from lib_copier.engines.tree import end_processes, find_marked
from lib_copier.engines.workers import Workers
from lib_copier.errors import CopierError, InputError
from lib_copier.files.disk import found_object, write_json
from lib_copier.graph.digest import sha256_of
from lib_copier.graph.folders import portable
from lib_copier.graph.lock import living, this_process
from lib_copier.graph.step import Workplace, is_inside

FOLDER_VARIABLE = "COPIER_LORA_NODE"
"""Names another folder for what a node keeps; else it lies in the user's cache folder."""
_HOLDER = "holder.json"
_LISTEN_SECONDS = 1.0


class Slot:
    """One step at a time, on the cores or the GPU that Ray has set aside; an actor of several threads.

    All is asked through `ask`, whose answers are plain: errors of ours travel as words.
    """

    def __init__(self, has_gpu: bool) -> None:
        if not has_gpu:
            # The node's GPUs are others' then.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        home = node_folder()
        self._token = uuid4().hex
        self._jobs = home / "jobs" / self._token
        self._jobs.mkdir(parents=True)
        write_json(self._jobs / _HOLDER, this_process())
        self._warden = set_warden(self._token, self._jobs)
        _clear_up(home / "jobs")
        limit = float(os.environ.get(LIMIT_VARIABLE) or 50.0) * 1e9
        folders = [Path(one) for one in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if one]
        self._cache = Cache(home / "cache", int(limit), folders)
        self._workers = Workers()
        self._job: _Job | None = None

    def ask(self, what: str, *arguments: Any) -> dict[str, Any]:
        """``{"value": …}``, or ``{"error": …}`` with what `parcel.told` tells."""
        try:
            return {"value": getattr(self, f"do_{what}")(*arguments)}
        except (CopierError, OSError) as error:
            return {"error": told(error)}

    def do_facts(self) -> dict[str, Any]:
        """What must be as it is where the step comes from, and the folder of the node."""
        return {**facts(), "home": str(node_folder())}

    def do_lacks(self, notes: list[FileNote]) -> list[str]:
        """Digests of the files that are not here."""
        return [note.digest for note in notes if self._cache.find(note) is None]

    def do_put(self, note: FileNote, offset: int, piece: bytes) -> None:
        """A piece of a file."""
        self._cache.receive(note, offset, piece)

    def do_seal(self, note: FileNote) -> None:
        """The file is whole."""
        self._cache.seal(note)

    def do_begin(self, parcel: Parcel, engine_version: str) -> None:
        """Begin the step; nothing of one before it is kept."""
        if version_of(parcel.step.engine) != engine_version:
            raise CopierError(
                f"its {parcel.step.engine} is missing, or another one than here.",
                "Install the same there: `python run.py engine install`.",
            )
        self.do_end()
        self._job = _Job(self._jobs / parcel.key, parcel, self._cache, self._workers, self._token)

    def do_hear(self, log_offset: int) -> dict[str, Any]:
        """What is new since the last time; waits a moment where nothing is."""
        return self._running().hear(log_offset)

    def do_stop(self, how: str) -> None:
        """Ask the step to end."""
        self._running().wish = how

    def do_fetch(self, name: str, offset: int) -> bytes:
        """A piece of an output."""
        with (self._running().place.out / name).open("rb") as file:
            file.seek(offset)
            return file.read(PIECE_BYTES)

    def do_end(self) -> None:
        """The step is over, or nobody wants it any more: nothing of it stays but its inputs."""
        job, self._job = self._job, None
        if job is not None:
            job.end()
            self._cache.release()

    def _running(self) -> _Job:
        if self._job is None:
            raise CopierError("it runs no step.", "Run again.")
        return self._job


class _Job:
    """One step in its folder, which is laid out as a project is."""

    def __init__(self, home: Path, parcel: Parcel, cache: Cache, workers: Workers, token: str) -> None:
        self.wish = ""
        self._home = home
        self._workers = workers
        self._token = token
        self._heard: list[Event] = []
        self._ended: dict[str, Any] | None = None
        self._news = threading.Condition()
        work = home / "work" / parcel.key
        for folder in (work / "out", work / "scratch"):
            folder.mkdir(parents=True)
        paths = [_laid_out(given, home / "inputs" / str(i), cache) for i, given in enumerate(parcel.inputs)]
        inputs = tuple(zip(parcel.step.inputs, paths, strict=True))
        self.place = Workplace(parcel.step, home, work / "out", work / "scratch", inputs, parcel.results)
        self._there = {str(path): given.path for path, given in zip(paths, parcel.inputs, strict=True)}
        self._log = home / "log"
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def hear(self, log_offset: int) -> dict[str, Any]:
        """Events, what was added to the log, and once it is over how it ended."""
        with self._news:
            self._news.wait_for(lambda: self._heard or self._ended, _LISTEN_SECONDS)
            heard, self._heard = self._heard, []
            ended = self._ended
        text = b""
        with suppress(FileNotFoundError), self._log.open("rb") as log:
            log.seek(log_offset)
            text = log.read() if ended else log.read(PIECE_BYTES)
        return {"events": heard, "log": text, "ended": ended}

    def end(self) -> None:
        """Stop it where it still runs, and delete its folder."""
        self.wish = "discard"
        self._thread.join()
        shutil.rmtree(self._home, ignore_errors=True)

    def _work(self) -> None:
        try:
            ended = self._done()
        except (CopierError, OSError) as error:
            ended = {"error": told(error)}
        except Exception as error:
            ended = {
                "error": told(CopierError(f"{type(error).__name__}: {error}.", "Look at the log of its Ray."))
            }
        with self._news:
            self._ended = ended
            self._news.notify_all()

    def _done(self) -> dict[str, Any]:
        place = self.place
        command = place.step.action(place) if place.step.action else None
        assert isinstance(command, Command)
        control = place.scratch / "control.json"
        watch = Watch(self._log, self._take, lambda: self.wish, control, self._token)
        began = time.monotonic()
        outcome: Outcome = self._workers.run(command, watch)
        if outcome.was_stopped:
            outcome.result["was_stopped"] = True
        if place.step.finish is not None:
            place.step.finish(place, outcome.result)
        paths = sorted(path for path in place.out.rglob("*") if path.is_file())
        files = [
            (path.relative_to(place.out).as_posix(), path.stat().st_size, sha256_of(path)) for path in paths
        ]
        small = {name: (place.out / name).read_bytes() for name, size, _ in files if size <= PIECE_BYTES // 4}
        result = portable(self._as_there(outcome.result), place.out, place.project)
        seconds = time.monotonic() - began
        return {"result": result, "seconds": seconds, "was_stopped": outcome.was_stopped} | {
            "files": files,
            "small": small,
            "device": outcome.device,
        }

    def _take(self, event: Event) -> None:
        """A picture goes along with the event that tells of it; of progress the last counts."""
        if event["event"] == "sample":
            path = Path(str(event["path"]))
            if not path.is_relative_to(self.place.scratch):
                return
            name = path.relative_to(self.place.scratch).as_posix()
            event = {**event, "path": name, "content": path.read_bytes()}
        with self._news:
            if event["event"] == "progress" and self._heard and self._heard[-1]["event"] == "progress":
                self._heard.pop()
            self._heard.append(event)
            self._news.notify_all()

    def _as_there(self, value: Any) -> Any:
        """A result that names inputs as they lie where the step comes from."""
        if isinstance(value, Mapping):
            return {key: self._as_there(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._as_there(item) for item in value]
        return self._there.get(value, value) if isinstance(value, str) else value


def node_folder() -> Path:
    """Where a node keeps what was sent to it and what it works on."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "copier-lora"


def _laid_out(given: Any, home: Path, cache: Cache) -> Path:
    """Where an input lies here: in the cache, or a folder's files under their names."""
    if not given.folder:
        return _found(given.files[0][1], cache)
    for name, note in given.files:
        if not is_inside(name):
            raise InputError(f"{name!r} is no name of a file in a folder.", "Rename it.")
        path = home / given.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_found(note, cache), path)
    return home / given.folder


def _found(note: FileNote, cache: Cache) -> Path:
    path = cache.find(note)
    if path is None:
        raise CopierError(f"{note.name} is no longer in its cache.", "Run again.")
    return path


def _clear_up(jobs: Path) -> None:
    """Settle what processes have left whose node fell with their warden."""
    for folder in jobs.iterdir():
        if not living(found_object(folder / _HOLDER)):
            end_processes(find_marked(folder.name))
            shutil.rmtree(folder, ignore_errors=True)
