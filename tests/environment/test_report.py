"""What a set-up tells while it goes on."""

from __future__ import annotations

import io

from lib_copier.environment.report import Report


def test_a_report_that_is_no_terminal_has_only_whole_lines() -> None:
    stream = io.StringIO()
    report = Report(stream)
    with report.alive():
        report.doing("downloading torch")
        report.say("torch is in place")
    assert stream.getvalue() == "torch is in place\n"
