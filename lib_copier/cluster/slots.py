"""Places on the nodes, held as long as a run lasts: what each step needs, and who has one that suits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from lib_copier.cluster.connection import failures_named
from lib_copier.cluster.node import Slot
from lib_copier.cluster.parcel import Parcel, raised
from lib_copier.cluster.surroundings import require_same
from lib_copier.errors import CancelledError, CopierError, InputError

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
_THREADS = "OMP_NUM_THREADS"
_GIB = 1 << 30


@dataclass(frozen=True)
class Needs:
    """What Ray has to set aside for a step."""

    cores: int
    gpus: int
    memory: int
    """In bytes, of the machine's."""

    def cover(self, other: Needs) -> bool:
        """Whether what is set aside for this suits the other too."""
        is_same = (self.cores, self.gpus) == (other.cores, other.gpus)
        return is_same and self.memory >= other.memory

    def __str__(self) -> str:
        gpu = f"{self.gpus} GPU and " if self.gpus else ""
        return f"{gpu}{self.cores} {'core' if self.cores == 1 else 'cores'} with {self.memory / _GIB:.1f} GiB"


def needs_of(parcel: Parcel, has_gpus: bool) -> Needs:
    """A model takes memory by the size of its file, in full precision and with what works on it.

    A step with a model takes a GPU where the cluster has any, unless the recipe asks for the CPU.
    """
    model = sum(
        note.size
        for given, noted in zip(parcel.step.inputs, parcel.inputs, strict=True)
        if given.role in ("checkpoint", "vae")
        for _, note in noted.files
    )
    device = str(dict(parcel.step.cosmetic).get("device", "cpu"))
    takes_gpu = bool(model) and device != "cpu" and (has_gpus or device != "auto")
    memory = _GIB // 2 + 2 * model + (_GIB // 2 if model else 0)
    return Needs(max(1, int(os.environ.get(_THREADS) or 1)), int(takes_gpu), memory)


class Place:
    """A slot on a node as it is seen from here."""

    def __init__(self, ray: Any, address: str, needs: Needs) -> None:
        self.needs = needs
        self.node = "of the cluster"
        self.home = ""
        """Which node's folder it works in."""
        self._ray = ray
        self._address = address
        with self._talking():
            set_aside = {"num_cpus": needs.cores, "num_gpus": needs.gpus, "memory": needs.memory}
            actor = ray.remote(Slot).options(**set_aside, max_concurrency=4, max_restarts=0)
            self._actor = actor.remote(bool(needs.gpus))

    def ask(self, what: str, *arguments: Any, meanwhile: Callable[[], None] = lambda: None) -> Any:
        """What the slot answers; `meanwhile` is called often until it does, and may raise.

        Raises
        ------
        LostError, GoneError
            The node or the cluster is.
        CopierError
            What the node raised.
        """
        return self.answer(self.begin(what, *arguments), meanwhile)

    def begin(self, what: str, *arguments: Any) -> Any:
        """Ask, and come back for the `answer` later."""
        with self._talking():
            return self._actor.ask.remote(what, *arguments)

    def answer(self, asked: Any, meanwhile: Callable[[], None] = lambda: None) -> Any:
        """The answer to what was asked."""
        with self._talking():
            while not self.has_answered(asked):
                meanwhile()
            found = self._ray.get(asked)
        if "error" in found:
            raise raised(found["error"], self.node)
        return found["value"]

    def has_answered(self, asked: Any) -> bool:
        """Whether the answer is there; waits a moment for it."""
        with self._talking():
            return bool(self._ray.wait([asked], timeout=_LOOK_SECONDS)[0])

    def close(self) -> None:
        """Give the place back; what runs there ends."""
        with suppress(Exception):
            self._ray.kill(self._actor)

    def _talking(self) -> Any:
        return failures_named(self._ray, self._address, self.node)


class Places:
    """All places of one connection; any thread may take one."""

    def __init__(self, ray: Any, address: str, here: Mapping[str, Any]) -> None:
        self._ray = ray
        self._address = address
        self._here = here
        self._idle: list[Place] = []
        self._lock = threading.Lock()

    @contextmanager
    def taken(
        self, needs: Needs, should_stop: Callable[[], str], tell: Callable[[str], None]
    ) -> Iterator[Place]:
        """A place for the length of the block; after an error in it, whatever it was, nobody has it again.

        Raises
        ------
        InputError
            No node has what the step needs, or the one that has it does not suit.
        CancelledError
            `should_stop` asked for it while the step waited.
        """
        place = self._idle_one(needs) or self._new(needs, should_stop, tell)
        try:
            yield place
        except BaseException:
            place.close()
            raise
        with self._lock:
            self._idle.append(place)

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that live, with their ``Resources``."""
        with failures_named(self._ray, self._address, "of the cluster"):
            return [node for node in self._ray.nodes() if node["Alive"]]

    def close(self) -> None:
        """Give back what nobody uses now."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _idle_one(self, needs: Needs) -> Place | None:
        with self._lock:
            for place in self._idle:
                if place.needs.cover(needs):
                    self._idle.remove(place)
                    return place
            # What does not suit may stand in the way of what does.
            while self._idle:
                self._idle.pop().close()
        return None

    def _new(self, needs: Needs, should_stop: Callable[[], str], tell: Callable[[str], None]) -> Place:
        self._require_possible(needs)
        place = Place(self._ray, self._address, needs)
        began, was_told = time.monotonic(), False
        try:
            asked = place.begin("facts")
            while not place.has_answered(asked):
                if should_stop():
                    raise CancelledError
                # What another step has left may be what this one waits for.
                if idle := self._idle_one(needs):
                    place.close()
                    return idle
                if not was_told and time.monotonic() - began > _PATIENCE_SECONDS:
                    tell(f"waiting for {needs} on the cluster")
                    was_told = True
            there = place.answer(asked)
            place.node, place.home = str(there["host"]), f"{there['host']}:{there['home']}"
            require_same(self._here, there, place.node)
        except BaseException:
            place.close()
            raise
        return place

    def _require_possible(self, needs: Needs) -> None:
        nodes = [node["Resources"] for node in self.nodes()]
        fitting = [
            one
            for one in nodes
            if one.get("CPU", 0) >= needs.cores
            and one.get("GPU", 0) >= needs.gpus
            and one.get("memory", 0) >= needs.memory
        ]
        if not nodes:
            raise CopierError("The cluster has no node.", "Start one: `python run.py cluster join …`.")
        if not fitting:
            largest = max(one.get("memory", 0) for one in nodes)
            raise InputError(
                f"No node of the cluster has {needs} for a step (the largest has {largest / _GIB:.1f} GiB).",
                "Add a larger node, or run without --on.",
            )
