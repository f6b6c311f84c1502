"""Places on nodes: what a step needs, who gets which, and nodes that do not suit."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lib_copier.cluster.parcel import FileNote, InputNote, Parcel
from lib_copier.cluster.slots import Needs, Places, needs_of
from lib_copier.cluster.surroundings import facts
from lib_copier.errors import CancelledError, CopierError, InputError
from lib_copier.graph.step import Step, StepInput

GIB = 1 << 30


def parcel(role: str, size: int, device: str = "auto") -> Parcel:
    step = Step("a", "a", None, (StepInput(role),), cosmetic=(("device", device),))
    return Parcel(step, "key", (InputNote("/x", (("", FileNote("0", size, "x", "/x")),)),), {})


def test_a_model_takes_memory_by_its_size_and_a_gpu_where_there_is_one(monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert needs_of(parcel("checkpoint", 4 * GIB), True) == Needs(1, 1, 9 * GIB)
    assert needs_of(parcel("checkpoint", 4 * GIB), False) == Needs(1, 0, 9 * GIB)
    assert needs_of(parcel("checkpoint", 4 * GIB, "cpu"), True).gpus == 0
    assert needs_of(parcel("checkpoint", 4 * GIB, "cuda"), False).gpus == 1, "it is asked for: none will do"
    assert needs_of(parcel("picture", 4 * GIB), True) == Needs(1, 0, GIB // 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert needs_of(parcel("picture", 1), True).cores == 3


class Actor:
    """What Ray makes of a slot: answers with the facts of its node."""

    def __init__(self, ray: Ray) -> None:
        self._ray = ray
        self.ask = SimpleNamespace(remote=lambda what: {"value": {**ray.there, "home": "/node"}})


class Ray:
    """As much of Ray as places need; `there` are the facts of its nodes."""

    exceptions = SimpleNamespace(RayError=ZeroDivisionError, RayTaskError=ZeroDivisionError)

    def __init__(self, **resources: float) -> None:
        self.there = facts()
        self.made: list[dict[str, Any]] = []
        self.killed = 0
        self.is_ready = True
        self._resources = resources

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": self._resources}] if self._resources else []

    def remote(self, kind: type) -> Any:
        return self

    def options(self, **options: Any) -> Any:
        self.made.append(options)
        return SimpleNamespace(remote=lambda has_gpu: Actor(self))

    def wait(self, asked: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return (asked, []) if self.is_ready else ([], asked)

    def get(self, asked: Any) -> Any:
        return asked

    def kill(self, actor: Actor) -> None:
        self.killed += 1


SMALL = Needs(1, 0, GIB)


def places(ray: Ray) -> Places:
    return Places(ray, "ray://head:1", facts())


def take(found: Places, needs: Needs = SMALL, stop: str = "") -> Any:
    with found.taken(needs, lambda: stop, lambda text: None) as place:
        return place


def test_a_place_is_used_again_by_what_it_suits() -> None:
    ray = Ray(CPU=4.0, memory=float(8 * GIB))
    found = places(ray)
    first = take(found, replace(SMALL, memory=4 * GIB))
    assert take(found, SMALL) is first
    assert ray.made == [
        {"num_cpus": 1, "num_gpus": 0, "memory": 4 * GIB, "max_concurrency": 4, "max_restarts": 0}
    ]
    assert take(found, replace(SMALL, memory=5 * GIB)) is not first and ray.killed == 1
    found.close()
    assert ray.killed == 2


def test_after_an_error_nobody_has_the_place_again() -> None:
    ray = Ray(CPU=4.0, memory=float(8 * GIB))
    found = places(ray)
    with pytest.raises(KeyError), found.taken(SMALL, lambda: "", lambda text: None):
        raise KeyError
    assert ray.killed == 1
    take(found)
    assert len(ray.made) == 2


def test_a_node_with_other_packages_is_named_and_left() -> None:
    ray = Ray(CPU=4.0, memory=float(8 * GIB))
    ray.there = {**ray.there, "host": "tower", "packages": {**ray.there["packages"], "torch": "1.0.0"}}
    with pytest.raises(InputError, match=r"Node tower has other packages: torch 1.0.0 \(here "):
        take(places(ray))
    assert ray.killed == 1


@pytest.mark.parametrize(
    ("resources", "needs", "told"),
    [
        (
            {"CPU": 1.0, "memory": 2.0 * GIB},
            Needs(1, 0, 3 * GIB),
            "No node of the cluster has 1 core with 3.0 GiB",
        ),
        (
            {"CPU": 1.0, "memory": 2.0 * GIB},
            Needs(2, 1, GIB),
            "has 1 GPU and 2 cores with 1.0 GiB for a step",
        ),
    ],
)
def test_what_no_node_has_is_told_at_once(resources, needs, told) -> None:
    ray = Ray(**resources)
    with pytest.raises(InputError, match=told):
        take(places(ray), needs)
    assert not ray.made


def test_a_cluster_without_nodes() -> None:
    with pytest.raises(CopierError, match="The cluster has no node."):
        take(places(Ray()))


def test_who_waits_takes_what_another_leaves() -> None:
    ray = Ray(CPU=1.0, memory=float(8 * GIB))
    found = places(ray)
    with found.taken(SMALL, lambda: "", lambda text: None) as first:
        ray.is_ready = False
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(take, found)
            while len(ray.made) < 2:
                time.sleep(0.01)
            found._idle.append(first)
            assert waiting.result(20) is first
        found._idle.clear()
    assert ray.killed == 1, "the place that it waited for"


def test_who_waits_for_a_place_can_be_cancelled() -> None:
    ray = Ray(CPU=4.0, memory=float(8 * GIB))
    ray.is_ready = False
    with pytest.raises(CancelledError):
        take(places(ray), stop="discard")
    assert ray.killed == 1
