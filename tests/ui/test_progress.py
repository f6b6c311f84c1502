"""Progress out of a run's events."""

from __future__ import annotations

import json
from pathlib import Path

from lib_copier.graph.events import read_events
from lib_copier.ui import progress
from lib_copier.ui.progress import Progress, gather, last_lines, progress_of


def started(step="copier/a", key="k"):
    return {"event": "step_started", "id": step, "key": key}


def at(step, total, loss=None, name="copier/a", **more):
    return {"event": "progress", "id": name, "step": step, "total": total, "loss": loss, **more}


def test_counts_loss_and_pace():
    found = gather(
        [started(), at(1, 4, 0.5), at(2, 4, 0.25, eta=3, s_per_step=1.5), at(9, 9, 1, name="x")], "copier/a"
    )
    assert (found.step, found.total, found.share) == (2, 4, 0.5)
    assert found.loss == ((1.0, 0.5), (2.0, 0.25))
    assert (found.eta, found.seconds_per_step) == (3.0, 1.5)


def test_a_step_that_starts_again_begins_anew():
    assert gather([started(), at(3, 4, 1.0), started()], "copier/a") == Progress("k")


def test_odd_values_do_no_harm():
    events = [started(), at("x", None, "y"), {"event": "sample", "id": "copier/a", "path": 7}, at(5, 2)]
    assert gather(events, "copier/a").share == 1.0


def test_the_newest_run_that_did_the_step_counts(tmp_path: Path):
    log = tmp_path / "log"
    log.mkdir()
    for name, events in (
        ("1", [started(), at(1, 10)]),
        ("2", [started(), at(7, 10)]),
        ("3", [started("edit/a/b")]),
    ):
        (log / f"{name}.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert progress_of(tmp_path, "copier/a").step == 7
    assert progress_of(tmp_path, "merge/x") == Progress()


def test_the_run_that_made_a_thing_is_found_behind_one_that_was_stopped(tmp_path: Path):
    log = tmp_path / "log"
    log.mkdir()
    done = {"event": "step_done", "id": "copier/a", "key": "k"}
    for name, events in (
        ("1", [started(), at(9, 9, 0.1), done]),
        ("2", [started(), at(3, 9, 0.8)]),
        ("3", [started(key="other"), at(4, 9, 0.5)]),
    ):
        (log / f"{name}.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    last, made = progress_of(tmp_path, "copier/a"), progress_of(tmp_path, "copier/a", "k")
    assert (last.key, last.is_done, last.loss) == ("other", False, ((4.0, 0.5),))
    assert (made.key, made.is_done, made.loss) == ("k", True, ((9.0, 0.1),))
    assert progress_of(tmp_path, "copier/a", "gone") == Progress()


def test_the_end_of_a_log_without_its_progress_bars(tmp_path: Path):
    path = tmp_path / "x.log"
    path.write_bytes(b"head\n10%|x\r 20%|xx\rdone\r\n" + b"\xff line\n")
    assert last_lines(path).splitlines() == ["head", "done", "\ufffd line"]
    assert last_lines(tmp_path / "none") == ""


def test_a_long_run_is_read_once_whoever_looks_how_often(tmp_path, monkeypatch) -> None:
    log = tmp_path / "log" / "run.jsonl"
    log.parent.mkdir()

    def line(**event: object) -> str:
        return json.dumps(event) + "\n"

    steps = [line(event="progress", id="copier/a", step=n, total=32_000, loss=0.5) for n in range(1, 32_001)]
    log.write_text(line(**started()) + "".join(steps), encoding="utf-8")
    read: list[int] = []
    monkeypatch.setattr(progress, "read_events", lambda *given: read.append(given[1]) or read_events(*given))
    first = progress_of(tmp_path, "copier/a")
    assert first.step == 32_000 and first.loss[-1] == (32_000.0, 0.5)
    assert len(first.loss) <= 2 * progress.MOST_POINTS
    read.clear()
    assert progress_of(tmp_path, "copier/a") == first
    assert read == [log.stat().st_size], "the second look reads no byte of the first again"
    with log.open("a", encoding="utf-8") as file:
        file.write(line(event="progress", id="copier/a", step=32_001, total=32_001))
    assert progress_of(tmp_path, "copier/a").step == 32_001
