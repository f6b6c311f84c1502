"""Groups of packages that are installed when first asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_copier.environment import make, optional, start
from lib_copier.environment.stamp import Stamp, write_stamp
from lib_copier.errors import InputError


def test_what_is_there_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(make, "make_environment", lambda *_: pytest.fail("nothing is missing"))
    optional.ensure_group("prune", "A study")


def test_into_a_python_that_is_not_ours_nothing_is_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(optional, "installed_versions", lambda _: {})
    monkeypatch.setenv(start.FOLDER, str(tmp_path))
    with pytest.raises(InputError, match=r"A study needs optuna==.*pip install optuna=="):
        optional.ensure_group("prune", "A study")


def test_into_our_own_it_is_added_to_what_is_there(monkeypatch, tmp_path):
    made = []
    write_stamp(tmp_path, Stamp("3.11.7", "cpu", "", {"base": ("numpy==1",)}))
    monkeypatch.setattr(optional, "installed_versions", lambda _: {})
    monkeypatch.setattr(optional.sys, "prefix", str(tmp_path))
    monkeypatch.setenv(start.FOLDER, str(tmp_path))
    monkeypatch.setattr("lib_copier.environment.layer.borrowed_paths", lambda _: ())
    monkeypatch.setattr(make, "make_environment", lambda wanted, report: made.append(wanted))
    optional.ensure_group("prune", "A study")
    assert made[0].folder == Path(tmp_path)
    assert list(made[0].groups) == ["base", "prune"]
