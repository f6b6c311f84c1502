"""Uploads: one copy in the project for each picture that its recipe names, and none beside."""

from __future__ import annotations

import base64

import pytest
from PIL import Image

from lib_copier.errors import InputError
from lib_copier.image.files import encoded
from lib_copier.ui import uploads


def send(ask, view, act: str, shade: int) -> dict:
    content = encoded(Image.new("RGB", (64, 64), (shade, 0, 0)), "PNG")
    file = {"name": "x.png", "data": base64.b64encode(content).decode()}
    return ask(act, {**view, "panel": "edit"}, file=file, size=len(content))


@pytest.fixture
def project(door, view):
    return door.wizard().workshop.desk("lines").project


def pictures(project) -> list[str]:
    inside = [path.relative_to(project.folder) for path in project.folder.rglob("*.png")]
    return sorted(path.as_posix() for path in inside if path.parts[0] != "artifacts")


def test_a_replaced_upload_goes(ask, view, project):
    for shade in range(5):
        assert send(ask, view, "upload_origin", shade)["notice"]["kind"] == "ok"
        assert send(ask, view, "upload_edit", 100 + shade)["notice"]["kind"] == "ok"
    assert len(list(project.folder.glob("artifacts/origin-*"))) == 1, "the replaced ones went"
    first, second = pictures(project)
    assert first.startswith("pictures/first-") and second.startswith("pictures/outline-first-")


def test_an_upload_goes_with_what_it_was_for(ask, view, project):
    send(ask, view, "upload_origin", 1)
    send(ask, view, "upload_edit", 2)
    ask("remove_upload", {**view, "panel": "edit"})
    assert len(pictures(project)) == 1
    ask("remove_origin", view)
    assert pictures(project) == []


def test_what_is_left_over_goes_when_the_project_is_closed(ask, view, project):
    for folder in ("pictures", "uploads"):
        (project.folder / folder).mkdir(exist_ok=True)
        (project.folder / folder / "old.png").write_bytes(b"x")
    ask("close_project", view)
    assert pictures(project) == []


def test_nothing_goes_while_a_run_may_read_it(ask, view, project, monkeypatch):
    send(ask, view, "upload_origin", 1)
    monkeypatch.setattr("lib_copier.steps.view.running", lambda path: object())
    send(ask, view, "upload_origin", 2)
    assert len(pictures(project)) == 2


def test_a_project_takes_so_much_and_no_more(ask, view, project, monkeypatch):
    send(ask, view, "upload_origin", 1)
    monkeypatch.setattr(uploads, "MOST_BYTES", 10)
    answer = send(ask, view, "upload_origin", 2)
    assert answer["notice"]["kind"] == "error" and "of pictures" in answer["notice"]["text"]
    assert len(pictures(project)) == 1


def test_a_refused_upload_leaves_nothing(project):
    picture = Image.new("RGB", (8, 8))
    with pytest.raises(InputError):
        uploads.take(project, picture, "x", lambda path: {"origins.first.file": path, "no.such": 1})
    assert pictures(project) == []


def test_a_late_picture_does_not_bring_its_origin_back(ask, view, project, host, door, monkeypatch):
    """The host made a picture, and meanwhile its origin was taken out."""
    from lib_copier.ui.acts import origin

    page = door.wizard().page(door_view(view))
    ask("remove_origin", view)
    with pytest.raises(InputError, match="is gone"):
        origin._take(page, Image.new("RGB", (64, 64)), "first", "webui", "")
    assert type(project).open(project.folder).recipe.origins == ()


def door_view(view):
    from lib_copier.ui.view import View

    return View.from_json(view)
