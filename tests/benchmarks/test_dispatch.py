"""`run.py bench`: which benchmarks run, with which arguments, and where the figures go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as bench
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
