"""Children: what they say, how they end, and that nothing of them stays."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lib_copier.engines import listening
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import Outcome, run_command
from lib_copier.engines.task import Command
from lib_copier.engines.tree import find_marked
from lib_copier.errors import CancelledError, ChildError, InputError


def python(code: str, *arguments: str) -> Command:
    return Command((sys.executable, "-S", "-c", code, *arguments))


def run(tmp_path: Path, code: str, **watch: object) -> tuple[Outcome, list[dict]]:
    heard: list[dict] = []
    watching = Watch(tmp_path / "log.txt", on_event=heard.append, **watch)  # type: ignore[arg-type]
    return run_command(python(code), watching), heard


def test_events_are_heard_and_everything_else_is_logged(tmp_path) -> None:
    code = (
        "import sys, json\n"
        "print(json.dumps({'event': 'progress', 'step': 1, 'total': 2}))\n"
        "print(json.dumps({'event': 'device', 'kind': 'CPU'}))\n"
        "print('plain words')\n"
        "sys.stderr.write('steps:  50%|#| 1/2 [00:01<00:01, 1.0it/s]\\rsaid aside\\n')\n"
        "print(json.dumps({'event': 'done', 'answer': 'ü'}))"
    )
    outcome, heard = run(tmp_path, code)
    assert outcome.result == {"answer": "ü"} and outcome.device == "CPU"
    assert {event["event"] for event in heard} == {"progress"}
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert log.startswith("$ ") and "plain words" in log and "said aside" in log


def test_what_a_command_does_otherwise_is_heard_first(tmp_path) -> None:
    heard: list[dict] = []
    command = replace(python('print(\'{"event": "done"}\')'), notes=("2 of 5 pictures have no caption.",))
    run_command(command, Watch(tmp_path / "log.txt", on_event=heard.append))
    assert heard == [{"event": "log", "text": "2 of 5 pictures have no caption."}]


def test_a_bar_that_goes_on_counts_what_was_done_before(tmp_path) -> None:
    code = (
        "import sys\n"
        "sys.stderr.write('caching: 100%|#| 1/1 [00:01<00:00, 1.0it/s]\\n')\n"
        "sys.stderr.write('steps:  25%|#| 1/4 [00:01<00:03, 1.0it/s]\\n')"
    )
    heard: list[dict] = []
    command = dataclasses.replace(python(code), bar="steps", steps_before=4)
    run_command(command, Watch(tmp_path / "log.txt", on_event=heard.append))
    assert [(event["step"], event["total"], event["eta"]) for event in heard] == [(5, 8, 3.0)]


@pytest.mark.parametrize(
    ("code", "what", "advice"),
    [
        ("import nonesuch", "No module named", "package nonesuch is missing"),
        ("raise MemoryError('x')", "MemoryError", "memory is full"),
        ("raise SystemExit('OSError: [Errno 28] No space left on device')", "No space left", "disk is full"),
        ("import sys; sys.exit(5)", "exit code 5", "Look at its log"),
        ("print('{\"event\": \"error\", \"what\": \"Bad.\", \"advice\": \"Mend.\"}'); raise SystemExit(2)",
         "Bad.", "Mend."),
    ],
)  # fmt: skip
def test_a_failure_says_what_and_what_to_do(tmp_path, code, what, advice) -> None:
    with pytest.raises(ChildError) as caught:
        run(tmp_path, code)
    assert what in caught.value.what and advice in caught.value.advice
    assert caught.value.argv[0] == sys.executable and caught.value.returncode != 0


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_death_by_a_signal_is_named(tmp_path) -> None:
    with pytest.raises(ChildError, match="SIGKILL") as caught:
        run(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert "memory ran out" in caught.value.advice


def test_a_program_that_cannot_start(tmp_path) -> None:
    with pytest.raises(InputError, match="cannot be started"):
        run_command(Command((str(tmp_path / "none"),)), Watch(tmp_path / "log"))


FAMILY = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
    'print(\'{"event": "log", "text": "up"}\', flush=True); time.sleep(%d)'
)


def test_cancel_ends_the_whole_tree(tmp_path) -> None:
    up: list[float] = []

    def wanted() -> str:
        return "discard" if up and time.monotonic() - up[0] > 0.1 else ""

    watch = Watch(
        tmp_path / "log",
        on_event=lambda event: up.append(time.monotonic()),
        wanted_stop=wanted,
        token="tree-1",
    )
    with pytest.raises(CancelledError):
        run_command(python(FAMILY % 60), watch)
    assert find_marked("tree-1") == []


@pytest.mark.skipif(os.name == "nt", reason="groups are POSIX")
def test_what_a_child_leaves_behind_ends_with_it(tmp_path) -> None:
    began = time.monotonic()
    run_command(python(FAMILY % 0), Watch(tmp_path / "log", token="tree-2"))
    assert time.monotonic() - began < 30 and find_marked("tree-2") == []


def test_save_asks_through_the_control_file(tmp_path) -> None:
    code = (
        "import os, time, json\n"
        "print(json.dumps({'event': 'log', 'text': 'up'}), flush=True)\n"
        "while not os.path.exists(os.environ['COPIER_LORA_CONTROL']): time.sleep(0.01)\n"
        "print(json.dumps({'event': 'done', 'asked': open(os.environ['COPIER_LORA_CONTROL']).read()}))"
    )
    control = tmp_path / "control.json"
    control.write_text("left over from an earlier run")
    up: list[dict] = []
    watch = Watch(
        tmp_path / "log", on_event=up.append, wanted_stop=lambda: "save" if up else "", control=control
    )
    outcome = run_command(python(code), watch)
    assert outcome.was_stopped and '"save"' in outcome.result["asked"]


def test_silence_is_noted_and_nobody_is_killed_for_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(listening, "SILENCE_SECONDS", 0.2)
    outcome, heard = run(tmp_path, 'import time; time.sleep(0.8); print(\'{"event": "done", "ok": 1}\')')
    assert outcome.result == {"ok": 1}
    assert [event["text"] for event in heard if "still runs" in event.get("text", "")]


def test_a_flood_of_output_does_not_block(tmp_path) -> None:
    outcome, _heard = run(tmp_path, 'print(\'x\' * 9_000_000); print(\'{"event": "done", "ok": 1}\')')
    assert outcome.result == {"ok": 1}


def test_find_marked_finds_only_its_own() -> None:
    assert find_marked("nobody has this token") == []
    assert psutil.Process().pid not in [one.pid for one in find_marked("")]
