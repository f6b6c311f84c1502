"""Pictures tried from the page: one prompt at a slider's weights, printed as they are asked for.

On a processor, and where the GPU is ours alone, a worker that stays warm prints the weight nearest to the
slider first, and the others one by one, or all at once where that takes moments only. Inside a WebUI the GPU
is the host's: all are one job of the queue, which waits until it is freed and gives it back as for a
training.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lib_copier.engines.embedded import module_command
from lib_copier.engines.listening import Watch
from lib_copier.engines.task import Command
from lib_copier.engines.workers import Workers
from lib_copier.errors import CancelledError, CopierError
from lib_copier.files.disk import write_json
from lib_copier.files.lock import HeldError
from lib_copier.graph.lock import held
from lib_copier.graph.queue import FAILED, Queue
from lib_copier.steps.device import device_lock
from lib_copier.txt2img.pictures import SETTINGS, LoraUse, PictureRequest

WEIGHTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_KEPT = 400
_MOMENTS = 4.0
"""Seconds: where a picture takes no longer, all others come in one batch, which is quicker."""
_PATIENCE_SECONDS = 6.0
"""A picture that nobody waits for any more may take so long to its end: about what a new worker takes until
it prints, where the old one was ended."""


@dataclass(frozen=True)
class Trial:
    """What is tried: a picture, on a checkpoint, with each of some LoRAs (name, file) at every weight."""

    project: str
    checkpoint: Path
    vae: Path | None
    prediction: str
    device: str
    request: PictureRequest
    loras: tuple[tuple[str, Path], ...]
    folder: Path

    @property
    def places(self) -> list[tuple[int, float]]:
        """(row, weight) of all its pictures."""
        return [(row, weight) for row in range(len(self.loras)) for weight in WEIGHTS]

    def path(self, row: int, weight: float) -> Path:
        """The picture's file, named by all that decides it: at weight 0 both LoRAs show the same."""
        files = [self.checkpoint, self.vae, *(use.path for use in self._request(row, weight).loras)]
        told = repr((self._request(row, weight), self.prediction, [_state(file) for file in files if file]))
        return self.folder / f"try-{hashlib.sha256(told.encode()).hexdigest()[:24]}.png"

    def missing(self) -> list[tuple[int, float]]:
        """The places whose pictures are not there yet."""
        return [place for place in self.places if not self.path(*place).is_file()]

    def command(self, places: Sequence[tuple[int, float]]) -> Command:
        """Prints one of its pictures, or several in a batch."""
        if len(places) > 1:
            return module_command("generate", *self._model(), "--requests", str(self._told(places)))
        row, weight = places[0]
        request = self._request(row, weight)
        words = [f"--{name}={getattr(request, name)}" for name in SETTINGS]
        for use in request.loras:
            words += ["--lora", f"{use.path}:{use.weight!r}:{use.text_weight!r}"]
        return module_command("generate", *self._model(), *words, "--out", str(self.path(row, weight)))

    def job(self) -> tuple[str, ...]:
        """Arguments of the process that prints all that are missing at once."""
        words = ("--requests", str(self._told(self.missing())))
        return ("-m", "lib_copier.generate", *self._model(), *words)

    def _told(self, asked: Sequence[tuple[int, float]]) -> Path:
        """A file that asks for pictures."""
        places = {self.path(*place): self._request(*place) for place in asked}
        wanted = [
            {
                **{name: getattr(request, name) for name in SETTINGS},
                "loras": [{**use.__dict__, "path": str(use.path)} for use in request.loras],
            }
            for request in places.values()
        ]
        told = {"requests": wanted, "paths": [str(path) for path in places]}
        name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]
        path = self.folder / f"try-{name}.json"
        write_json(path, told)
        return path

    def _model(self) -> list[str]:
        vae = ["--vae", str(self.vae)] if self.vae else []
        model = ["--checkpoint", str(self.checkpoint), *vae, "--prediction", self.prediction]
        return [*model, "--device", self.device]

    def _request(self, row: int, weight: float) -> PictureRequest:
        own = (LoraUse(self.loras[row][1], weight),) if weight else ()
        return replace(self.request, loras=(*self.request.loras, *own))


class Printer:
    """Prints the trial that was asked for last; one trial at a time, whoever asks."""

    def __init__(self, queue: Queue) -> None:
        self.trial: Trial | None = None
        """What the page shows."""
        self.problem = ""
        self.is_waiting = False
        """Whether something else has the device."""
        self._queue = queue
        self._workers = Workers()
        self._at = 1.0
        self._quick: Trial | None = None
        self._is_wanted = False
        self._is_open = False
        self._lock = threading.Lock()

    def show(self, trial: Trial, *, is_host_gpu: bool) -> None:
        """Print a trial from now on, and no other."""
        trial.folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self.trial, self.problem, self._is_wanted = trial, "", True
            if is_host_gpu:
                self._is_wanted = False
                if trial.missing():
                    self._queue.submit(_job_key(trial), "preview", trial.job())
                return
            if not self._is_open:
                self._is_open = True
                threading.Thread(target=self._work, name="copier-lora printer", daemon=True).start()

    def move(self, at: float) -> None:
        """The slider stands at that weight: the pictures nearest to it come first."""
        self._at = at

    def stop(self) -> None:
        """Print no more."""
        self._is_wanted = False
        job = self._queue.find(_job_key(self.trial)) if self.trial else None
        if job is not None and job.is_open:
            self._queue.cancel(job.id)

    def is_open(self, project: str) -> bool:
        """Whether pictures of a project's trial are on their way."""
        return self.trial is not None and self.trial.project == project and self._is_open

    @property
    def has_job(self) -> bool:
        """Whether the trial waits or runs as a job of the queue."""
        job = self._queue.find(_job_key(self.trial)) if self.trial else None
        return job is not None and job.is_open

    def failure(self, project: str) -> str:
        """What went wrong with a project's trial; empty where nothing did."""
        if self.trial is None or self.trial.project != project:
            return ""
        job = self._queue.find(_job_key(self.trial))
        return self.problem or (job.message if job is not None and job.state == FAILED else "")

    def _work(self) -> None:
        while (found := self._next()) is not None:
            trial, places = found
            try:
                with self._device(trial):
                    outcome = self._workers.run(trial.command(places), self._watch(trial))
                if outcome.seconds < _MOMENTS:
                    self._quick = trial
            except (CancelledError, HeldError):
                continue
            except (CopierError, OSError) as error:
                with self._lock:
                    if self.trial is trial:
                        self.problem, self._is_wanted = str(error), False

    def _next(self) -> tuple[Trial, list[tuple[int, float]]] | None:
        """The pictures to print now; None where all are there, and the thread ends."""
        with self._lock:
            trial = self.trial
            left = trial.missing() if trial is not None and self._is_wanted else []
            if trial is None or not left:
                self._is_open = False
                return None
            # At weight 0 all LoRAs share a picture, which a batch need not print twice.
            left = list({trial.path(*place): place for place in reversed(left)}.values())
            nearest = min(left, key=lambda place: (abs(place[1] - self._at), place[0]))
            return trial, left if trial is self._quick else [nearest]

    def _watch(self, trial: Trial) -> Watch:
        log, began = trial.folder / "try.log", time.monotonic()
        log.unlink(missing_ok=True)
        _forget_old(trial.folder)

        def wanted_stop() -> str:
            is_late = time.monotonic() - began > _PATIENCE_SECONDS
            return "discard" if is_late and not self._is_still(trial) else ""

        return Watch(log, wanted_stop=wanted_stop)

    def _is_still(self, trial: Trial) -> bool:
        return self._is_wanted and self.trial is trial

    @contextmanager
    def _device(self, trial: Trial) -> Iterator[None]:
        """The device's lock where it has one, its memory given back with it."""
        lock = device_lock(trial.device)
        if lock is None:
            yield
            return
        self.is_waiting = True
        try:
            should_stop = lambda: not self._is_still(trial)  # noqa: E731
            with held(lock, "The device", wait=True, should_stop=should_stop):
                self.is_waiting = False
                yield
                self._workers.free()
        finally:
            self.is_waiting = False


def _job_key(trial: Trial) -> str:
    return f"preview of {trial.project}"


def _state(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), found.st_size, found.st_mtime_ns


def _forget_old(folder: Path) -> None:
    """Keep the newest: everybody tries many prompts."""
    found = sorted((path.stat().st_mtime, path) for path in folder.glob("try-*"))
    for _, path in found[:-_KEPT]:
        path.unlink(missing_ok=True)
