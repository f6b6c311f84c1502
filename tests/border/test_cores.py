"""The cores that are ours: those that are allowed, and no more than the container is granted."""

from __future__ import annotations

import os

import pytest

from lib_copier.border import cores

QUOTA, PERIOD = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("files", "granted"),
    [
        ({}, 64),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "6500000 100000\n"}, 64),
        ({"cpu.max": "what is this\n"}, 64),
        ({QUOTA: "-1\n", PERIOD: "100000\n"}, 64),
        ({QUOTA: "400000\n", PERIOD: "100000\n"}, 4),
        ({QUOTA: "400000\n"}, 64),
    ],
)
def test_no_more_than_the_container_is_granted(monkeypatch, tmp_path, files, granted):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(cores, "_CONTROL", tmp_path)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cores.granted_cores() == granted


def test_a_system_that_cannot_say_what_is_allowed_has_all_cores(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cores, "_CONTROL", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores.granted_cores() == 6
