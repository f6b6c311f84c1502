"""How a run looks: bars in a terminal, few plain lines elsewhere."""

from __future__ import annotations

import io

from lib_copier.app import progress

PROGRESS = {"event": "progress", "id": "copier/a", "total": 100, "loss": 0.5, "eta": 61}
EVENTS = [
    {"event": "run_started", "steps": ["a"]},
    {"event": "step_started", "id": "copier/a", "reasons": ["copier.steps changed 300 → 400"]},
    *({**PROGRESS, "step": number} for number in range(101)),
    {"event": "progress", "id": "copier/a", "step": 1, "total": 2, "bar": "caching"},
    {"event": "log", "id": "copier/a", "text": "said"},
    {"event": "sample", "id": "copier/a", "path": "x.png"},
    {"event": "step_done", "id": "copier/a", "seconds": 75.0},
    {"event": "step_failed", "id": "b", "what": "It broke."},
]


def test_plain_lines_are_few_and_tell_all() -> None:
    out = io.StringIO()
    with progress.shown(out) as listener:
        for event in EVENTS:
            listener(event)
    lines = out.getvalue().splitlines()
    assert len(lines) < 20
    text = "\n".join(lines)
    parts = ("1 step to do", "300 → 400", "100/100 loss 0.5000, 1 min 01 s left", "said", "in 1 min 15 s")
    for part in (*parts, "b failed: It broke."):
        assert part in text, part
    assert "caching" not in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_in_a_terminal() -> None:
    out = Terminal()
    with progress.shown(out) as listener:
        for event in EVENTS:
            listener(event)
    assert "copier/a done in 1 min 15 s" in out.getvalue() and "b failed" in out.getvalue()
