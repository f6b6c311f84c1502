"""Errors, event lines, and the one place where errors end."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier import edge
from lib_copier.border import events
from lib_copier.environment.pins import ROOT
from lib_copier.errors import CancelledError, ChildError, CopierError, FaultsError, GoalError, InputError


def run(error: BaseException | None, *, emits_events: bool = False, answers_json: bool = False) -> int:
    def main(_: Sequence[str]) -> int:
        if error is not None:
            raise error
        return 7

    return edge.guard(main, (), emits_events=emits_events, answers_json=answers_json)


ENDS = pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 7),
        (InputError("The file is empty.", "Name another."), 2),
        (FaultsError("recipe.json", ["rank is 0", "no origin"]), 2),
        (ChildError("The trainer ended.", argv=("a",), returncode=1), 3),
        (CopierError("It failed."), 3),
        (GoalError("It is not near enough.", "Train longer."), 4),
        (CancelledError(), 130),
        (KeyboardInterrupt(), 130),
        (edge.Terminated(), 143),
        (MemoryError(), 3),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.safetensors"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 2),
        (OSError(errno.ENOSPC, "No space left on device", "out"), 3),
    ],
)


@ENDS
def test_exit_codes(error: BaseException | None, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(error) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == (0 if error is None else 1), "one line each"


@ENDS
def test_who_waits_for_json_gets_one_object(
    error: BaseException | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(error, answers_json=True) == code
    shown = capsys.readouterr()
    if error is None:
        assert shown.out == "", "the command itself answers"
        return
    told = json.loads(shown.out)["error"]
    assert told["exit_code"] == code
    assert shown.err == f"error: {told['what']} {told['advice']}".rstrip() + "\n"


def test_a_fault_of_our_own_is_an_answer_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError("by 0"), answers_json=True)
    told = json.loads(capsys.readouterr().out)["error"]
    assert (told["what"], told["exit_code"]) == ("ZeroDivisionError: by 0", 1)


def test_a_fault_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError())


def test_the_parent_reads_the_error_from_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(InputError("The file is empty.", "Name another."), emits_events=True) == 2
    found = events.parse(capsys.readouterr().out)
    assert found == {
        "event": "error",
        "what": "The file is empty.",
        "advice": "Name another.",
        "exit_code": 2,
    }


def test_faults_are_counted_and_joined() -> None:
    assert str(FaultsError("a", ["x", "y"], "Mend them.")) == "a: 2 faults: x; y. Mend them."
    assert str(FaultsError("a", ["x"])) == "a: 1 fault: x."


@given(
    st.dictionaries(
        st.sampled_from(["step", "total", "text", "path"]), st.integers(-(2**63), 2**64) | st.text()
    )
)
def test_an_event_comes_back_as_it_went(fields: dict[str, object]) -> None:
    stream = io.StringIO()
    events.emit("log", stream=stream, **fields)
    assert stream.getvalue().count("\n") == 1
    assert events.parse(stream.getvalue()) == {"event": "log", **fields}


@given(st.text())
def test_other_output_is_no_event(line: str) -> None:
    found = events.parse(line)
    assert found is None or isinstance(found["event"], str)


@pytest.mark.parametrize("line", ["", "steps: 10%", "{", '{"event": 3}', "[]", json.dumps({"step": 1})])
def test_lines_that_are_no_events(line: str) -> None:
    assert events.parse(line) is None


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_that_leaves_early_is_no_failure() -> None:
    code = (
        "import sys; from lib_copier import edge\n"
        "def main(_):\n    for _ in range(100000): print('line')\n    return 0\n"
        "sys.exit(edge.guard(main, ()))"
    )
    argv = f'"{sys.executable}" -c "$CODE" | head -n 1; exit "${{PIPESTATUS[0]}}"'
    ended = subprocess.run(
        ["bash", "-c", argv],
        env={"CODE": code, "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_process_that_leaves_ends_with_its_code_and_does_what_it_was_to_do_at_its_end() -> None:
    code = (
        "import atexit; from lib_copier import edge\n"
        "atexit.register(print, 'closed')\n"
        "edge.leave(edge.guard(lambda _: 4, ()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, "closed\n", "")
