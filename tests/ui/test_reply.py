"""Whatever a client sends: an answer, and nothing outside the project's folders read or written."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_copier.markup.html import Html
from lib_copier.recipe.options import OPTIONS
from lib_copier.ui import reply
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


def test_a_broken_project_locks_nobody_out(ask, view, host):
    (host.data_dir() / "projects" / "lines" / "project.json").write_text("[", encoding="utf-8")
    answer = ask("go", view)
    assert answer["notice"]["kind"] == "error"
    assert answer["view"]["project"] == ""
    assert "create_project" in answer["html"]["panel"]


def test_an_unchanged_page_is_not_sent_again(ask, view):
    first = ask("go", view)
    again = json.loads(json.dumps(ask("poll", view, have=first["stamp"])))
    assert again["html"] == {}
    ask("set", view, key="origin.seed", target="origin", value="9")
    assert ask("poll", view, have=first["stamp"])["html"]


def test_a_fault_of_one_panel_leaves_the_others(ask, view, monkeypatch):
    import lib_copier.ui.panels.copier as panel

    monkeypatch.setattr(panel, "render", lambda page: 1 / 0)
    assert "ZeroDivisionError" in ask("go", {**view, "panel": "copier"})["html"]["panel"]
    assert "ZeroDivisionError" not in ask("go", {**view, "panel": "check"})["html"]["panel"]


def test_pictures_of_other_folders_are_not_linked(ask, view, host, tmp_path: Path):
    desk_file = host.data_dir() / "projects" / "lines" / "project.json"
    document = json.loads(desk_file.read_text(encoding="utf-8"))
    document["origins"][0] |= {"source": "file", "file": "../../../secret.png"}
    desk_file.write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "secret.png").write_bytes(b"x")
    assert "secret.png?" not in ask("go", {**view, "panel": "origin"})["html"]["panel"]


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "[" * 100_000,
        "{}{}",
        '{"schema": 99}',
        '{"schema": 1, "copier": {"rank": 1' + "0" * 400 + "}}",
        '{"schema": 1, "project": {"name": "\\ud800"}}',
        '{"schema": 1, "origins": [{"name": "../../x"}]}',
        '{"schema": 1, "origins": 7, "edits": {"a": 1}}',
        '{"schema": 1, "publish": {"name": "a/b"}, "project": {"device": "rm -rf"}}',
        "\0",
    ],
)
def test_a_broken_project_is_listed_with_its_reason(ask, view, host, checkpoint, content):
    (host.data_dir() / "projects" / "lines" / "project.json").write_text(content, encoding="utf-8")
    make_project(ask, checkpoint, name="sound")
    for asked in (view, {}, {"project": "sound"}):
        answer = ask("close_project", asked)
        answer = ask("go", answer["view"])
        text = read(answer["html"]["panel"]).text
        assert answer["view"]["project"] == "" and "lines: " in text
        shown = [found for _, found in read(answer["html"]["panel"]).tags if found.get("data-act")]
        names = [found.get("data-name") for found in shown if found["data-act"] == "open_project"]
        assert names == ["sound"]
    assert ask("open_project", {"project": "lines"}, name="sound")["view"]["project"] in ("sound", "")


def test_a_fault_of_the_host_leaves_the_projects_in_reach(ask, view, host, monkeypatch):
    monkeypatch.setattr(type(host), "checkpoints", lambda self: 1 / 0)
    panel = ask("go", {})["html"]["panel"]
    assert "ZeroDivisionError" in panel and 'data-act="open_project"' in panel


def test_a_fault_of_ours_is_told_once_and_logged_whole(ask, view, monkeypatch, caplog):
    monkeypatch.setattr("lib_copier.ui.reply.ACTS", {"poll": lambda page, details: {}["x"]})
    answer = ask("poll", view)
    assert answer["notice"]["kind"] == "error" and "KeyError" in answer["notice"]["text"]
    assert (
        answer["view"]["project"] == "lines" and answer["html"]["bar"].count('data-act="close_project"') == 1
    )
    assert "Traceback" in caplog.text


def test_origins_and_edits_have_an_end(ask, view, monkeypatch):
    monkeypatch.setattr("lib_copier.ui.acts.act.MOST_ITEMS", 2)
    assert ask("add_origin", view)["notice"] is None
    assert ask("add_origin", view)["notice"]["kind"] == "error"
    assert ask("add_edit", view)["notice"] is None
    assert ask("add_edit", view)["notice"]["kind"] == "error"


def test_ninety_settings_at_once_are_all_kept(door, view):
    """Clicks that come together: each is stored, none takes another back."""
    from concurrent.futures import ThreadPoolExecutor

    wanted = {
        key: str(option.minimum + 1 if option.kind == "int" else option.minimum)
        for key, option in OPTIONS.items()
        if option.scope == "recipe" and option.kind in ("int", "float") and option.minimum is not None
    }
    assert len(wanted) >= 40

    def store(item):
        request = {"act": "set", "view": view, "key": item[0], "target": "recipe", "value": item[1]}
        return json.loads(door.answer(json.dumps(request)))["notice"]

    with ThreadPoolExecutor(8) as pool:
        refused = {key for key, notice in zip(wanted, pool.map(store, wanted.items()), strict=True) if notice}
    recipe = door.wizard().workshop.desk("lines").recipe
    lost = [key for key, text in wanted.items() if recipe.get(key) != float(text) and key not in refused]
    assert lost == [] and len(refused) < 5


def test_a_fault_stands_as_long_as_its_cause(ask, view):
    """What keeps a run back is told with every answer, in its present words: no page shows an older one."""
    ask("remove_edit", view)
    answer = ask("run_all", view)
    assert (answer["notice"]["kind"], answer["notice"]["cause"]) == ("error", "faults")
    assert answer["causes"] == {"faults": answer["notice"]["text"]} and "no edit" in answer["notice"]["text"]
    assert "run_all" not in answer["html"]["bar"], "nothing can be run, and nothing is all done"
    ask("set", view, key="origin.prompt", target="origin", value="")
    text = ask("poll", view)["causes"]["faults"]
    assert "no edit" in text and "Prompt is empty" in text
    ask("set", view, key="origin.prompt", target="origin", value="a cat")
    place = ask("add_edit", view)["view"]
    ask("add_effect", place, value="blur")
    assert ask("poll", view)["causes"] == {}
    assert ask("run_all", view)["notice"] is None


def test_an_engine_that_is_not_there_is_a_cause_in_the_pages_language(ask, view, door, monkeypatch):
    monkeypatch.setattr("lib_copier.ui.built_in.is_ready", lambda: False)
    before = ask("go", view)["html"]
    answer = ask("go_on", view, step="check/first", way="longer")
    assert answer["notice"]["cause"] == "engine"
    assert answer["notice"]["text"] == door.wizard().texts("cause.engine")
    assert ask("go", view)["html"] == before, "what is refused changes nothing"


def test_a_failure_of_the_hosts_work_is_told_until_it_is_seen(ask, view, door):
    from tests.ui.test_tasks import wait_for

    tasks, key = door.wizard().workshop.tasks, door.wizard().workshop.desk("lines").queue_key
    tasks.start(key, lambda: 1 / 0)
    wait_for(lambda: not tasks.is_open(key))
    for act in ("poll", "go", "poll"):
        answer = ask(act, view)
        assert "ZeroDivisionError" in answer["failure"] and answer["notice"] is None
        assert not answer["active"]
    assert ask("seen", view)["failure"] == ""
    assert ask("poll", view)["failure"] == ""


def test_what_ends_while_the_page_is_drawn_is_looked_at_again(ask, door, monkeypatch):
    """A page that shows work under way asks again, also where the work ended in that moment."""
    queue = door.wizard().workshop.queue
    job = queue.submit("built-in", "Set up", ("run.py", "setup"), needs_gpu=False)

    def ends(page):
        queue.changed(job, state="done")
        return Html("under way")

    monkeypatch.setitem(reply._REGIONS, "panel", ends)
    assert ask("poll")["active"]
    assert not ask("poll")["active"]
