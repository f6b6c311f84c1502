"""The worker: JSON lines in, JSON lines out, the model stays loaded between requests.

One object a line on stdin, with what to do and an ``id`` that comes back in every answer:

``{"id": 1, "do": "load", "checkpoint": FILE, "vae": FILE?, "prediction": "auto"?}``
    Load a model. ``done`` tells ``family``, ``prediction_type``, ``device`` and ``seconds``.
``{"id": 2, "do": "generate", "requests": [{…}, …], "paths": [FILE, …]}``
    Make pictures; the objects have the fields of `PictureRequest`, loras as ``"FILE:WEIGHT[:TE]"`` or
    ``{"path", "weight", "te_weight"}``. ``progress`` events lead to ``done`` with ``paths``, ``seeds`` (as
    drawn, where one was -1) and ``seconds``.
``{"id": 3, "do": "free"}``      Give the memory back, the GPU's too; the next pictures load the model again.
``{"id": 4, "do": "ping"}``      ``done`` tells ``is_loaded``, ``peak_bytes``, ``peak_gpu_bytes``.
``{"do": "cancel"}``             Stop the pictures underway, which end with an ``error`` of exit code 130.
``{"do": "quit"}``               End. So does the end of stdin, and the death of the parent.

What cannot be done is answered by an ``error`` event with its ``id``; the worker goes on.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from lib_copier.border import events
from lib_copier.errors import CancelledError, CopierError, InputError
from lib_copier.files.disk import found_object
from lib_copier.generate.session import ModelChoice, Session, peak_memory
from lib_copier.txt2img.pictures import PictureRequest

_PARENT_CHECK_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_END = {"do": "quit"}


def serve(stdin: TextIO, *, device: str = "auto", precision: str = "auto") -> int:
    """Answer requests until there are no more; always 0."""
    worker = _Worker(device, precision)
    threading.Thread(target=worker.read, args=(stdin,), daemon=True).start()
    threading.Thread(target=_watch_parent, args=(os.getppid(), worker.end), daemon=True).start()
    events.emit("log", text="ready")
    worker.run()
    return 0


class _Worker:
    """Reads on one thread, so that a cancel gets through, and works on the other."""

    def __init__(self, device: str, precision: str) -> None:
        self._device, self._precision = device, precision
        self._session = Session()
        self._tasks: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stop = threading.Event()
        self._ended = threading.Event()

    def read(self, stdin: TextIO) -> None:
        """Take lines until stdin ends; the end is a wish to quit at once."""
        for line in stdin:
            if not line.strip():
                continue
            task = found_object(line)
            if not task:
                _refuse(None, InputError(f"No JSON object: {line.strip():.80}", "Send one object a line."))
            elif task.get("do") == "cancel":
                self._stop.set()
            elif task.get("do") == "quit":
                break
            else:
                self._tasks.put(task)
        self.end()

    def end(self) -> None:
        """Stop what is underway and quit."""
        self._ended.set()
        self._stop.set()
        self._tasks.put(_END)

    def run(self) -> None:
        """Work until told to end."""
        while not self._ended.is_set():
            task = self._tasks.get()
            if task is _END:
                return
            self._stop.clear()
            if self._ended.is_set():
                return
            self._answer(task)

    def _answer(self, task: dict[str, Any]) -> None:
        number = task.get("id")
        started = time.monotonic()
        doers = {"load": self._load, "generate": self._generate, "free": self._free, "ping": self._ping}
        try:
            do = doers.get(str(task.get("do")))
            if do is None:
                known = ", ".join([*doers, "cancel", "quit"])
                raise InputError(f"Unknown request {task.get('do')!r:.40}.", f"Use one of {known}.")
            result = do(task)
        except CopierError as error:
            _refuse(number, error)
        except OSError as error:
            what = f"{error.strerror or error} ({error.filename or 'no file'})."
            _refuse(number, CopierError(what, "Check the path and free space."))
        except Exception as error:  # noqa: BLE001 - one bad request must not end the worker
            _refuse(
                number, CopierError(f"{type(error).__name__}: {error}", "This is a fault of the program.")
            )
        else:
            events.emit("done", id=number, seconds=round(time.monotonic() - started, 3), **result)

    def _load(self, task: Mapping[str, Any]) -> dict[str, Any]:
        vae = _text(task, "vae", required=False)
        choice = ModelChoice(
            Path(_text(task, "checkpoint")),
            Path(vae) if vae else None,
            _text(task, "prediction", required=False) or "auto",
            self._device,
            self._precision,
        )
        checkpoint = self._session.load(choice).checkpoint
        return {
            "family": checkpoint.family.name,
            "prediction_type": checkpoint.prediction_type,
            "device": str(checkpoint.device),
        }

    def _generate(self, task: Mapping[str, Any]) -> dict[str, Any]:
        requests, paths = task.get("requests"), task.get("paths")
        if not isinstance(requests, list) or not requests or not all(isinstance(r, dict) for r in requests):
            raise InputError("requests must be a list of objects.", "Send at least one.")
        if (
            not isinstance(paths, list)
            or len(paths) != len(requests)
            or not all(isinstance(p, str) for p in paths)
        ):
            raise InputError("paths must name one file for each request.", "Send as many paths as requests.")
        number = task.get("id")
        wanted = [PictureRequest.from_mapping(request).with_seed() for request in requests]
        written = self._session.generate(
            wanted,
            [Path(path) for path in paths],
            on_progress=lambda done, total: events.emit("progress", id=number, step=done, total=total),
            on_step=self._check_stop,
        )
        return {"paths": [str(path) for path in written], "seeds": [request.seed for request in wanted]}

    def _free(self, task: Mapping[str, Any]) -> dict[str, Any]:
        self._session.free()
        return {}

    def _ping(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {"is_loaded": self._session.is_loaded, **peak_memory()}

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise CancelledError


def _text(task: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    value = task.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value:
        raise InputError(f"{name} must be a text, not {value!r:.40}.", f"Send {name}.")
    return value


def _refuse(number: Any, error: CopierError) -> None:
    events.emit("error", id=number, what=error.what, advice=error.advice, exit_code=error.exit_code)


def _watch_parent(parent: int, end: Any) -> None:
    """End when the process that started us is gone, even if something else still holds our stdin open."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    end()
    time.sleep(_GRACE_SECONDS)
    os._exit(0)
