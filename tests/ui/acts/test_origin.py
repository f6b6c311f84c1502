"""Origins that come, go and are uploaded."""

from __future__ import annotations

import base64


def test_origins_come_and_go(ask, view, recipe):
    second = ask("add_origin", {**view, "panel": "origin"})["view"]
    assert second["origin"] == "origin-2"
    assert recipe().origins[1].get("seed") != recipe().origins[0].get("seed")
    ask("set", second, key="origin.seed", target="origin", value="77")
    assert [origin.get("seed") for origin in recipe().origins][1] == 77
    ask("remove_origin", second)
    assert [origin.name for origin in recipe().origins] == ["first"]


def test_an_uploaded_origin_is_cropped_and_kept_in_the_project(ask, view, recipe, png, door):
    answer = ask(
        "upload_origin", view, file={"name": "..\\..\\x.png", "data": base64.b64encode(png).decode()}
    )
    assert answer["notice"]["kind"] == "ok"
    origin = recipe().origins[0]
    assert origin.get("source") == "file"
    path = door.wizard().workshop.desk("lines").inside(str(origin.get("file")))
    assert path is not None
    assert path.is_file()


def test_an_uploaded_edited_picture_of_another_size_is_refused_and_not_kept(ask, view, recipe, png, door):
    upload = {"name": "x.png", "data": base64.b64encode(png).decode()}
    answer = ask("upload_edit", view, file=upload)
    assert answer["notice"]["kind"] == "error"
    assert "128x96, its origin 512x512" in answer["notice"]["text"]
    assert recipe().edits[0].files == ()
    assert not list(door.wizard().workshop.folder_of("lines").rglob("uploads/*.png"))
    ask("upload_origin", view, file=upload)
    assert ask("upload_edit", view, file=upload)["notice"]["kind"] == "ok"
    assert recipe().edits[0].files
