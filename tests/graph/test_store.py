"""A crash at any write leaves the old artifact or the new one, and no output leads elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.errors import ChildError, InputError
from lib_copier.files import disk
from lib_copier.graph import store
from lib_copier.graph.step import Output
from lib_copier.graph.store import Store
from tests.graph.conftest import make, step, texts


class Killed(BaseException):
    """Stands for the power cord: nothing of ours catches it."""


@pytest.mark.parametrize("replaces", [False, True])
def test_a_crash_at_any_write_leaves_the_old_state_or_the_new(tmp_path, monkeypatch, replaces) -> None:
    instant = 0
    while _crashes_at(instant, tmp_path / str(instant), monkeypatch, replaces):
        instant += 1
    assert instant > 20, "the writes of two steps were all cut once"


def _crashes_at(instant: int, folder: Path, monkeypatch: pytest.MonkeyPatch, replaces: bool) -> bool:
    """Cut a run at its n-th write and look at what the next run finds; False: it ended before."""
    steps = (step("a"), step("b", "a"))
    folder.mkdir()
    if replaces:
        make(folder, *steps).run()
    with monkeypatch.context() as patched:
        countdown = iter(range(instant, -1, -1))
        for place, name in WRITES:
            patched.setattr(place, name, _cutting(getattr(place, name), countdown))
        try:
            make(folder, *steps).run(force=["a", "b"] if replaces else [])
        except Killed:
            was_cut = True
        else:
            was_cut = False
    if replaces:
        Store(folder).recover()
        assert {key.split("-")[0] for key, _m in Store(folder).manifests()} == {"a", "b"}
    last = make(folder, *steps)
    last.run()
    assert texts(last) == {"a": "a", "b": "a+b"}
    assert make(folder, *steps).run().made == ()
    assert not list((folder / "artifacts").glob(".*"))
    return was_cut


def _cutting(original, countdown):
    def call(*arguments, **options):
        if next(countdown, None) == 0:
            raise Killed
        return original(*arguments, **options)

    return call


WRITES = (
    (store, "flush_file"),
    (store, "write_json"),
    (store.shutil, "rmtree"),
    (Path, "replace"),
    (disk.os, "fsync"),
)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:x", "..\\x", "", "a//b", "x\0"])
def test_no_output_leads_out_of_its_artifact(name) -> None:
    with pytest.raises(InputError, match="leads elsewhere"):
        Output(name, "text")


def test_a_link_among_the_outputs_is_not_committed(run, tmp_path) -> None:
    (tmp_path / "secret").write_text("secret")

    def act(place):
        (place.out / "text.txt").write_text("x")
        (place.out / "more.txt").symlink_to(tmp_path / "secret")
        return {}

    with pytest.raises(ChildError, match=r"more\.txt is a link"):
        run(step("a", action=act)).run()
