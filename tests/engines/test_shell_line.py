"""Commands as lines for a shell."""

from __future__ import annotations

from pathlib import Path

from lib_copier.engines.shell_line import shell_line
from lib_copier.engines.task import Command

COMMAND = Command(("/py thon", "-m", "x", 'say "hi" $HOME', "-1"), cwd=Path("/a b"), env=(("KEY", "b c"),))


def test_for_a_posix_shell() -> None:
    line = shell_line(COMMAND, is_windows=False)
    assert line == "cd '/a b' && KEY='b c' '/py thon' -m x 'say \"hi\" $HOME' -1"


def test_for_the_command_prompt() -> None:
    line = shell_line(COMMAND, is_windows=True)
    assert line == f'cd /d "{COMMAND.cwd}" && set "KEY=b c" && "/py thon" -m x "say \\"hi\\" $HOME" -1'


def test_the_command_prompt_acts_on_no_sign_of_an_argument() -> None:
    argv = ("python", "cats&dogs", "a|b", "x>y", "(a:1.2)", "a,b", "plain-1.0", "")
    line = shell_line(Command(argv), is_windows=True)
    assert line == 'python "cats&dogs" "a|b" "x>y" "(a:1.2)" "a,b" plain-1.0 ""'


def test_only_arguments() -> None:
    assert shell_line(Command(("python", "a.py")), is_windows=False) == "python a.py"
