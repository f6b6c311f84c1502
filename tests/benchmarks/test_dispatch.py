"""`run.py bench`: which benchmarks run, with which arguments, and where the figures go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as bench
from benchmarks import lora, merge
from benchmarks.measured import Measured
from lib_copier.errors import InputError


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Stand-ins for the benchmarks: they note their arguments and write one figure."""
    seen: list[tuple[str, list[str]]] = []

    def load(name: str) -> SimpleNamespace:
        def main(argv: Sequence[str]) -> int:
            seen.append((name, list(argv)))
            if "--json" in argv:
                Path(argv[argv.index("--json") + 1]).write_text(json.dumps({"of": name}))
            return 0 if name != "benchmarks.train" else 3

        return SimpleNamespace(main=main)

    monkeypatch.setattr(bench.importlib, "import_module", load)
    return seen


def test_one_name_hands_everything_on(ran: list[tuple[str, list[str]]], tmp_path: Path) -> None:
    figures = str(tmp_path / "x.json")
    assert bench.main(["lora", "--sd-scripts", "DIR", "--json", figures]) == 0
    assert ran == [("benchmarks.lora", ["--sd-scripts", "DIR", "--json", figures])]


def test_several_names_write_one_file(ran: list[tuple[str, list[str]]], tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    assert bench.main(["lora", "merge", "--json", str(target)]) == 0
    assert json.loads(target.read_text()) == {
        "lora": {"of": "benchmarks.lora"},
        "merge": {"of": "benchmarks.merge"},
    }


def test_without_a_name_all_run_and_the_worst_code_counts(ran: list[tuple[str, list[str]]]) -> None:
    assert bench.main([]) == 3
    assert [name for name, _ in ran] == [f"benchmarks.{name}" for name in bench.WHEN_ALL]


@pytest.mark.parametrize("argv", [["nothing"], ["--json"], ["--json", "/no/such/folder/x.json"]])
def test_bad_arguments_run_nothing(ran: list[tuple[str, list[str]]], argv: list[str]) -> None:
    with pytest.raises(InputError):
        bench.main(argv)
    assert ran == []


def test_places_hold_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = lora.parser("bench", "").parse_args(["--sd-scripts", "x", "--sd-scripts-python", "v/python"])
    assert arguments.sd_scripts == tmp_path / "x"
    assert arguments.sd_scripts_python == tmp_path / "v" / "python"


def test_only_our_merge_has_flushed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "flush_disks", lambda: 2.0)
    own = Measured("merge", "ours", 5.0, None, output="merged in 3.0 s, flushed in 1.5 s")
    assert merge._flush_facts(own) == {"unflushed": 3.5, "flushed": 5.0}
    theirs = Measured("merge", "sd-scripts", 30.0, None)
    assert merge._flush_facts(theirs) == {"unflushed": 30.0, "flushed": 32.0}
