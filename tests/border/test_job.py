"""A job file is read with every entry's kind checked, before any work."""

from __future__ import annotations

import json

import pytest

from lib_copier.border.job import read_job
from lib_copier.errors import FaultsError, InputError

KINDS = {"paint": {"picture": str, "layers": list, "share?": float, "is_wet?": bool}}


@pytest.fixture
def job(tmp_path):
    def write(value: object):
        path = tmp_path / "job.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    return write


def test_entries_of_their_kinds_are_taken(job):
    whole = {"job": "paint", "picture": "a", "layers": [], "share": 1, "is_wet": False, "more": 3}
    assert read_job(job(whole), KINDS) == whole
    assert (
        read_job(job({"job": "paint", "picture": "a", "layers": [], "share": None}), KINDS)["share"] is None
    )


@pytest.mark.parametrize("value", [None, [], {}, {"job": 3}, {"job": ["paint"]}, {"job": "sing"}])
def test_what_names_no_job_is_refused(job, value):
    with pytest.raises(InputError, match="names none of the jobs paint"):
        read_job(job(value), KINDS)


def test_every_fault_comes_at_once(job):
    with pytest.raises(FaultsError) as caught:
        read_job(job({"job": "paint", "layers": None, "share": True, "is_wet": 1}), KINDS)
    assert caught.value.faults == (
        "'picture' is missing",
        "'layers' must be a list",
        "'share' must be a number",
        "'is_wet' must be true or false",
    )
