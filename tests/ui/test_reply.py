"""Whatever a client sends: an answer, and nothing outside the project's folders read or written."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_copier.recipe.options import OPTIONS
from lib_copier.ui.acts import ACTS
from lib_copier.ui.view import PANELS
from tests.ui.conftest import make_project
from tests.ui.page_reader import read

HOSTILE = (
    None,
    "",
    7,
    -1e308,
    True,
    [],
    {},
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "con",
    "x" * 100_000,
    "\0",
    "<script>alert(1)</script>",
    "'; rm -rf / #",
    {"name": "x", "data": "!!"},
    {"data": ["x"]},
)
FIELDS = (
    "key",
    "target",
    "value",
    "values",
    "file",
    "size",
    "step",
    "job",
    "verb",
    "name",
    "how",
    "captioner",
)


@pytest.mark.parametrize(
    "request_text", [None, 5, "", "{", "[]", "null", "[" * 100_000, {"act": "go"}, "\ud800"]
)
def test_what_is_no_request_is_answered(door, request_text):
    answer = json.loads(door.answer(request_text))
    assert answer["html"]["panel"]
    assert answer["notice"]["kind"] == "error"


@pytest.mark.parametrize("act", sorted(ACTS))
def test_every_act_takes_any_junk(ask, view, act, host):
    outside = {path for path in host.data_dir().parent.iterdir()}
    for value in HOSTILE:
        for where in (
            {"project": "lines", "panel": "edit"},
            {"project": value, "panel": value, "edit": value},
        ):
            details = dict.fromkeys(FIELDS, value)
            details["values"] = dict.fromkeys(
                ("name", "checkpoint", "effect", "preset", "prompt", "method"), value
            )
            answer = ask(act, where, **details)
            assert set(answer) == {
                *("view", "stamp", "html", "active", "hurried", "notice", "top", "reset", "causes"),
                *("failure", "field"),
            }
            assert "<script>" not in json.dumps(answer["html"])
            if answer["notice"]:
                assert "Traceback" not in answer["notice"]["text"]
    # What a project makes of accepted values stays inside the data folder.
    assert {path for path in host.data_dir().parent.iterdir()} <= outside | {host.lora_dirs()[0]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    act=st.sampled_from(sorted(ACTS)),
    details=st.dictionaries(st.sampled_from(FIELDS), JSON),
    panel=st.sampled_from(PANELS),
)
def test_random_requests_are_answered(ask, view, act, details, panel):
    answer = ask(act, {"project": "lines", "panel": panel}, **details)
    assert answer["notice"] is None or answer["notice"]["text"]
    # Whatever is wrong with a request is found by a check of ours, never by the last handler.
    assert "Something of ours failed" not in json.dumps(answer)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(view_sent=JSON, have=JSON, act=JSON | st.sampled_from(sorted(ACTS)))
def test_random_views_are_answered(door, view, view_sent, have, act):
    answer = json.loads(door.answer(json.dumps({"act": act, "view": view_sent, "have": have})))
    assert "panel" in answer["html"] or answer["html"] == {}
    assert "Something of ours failed" not in json.dumps(answer)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(key=st.sampled_from(sorted(OPTIONS)), value=JSON | st.sampled_from(HOSTILE), unset=st.booleans())
def test_random_settings_leave_a_project_that_opens(ask, view, key, value, unset):
    answer = ask("unset" if unset else "set", view, key=key, target=value, value=value)
    assert "Something of ours failed" not in json.dumps(answer)
    assert ask("poll", view)["view"]["project"] == "lines"


@pytest.mark.parametrize("name", ["../up", "a/b", "C:\\x", "..", ".hidden", "-rf", "nul", "x" * 200, "a\nb"])
def test_a_name_never_leaves_the_projects_folder(ask, host, checkpoint, name):
    answer = make_project(ask, checkpoint, name=name)
    assert answer["notice"]["kind"] == "error"
    assert not list(host.data_dir().rglob("project.json"))
    assert ask("open_project", name=name)["notice"]["kind"] == "error"


def test_hostile_names_and_prompts_are_shown_as_text(ask, checkpoint):
    hostile = '"><img src=x onerror=alert(1)>'
    view = make_project(ask, checkpoint, prompt=hostile)["view"]
    ask("set", view, key="publish.notes", target="edit", value=hostile)
    for panel in PANELS:
        html = ask("go", {**view, "panel": panel})["html"]
        images = [found for name, found in read("".join(html.values())).tags if name == "img"]
        assert not [found for found in images if found.get("src") == "x"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("origin.file", "/etc/passwd"),
        ("project.checkpoint", "/etc/passwd"),
        ("sweep.checkpoint", "/etc/passwd"),
        ("publish.folder", "/tmp"),
        ("no.such", "foreign"),
    ],
)
def test_no_setting_takes_a_foreign_path(ask, view, host, key, value):
    ask("set", view, key=key, target="recipe", value=value)
    stored = (host.data_dir() / "projects" / "lines" / "project.json").read_text(encoding="utf-8")
    assert value not in list(_leaves(json.loads(stored)))


def _leaves(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def test_free_paths_and_setup_are_refused_while_others_can_reach_the_page(ask, view, door):
    from dataclasses import replace

    door.host.info = replace(door.host.info, may_install=False, may_choose_paths=False)
    for answer in (
        ask("set", view, key="base.folder", target="recipe", value="/tmp"),
        ask("set", view, key="base.loras", target="recipe", value="/tmp/x.safetensors"),
        ask("set", view, key="caption.tagger_model", target="recipe", value="somebody/model"),
        ask("engine", view, verb="install"),
        ask("engine", view, verb="set_up"),
    ):
        assert answer["notice"]["kind"] == "error"
    assert door.wizard().workshop.queue.jobs() == ()


@pytest.mark.parametrize("act", ["upload_origin", "upload_edit"])
@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"GIF89a"])
def test_a_broken_upload_is_refused_in_words(ask, view, act, content):
    answer = ask(
        act, {**view, "panel": "edit"}, file={"name": "x.png", "data": base64.b64encode(content).decode()}
    )
    assert answer["notice"]["kind"] == "error"
    assert "picture" in answer["notice"]["text"].lower()
