"""What went wrong is told once, in words, and the rest of the page goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_copier.markup.html import Html
from lib_copier.recipe.options import OPTIONS
from lib_copier.ui import reply
from tests.ui.conftest import make_project
from tests.ui.page_reader import read


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
