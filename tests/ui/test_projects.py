"""Renaming and deleting projects on the page."""

from __future__ import annotations

import html
import json
import threading

import pytest

from lib_copier.ui.texts import LANGUAGES, Texts
from tests.ui.conftest import make_project
from tests.ui.test_tasks import wait_for


@pytest.fixture
def names(door):
    return lambda: sorted(entry.name for entry in door.wizard().workshop.entries())


def test_a_project_is_renamed_where_one_stands(ask, view, names):
    answer = ask("rename_project", view, values={"name": "curves"})
    assert (answer["notice"]["kind"], answer["view"]["project"]) == ("ok", "curves")
    assert answer["view"]["panel"] == view["panel"] and names() == ["curves"]
    for name in ("", "../x", "con"):
        assert ask("rename_project", answer["view"], values={"name": name})["notice"]["kind"] == "error"
    assert names() == ["curves"]


def test_a_project_is_deleted_by_its_name(ask, view, names, checkpoint):
    make_project(ask, checkpoint, name="other")
    answer = ask("delete_project", view, name="lines")
    assert (answer["notice"]["kind"], answer["view"]["project"]) == ("ok", "")
    assert names() == ["other"]
    for name in ("../projects", "nothing", ""):
        assert ask("delete_project", answer["view"], name=name)["notice"]["kind"] == "error"
    assert names() == ["other"]


def test_one_with_work_in_the_queue_stays(ask, view, names):
    ask("run_all", view)
    assert "Stop it first" in ask("delete_project", view, name="lines")["notice"]["text"]
    assert "Stop it first" in ask("rename_project", view, values={"name": "x"})["notice"]["text"]
    assert "Stop it first" in ask("delete_project", {}, name="lines")["notice"]["text"], "from the list too"
    assert names() == ["lines"]


def test_one_that_cannot_be_opened_is_deleted_from_the_list(ask, view, names, host):
    (host.data_dir() / "projects" / "lines" / "project.json").write_text("[")
    panel = ask("go", {})["html"]["panel"]
    assert 'data-act="delete_project" data-name="lines"' in panel
    ask("delete_project", {}, name="lines")
    assert names() == []


def test_what_a_crash_left_is_no_project(view, names, host):
    folder = host.data_dir() / "projects"
    (folder / "lines").rename(folder / ".0badcafe.trash")
    assert names() == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_question_names_the_project_and_the_folder_can_be_copied(
    door, ask, view, host, monkeypatch, language
):
    words = Texts(language)
    monkeypatch.setattr(door, "texts", words)
    monkeypatch.setattr(door, "_wizard", None)
    panel = html.unescape(ask("go", {**view, "panel": "project"})["html"]["panel"])
    assert words("project.delete_sure", name="lines") in panel
    assert f'data-copy="{host.data_dir() / "projects" / "lines"}"' in panel


def test_a_project_is_there_at_once_while_its_checkpoint_is_being_read(ask, checkpoint, door, monkeypatch):
    """Two gigabytes are read by a thread; the request that made the project does not wait for it."""
    may_end = threading.Event()

    def chunks_of(path):
        yield b"weig"
        assert may_end.wait(20)
        yield b"hts"

    monkeypatch.setattr("lib_copier.graph.status.LARGE", 1)
    monkeypatch.setattr("lib_copier.graph.readings.chunks_of", chunks_of)
    answer = make_project(ask, checkpoint)
    view = answer["view"]
    assert view["project"] == "lines" and answer["active"]
    wait_for(lambda: "57%" in ask("poll", view)["html"]["bar"])
    answer = ask("poll", view)
    assert "base.safetensors is being read once: 57%" in answer["html"]["bar"]
    assert (
        "base.safetensors is being read"
        in door.wizard().workshop.desk("lines").states["origin/first"].reasons[0]
    )
    assert ask("prune", view)["notice"]["kind"] == "ok", "what must know reads for itself"
    may_end.set()
    wait_for(lambda: not ask("poll", view)["active"])
    assert "being read" not in json.dumps(ask("go", view)["html"])
    assert door.wizard().workshop.desk("lines").states["origin/first"].reasons == ("not made yet",)


def test_a_checkpoint_that_was_read_for_one_project_is_known_to_the_next(ask, checkpoint, door, monkeypatch):
    monkeypatch.setattr("lib_copier.graph.status.LARGE", 1)
    view = make_project(ask, checkpoint)["view"]
    wait_for(lambda: not ask("poll", view)["active"])
    monkeypatch.setattr("lib_copier.graph.readings.chunks_of", lambda path: 1 / 0)
    assert not make_project(ask, checkpoint, name="other")["active"]
