"""Events that tear, are read on from an offset and keep a human pace."""

from __future__ import annotations

from lib_copier.graph.events import EventLog, read_events


def test_events_are_read_on_from_an_offset(tmp_path) -> None:
    heard: list[dict] = []
    log = EventLog(tmp_path / "log" / "run.jsonl", heard.append)
    log.add("run_started", steps=["a"])
    events, offset = read_events(log.path)
    log.add("step_done", id="a")
    more, end = read_events(log.path, offset)
    assert (
        [one["event"] for one in events + more] == ["run_started", "step_done"] == [e["event"] for e in heard]
    )
    assert read_events(log.path, end) == ([], end)
    assert read_events(tmp_path / "none", 5) == ([], 5)


def test_torn_lines_are_passed_over(tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"event": "a"}\n{"event": "b", "x')
    events, offset = read_events(path)
    assert [one["event"] for one in events] == ["a"] and offset == 15
    EventLog(path).add("c")
    assert [one["event"] for one in read_events(path)[0]] == ["a", "c"]
    path.write_bytes(b'\xff\xfe\n[1]\n{"event": 5}\n{"event": "d"}\n')
    assert [one["event"] for one in read_events(path)[0]] == ["d"]


def test_progress_is_thinned_but_its_end_is_told(tmp_path) -> None:
    log = EventLog(tmp_path / "run.jsonl")
    for step in range(1, 1001):
        log.add("progress", id="a", step=step, total=1000)
    steps = [one["step"] for one in read_events(log.path)[0]]
    assert steps[0] == 1 and steps[-1] == 1000 and len(steps) < 100
