"""The page: ranked, with the best variants' pictures, and no larger for ten thousand variants."""

from __future__ import annotations

import json
from dataclasses import replace

from lib_copier.study.report import ROWS, STRIPS, page, write_report
from lib_copier.study.running import run
from lib_copier.study.score import MEASURED, PRUNED, Outcome


def test_a_study_s_page_shows_ranks_strips_and_axes(study, monkeypatch):
    monkeypatch.setenv("STAND_IN_VARY", "1")
    asked = study(copier__rank=[4, 8])
    outcomes = run(asked)
    path = write_report(asked, outcomes, asked.folder)
    text = path.read_text(encoding="utf-8")
    assert text.count("data:image/webp") == 2 * 2, "two variants, two prompts, one weight"
    assert "What copier.rank does" in text and "polyline" in text
    ranked = [one.name for one in asked.ranked(outcomes)]
    table = text[text.index("<tbody>") :]
    assert table.index(f'title="{ranked[0]}"') < table.index(f'title="{ranked[1]}"')
    found = json.loads((asked.folder / "report.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in found["variants"]] == ranked


def test_who_was_pruned_after_a_sweep_is_seen_beside_the_best(study, monkeypatch):
    monkeypatch.setenv("STAND_IN_VARY", "1")
    asked = study(reduction=2, copier__rank=[4, 8, 16, 32], sweep__pairs=6)
    outcomes = run(asked)
    swept = [one for one in outcomes.values() if one.word]
    assert {one.rung for one in swept} == {"look", "whole"}
    text = page(asked, outcomes)
    assert text.count("data:image/webp") == len(swept) * 2 and "pruned after look" in text


def test_columns_are_called_by_the_ends_that_are_theirs_alone(study):
    edit = "edits__outline__effects__strength"
    asked = study(
        copier__rank=[4], edits__outline__edit_lora__rank=[8], origins__one__seed=[1], **{edit: [1]}
    )
    head = page(asked, {1: Outcome()}).partition("</thead>")[0]
    names = [">copier.rank<", ">edit_lora.rank<", ">seed<", ">effects.strength<"]
    assert all(name in head for name in names)


def test_an_axis_compares_sweeps_with_sweeps_alone(study):
    asked = study(reduction=2, copier__rank=[4, 8, 16])
    early = Outcome(PRUNED, 0.99, "", "copier")
    outcomes = {
        1: early,
        2: Outcome(MEASURED, 0.6, "usable", "whole"),
        3: Outcome(PRUNED, 0.4, "usable", "look"),
    }
    text = page(asked, outcomes)
    assert "Means differ by 0.20; the best is with 8. Not shown, for they did not come so far: 1." in text
    text = page(asked, {1: early, 2: replace(early, score=0.5), 3: Outcome()})
    assert "Means differ by 0.49; the best is with 4." in text


def test_the_page_of_very_many_is_bounded(study):
    asked = study(origins__one__seed=list(range(40)), copier__rank=list(range(1, 26)))
    outcomes = {one.number: Outcome(MEASURED, one.number / 1000, "good", "whole") for one in asked.variants}
    text = page(asked, outcomes)
    assert text.count("<tr>") <= ROWS + STRIPS + 3
    assert f"{1000 - ROWS} more are in report.json." in text
    assert len(text) < 200_000
