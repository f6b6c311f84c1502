"""Progress is told at a human pace; the metrics file holds every step once."""

from __future__ import annotations

import io
import json

from lib_copier.train.progress import Progress


def events(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_are_rate_limited_and_the_last_step_is_told(tmp_path):
    stream = io.StringIO()
    progress = Progress(tmp_path / "metrics.jsonl", first_step=0, total=1000, stream=stream)
    for step in range(1, 1001):
        progress.step_done(step, 0.5, 1e-4)
    progress.close()
    told = events(stream)
    assert told[0]["step"] == 1
    assert told[-1]["step"] == 1000
    assert len(told) < 100
    assert {"step", "total", "loss", "lr", "s_per_step", "eta"} <= told[0].keys()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 1001))


def test_a_run_that_stops_early_tells_its_last_step(tmp_path):
    stream = io.StringIO()
    progress = Progress(tmp_path / "metrics.jsonl", first_step=0, total=1000, stream=stream)
    for step in range(1, 6):
        progress.step_done(step, 0.5, 1e-4)
    progress.close()
    assert events(stream)[-1]["step"] == 5


def test_a_resumed_run_cuts_what_it_does_again(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(
        "".join(json.dumps({"step": s, "loss": 1.0}) + "\n" for s in range(1, 8)) + '{"step": 8, "lo'
    )
    progress = Progress(metrics, first_step=4, total=10, stream=io.StringIO())
    progress.step_done(5, 0.25, 1e-4)
    progress.close()
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == [1, 2, 3, 4, 5]
