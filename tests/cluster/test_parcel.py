"""What travels: inputs by digest, devices without their number, errors that come back as they were."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lib_copier.cluster.parcel import files_of, pack, raised, told
from lib_copier.engines.task import Command
from lib_copier.errors import CancelledError, ChildError, CopierError, FaultsError, InputError
from lib_copier.graph.executor import Work
from lib_copier.graph.step import Step, StepInput, Workplace


def work(tmp_path: Path, *paths: Path, **cosmetic: str) -> Work:
    inputs = tuple((StepInput("given", path=str(path)), path) for path in paths)
    step = Step("a", "a", None, tuple(given for given, _ in inputs), cosmetic=tuple(cosmetic.items()))
    out = tmp_path / "work" / "a-key" / "out"
    place = Workplace(step, tmp_path, out, out.parent / "scratch", inputs, {"b": {"steps": 3}})
    digests = tuple("" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return Work(place, Command(()), digests)


def test_inputs_are_named_by_what_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for name, text in (("a.txt", "one"), ("deep/b.txt", "two")):
        (folder / name).write_text(text)
    (tmp_path / "single.txt").write_text("one")
    parcel = pack(work(tmp_path, tmp_path / "single.txt", folder))
    assert parcel.key == "a-key" and parcel.results == {"b": {"steps": 3}}
    single, several = parcel.inputs
    assert single.folder == "" and several.folder == "pictures"
    assert [name for name, _ in several.files] == ["a.txt", "deep/b.txt"]
    notes = list(files_of(parcel))
    assert [one.size for one in notes] == [3, 3, 3]
    assert notes[0].digest == notes[1].digest == hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("cuda:1", "cuda"),
        ("cuda", "cuda"),
        ("cpu", "cpu"),
    ],
)
def test_a_gpu_has_another_number_over_there(tmp_path: Path, here: str, there: str) -> None:
    parcel = pack(work(tmp_path, device=here, state_every="5"))
    assert dict(parcel.step.cosmetic) == {"device": there, "state_every": "5"}


ERRORS = [
    ChildError("It failed.", "Lower it.", argv=("x",), returncode=7, last_lines=("a", "b")),
    InputError("No such file.", "Check it."),
    FaultsError("The job", ["one", "two"], "Mend."),
    CancelledError("Cancelled.", "Run again."),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_of_a_step_come_back_as_they_were(error: CopierError) -> None:
    back = raised(told(error), "x")
    assert str(back) == str(error) and back.exit_code == error.exit_code
    if isinstance(error, ChildError):
        assert vars(back) == vars(error)


def test_other_errors_name_the_node() -> None:
    full = raised(told(OSError(28, "No space left on device", "/node/cache/x")), "tower")
    assert isinstance(full, ChildError)
    assert str(full).startswith("Node tower: No space left on device (/node/cache/x).")
    assert "Node tower: its cache" in str(raised(told(CopierError("its cache is full.")), "tower"))
