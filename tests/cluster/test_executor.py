"""One step at a place that a double plays: what a node says is checked, and its end is told in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lib_copier.cluster import executor
from lib_copier.cluster.connection import GoneError, LostError
from lib_copier.cluster.executor import ATTEMPTS, RayExecutor
from lib_copier.cluster.parcel import told
from lib_copier.errors import ChildError, CopierError
from tests.graph.conftest import child, make, step, texts


def ended(content: bytes = b"words", name: str = "text.txt", **other: Any) -> dict[str, Any]:
    """What a node says at the end of a step that made one file."""
    files = [(name, len(content), hashlib.sha256(content).hexdigest())]
    done = {
        "result": {"ok": True},
        "seconds": 0.1,
        "was_stopped": False,
        "files": files,
        "small": {name: content},
        "device": "NVIDIA H100",
    }
    return {**done, **other}


class Place:
    """A place whose answers the test gives; `hear` may be an error that it raises."""

    node, home = "tower", "tower:/cache"

    def __init__(self, heard: Any, **answers: Any) -> None:
        self._heard = heard
        self._answers = {"lacks": [], **answers}
        self.asked: list[str] = []

    def ask(self, what: str, *arguments: Any, meanwhile: Callable[[], None] = lambda: None) -> Any:
        self.asked.append(what)
        if what != "hear":
            return self._answers.get(what)
        if isinstance(self._heard, BaseException):
            raise self._heard
        return {"events": [], "log": b"said there\n", "ended": self._heard}

    begin = ask

    def answer(self, asked: Any, look: Any = None) -> Any:
        return asked


class Places:
    """Gives the places out, one after the other."""

    def __init__(self, *places: Place) -> None:
        self.places = list(places)

    @contextmanager
    def taken(self, *wanted: Any):
        yield self.places.pop(0)


@pytest.fixture
def run_at(tmp_path: Path):
    """Runs one step at these places."""

    def run(*places: Place) -> Any:
        own = RayExecutor.__new__(RayExecutor)
        own._places, own._sending, own._has_gpus, own.at_once = Places(*places), {}, False, 1
        runner = make(tmp_path / "p", step("a", action=child), executor=own)
        runner.run()
        return runner

    return run


def test_what_a_node_made_is_committed_here(run_at) -> None:
    place = Place(ended())
    runner = run_at(place)
    assert texts(runner) == {"a": "words"}
    made = runner._statuses["a"].artifact
    assert made.result == {"ok": True} and made.manifest["device"] == "NVIDIA H100"
    assert "said there" in runner.folders.step_log("a").read_text()
    assert place.asked == ["lacks", "begin", "hear", "end"]


def test_what_is_large_is_fetched(run_at) -> None:
    assert texts(run_at(Place(ended(small={}), fetch=b"words"))) == {"a": "words"}


LIES = [
    (ended(small={"text.txt": b"other"}), "Node tower sent another text.txt than the one that it told of."),
    (ended(small={}, files=[("text.txt", 9, "0" * 64)]), "Node tower sent another text.txt"),
    (ended(name="../../outside.txt"), r"Node tower named the output '../../outside.txt'."),
    (ended(name="/tmp/x"), "Node tower named the output '/tmp/x'."),
]


@pytest.mark.parametrize(("heard", "what"), LIES)
def test_a_node_that_lies_makes_nothing(run_at, tmp_path, heard, what) -> None:
    with pytest.raises(ChildError, match=what) as found:
        run_at(Place(heard, fetch=b""))
    assert "\n" not in str(found.value)
    assert not (tmp_path / "p" / "artifacts").exists() and not (tmp_path / "p" / "outside.txt").exists()


def test_a_node_without_the_declared_output_makes_nothing(run_at) -> None:
    with pytest.raises(ChildError, match="text.txt was not made"):
        run_at(Place(ended(name="other.txt")))


def test_a_step_goes_on_elsewhere_when_nodes_fall(run_at, tmp_path) -> None:
    lost = LostError("Node tower is lost.", "Run again.")
    assert texts(run_at(Place(lost), Place(lost), Place(ended()))) == {"a": "words"}


def test_a_step_under_which_all_nodes_fall_is_given_up(run_at) -> None:
    lost = [Place(LostError("Node tower is lost.", "Run again.")) for _ in range(ATTEMPTS)]
    with pytest.raises(ChildError, match=f"{ATTEMPTS} nodes were lost under a. It may need more memory"):
        run_at(*lost)


def test_a_cluster_that_goes_away_ends_the_run_and_loses_nothing(run_at) -> None:
    with pytest.raises(GoneError, match="does not answer"):
        run_at(Place(GoneError("The cluster does not answer any more.", "Run again.")))
    assert texts(run_at(Place(ended()))) == {"a": "words"}


FULL = told(OSError(28, "No space left on device"))
MISSING = told(CopierError("its sd-scripts is another one.", "Install the same there."))


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (FULL, "Node tower: No space left on device."),
        (MISSING, "Node tower: its sd-scripts is"),
    ],
)
def test_what_fails_on_a_node_is_told_once(run_at, error, what) -> None:
    place, other = Place({"error": error}), Place(ended())
    with pytest.raises(CopierError, match=what):
        run_at(place, other)
    assert not other.asked, "it is tried nowhere else"


def test_a_file_travels_in_pieces_and_is_sealed(tmp_path, monkeypatch) -> None:
    from lib_copier.cluster.parcel import FileNote

    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(100)))
    monkeypatch.setattr(executor, "PIECE_BYTES", 8)
    sent: list[tuple[int, bytes]] = []

    class Taking(Place):
        def ask(self, what: str, *arguments: Any, **options: Any) -> Any:
            sent.extend([arguments[1:]] if what == "put" else [])
            return super().ask(what, *arguments, **options)

        begin = ask

    place = Taking(None)
    executor._send_file(FileNote("0", 100, "x.bin", str(path)), place, lambda: None)
    assert b"".join(piece for _, piece in sent) == path.read_bytes()
    assert [offset for offset, _ in sent] == list(range(0, 100, 8))
    assert place.asked[-1] == "seal"
