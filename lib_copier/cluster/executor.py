"""Runs the commands of steps on the nodes of a Ray cluster, as if they ran here."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lib_copier.cluster.connection import LostError, connect, disconnect
from lib_copier.cluster.parcel import PIECE_BYTES, FileNote, Parcel, files_of, pack, raised
from lib_copier.cluster.slots import Place, Places, needs_of
from lib_copier.cluster.surroundings import facts, version_of
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import Outcome
from lib_copier.errors import CancelledError, ChildError
from lib_copier.files.disk import replacing, write_bytes
from lib_copier.graph.executor import Work
from lib_copier.graph.step import is_inside

ATTEMPTS = 4
"""So many nodes may die under a step before it counts as the step's fault."""
MOST_AT_ONCE = 256
_PIECES_UNDER_WAY = 4
_STOP_SECONDS = 30.0
"""A node that does not end a step in that time is left to itself, and its process is killed."""


class RayExecutor:
    """An `Executor` on a cluster; a context, at whose end all that it held there is given back."""

    beside = 0

    def __init__(self, address: str) -> None:
        self._address = address
        self._ray = connect(address)
        self._places = Places(self._ray, address, facts())
        self._sending: dict[tuple[str, str], threading.Lock] = {}
        nodes = [node["Resources"] for node in self._places.nodes()]
        self._has_gpus = any(node.get("GPU") for node in nodes)
        self.at_once = int(max(1, min(MOST_AT_ONCE, sum(node.get("CPU", 0) for node in nodes))))

    def run(self, work: Work, watch: Watch) -> Outcome:
        """See `Executor.run`; a step whose node dies begins again on another.

        Raises
        ------
        GoneError
            The cluster does not answer any more.
        """
        parcel = pack(work)
        needs = needs_of(parcel, self._has_gpus)

        def tell(text: str) -> None:
            watch.on_event({"event": "log", "text": text})

        for _ in range(ATTEMPTS):
            try:
                with self._places.taken(needs, watch.wanted_stop, tell) as place:
                    tell(f"runs on node {place.node}")
                    self._send(parcel, place, watch)
                    return _Errand(place, parcel, work, watch).run()
            except LostError as error:
                tell(f"{error.what} The step begins again.")
                shutil.rmtree(work.place.out)
                work.place.out.mkdir()
        raise ChildError(
            f"{ATTEMPTS} nodes were lost under {work.place.step.id}.",
            "It may need more memory than they have: look at the logs of Ray there.",
        )

    def rest(self, *, leaves_device: bool) -> None:
        """Keep the places for the next run: `close` gives them back."""

    def close_places(self) -> None:
        """Leave the cluster to others until the next step."""
        self._places.close()

    def close(self) -> None:
        """Give all places back and end the connection."""
        self.close_places()
        disconnect(self._ray)

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, parcel: Parcel, place: Place, watch: Watch) -> None:
        """See that the node has every file that the step reads: each is sent to a node once."""

        def look() -> None:
            if watch.wanted_stop():
                raise CancelledError

        notes = {note.digest: note for note in files_of(parcel)}
        for digest in place.ask("lacks", list(notes.values()), meanwhile=look):
            note = notes[digest]
            with self._sending.setdefault((place.home, digest), threading.Lock()):
                if place.ask("lacks", [note], meanwhile=look):
                    _send_file(note, place, look)


def _send_file(note: FileNote, place: Place, look: Callable[[], None]) -> None:
    under_way: deque[Any] = deque()
    offset = 0
    with Path(note.path).open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            under_way.append(place.begin("put", note, offset, piece))
            # The first makes room for all of them.
            if offset == 0 or len(under_way) == _PIECES_UNDER_WAY:
                place.answer(under_way.popleft(), look)
            offset += len(piece)
    for asked in under_way:
        place.answer(asked, look)
    place.ask("seal", note, meanwhile=look)


class _Errand:
    """One step at a place: what is said there is said here, what is wished here is wished there."""

    def __init__(self, place: Place, parcel: Parcel, work: Work, watch: Watch) -> None:
        self._place = place
        self._parcel = parcel
        self._work = work
        self._watch = watch
        self._wished = ""
        self._wished_at = 0.0

    def run(self) -> Outcome:
        """From its beginning to the outputs in their folder here."""
        engine = self._parcel.step.engine
        self._place.ask("begin", self._parcel, version_of(engine), meanwhile=self._obey)
        ended = self._followed()
        if "error" in ended:
            self._place.ask("end")
            raise raised(ended["error"], self._place.node)
        self._take_outputs(ended)
        self._place.begin("end")
        seconds, was_stopped, device = ended["seconds"], ended["was_stopped"], ended["device"]
        return Outcome(dict(ended["result"]), seconds, was_stopped, is_finished=True, device=device)

    def _followed(self) -> Mapping[str, Any]:
        offset = 0
        with self._watch.log.open("ab") as log:
            while True:
                news = self._place.ask("hear", offset, meanwhile=self._obey)
                log.write(news["log"])
                log.flush()
                offset += len(news["log"])
                for event in news["events"]:
                    self._pass_on(event)
                if news["ended"]:
                    ended: Mapping[str, Any] = news["ended"]
                    return ended
                self._obey()

    def _pass_on(self, event: dict[str, Any]) -> None:
        content = event.pop("content", None)
        if isinstance(content, bytes) and is_inside(str(event["path"])):
            path = self._work.place.scratch / str(event["path"])
            write_bytes(path, content)
            event["path"] = str(path)
        self._watch.on_event(event)

    def _obey(self) -> None:
        wanted = self._watch.wanted_stop()
        if wanted and wanted != self._wished:
            self._wished, self._wished_at = wanted, time.monotonic()
            self._place.begin("stop", wanted)
        if self._wished == "discard" and time.monotonic() - self._wished_at > _STOP_SECONDS:
            raise CancelledError("Cancelled.", "The node did not answer; its process there was killed.")

    def _take_outputs(self, ended: Mapping[str, Any]) -> None:
        """Write what the node made, and see that it is what the node said that it made."""
        for name, size, digest in ended["files"]:
            if not is_inside(name):
                raise self._lie(f"named the output {name!r}")
            path = self._work.place.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            found, offset = hashlib.sha256(), 0
            with replacing(path) as file:
                while offset < size:
                    piece = ended["small"].get(name) or self._place.ask("fetch", name, offset)
                    if not piece:
                        break
                    found.update(piece)
                    file.write(piece)
                    offset += len(piece)
            if found.hexdigest() != digest:
                raise self._lie(f"sent another {name} than the one that it told of")

    def _lie(self, what: str) -> ChildError:
        return ChildError(
            f"Node {self._place.node} {what}.", "Nothing of it was kept: run again, and look at that node."
        )
