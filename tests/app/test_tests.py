"""`run.py test`: which runs are shared out over the cores."""

from __future__ import annotations

import pytest

from lib_copier.app.tests import shared_out


@pytest.mark.parametrize("argv", [[], ["-m", "not slow"], ["-k", "adopted", "-x"], ["--color=no"]])
def test_the_whole_suite_takes_a_process_for_each_core(argv):
    assert shared_out(argv, cores=2) == ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *argv]


@pytest.mark.parametrize(
    "argv",
    [["tests/app"], ["tests/app/test_tests.py::test_one", "-x"], ["-n", "4"], ["-n0"], ["-s"], ["--pdb"]],
)
def test_a_part_or_a_number_of_processes_of_ones_own_stays_as_it_is(argv):
    assert shared_out(argv, cores=8) == argv


def test_one_core_runs_one_process():
    assert shared_out([], cores=1) == []
