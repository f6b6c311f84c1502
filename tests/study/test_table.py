"""The table: short however many variants there are; the JSON has all of them."""

from __future__ import annotations

from lib_copier.study.score import BROKEN, MEASURED, PRUNED, Outcome
from lib_copier.study.table import as_json, lines, worst_shares


def test_the_best_stand_first_and_the_rest_is_counted(study):
    asked = study(copier__rank=list(range(1, 31)))
    outcomes = {
        one.number: Outcome(MEASURED, one.number / 40, "usable", "whole", 2.0) for one in asked.variants
    }
    outcomes[30] = Outcome(BROKEN, reason="sweep: out of memory")
    told = list(lines(asked, outcomes, 3))
    assert told[0] == "30 variants of copier.rank (30): 29 measured, 1 failed."
    assert [line.split()[1] for line in told[1:4]] == ["29-rank-29", "28-rank-28", "27-rank-27"]
    assert told[4] == "… and 27 more."
    found = as_json(asked, outcomes)
    assert len(found["variants"]) == 30 and found["variants"][-1]["reason"] == "sweep: out of memory"


def test_who_was_pruned_is_told_with_the_look_that_it_fell_at(study):
    asked = study(reduction=2, copier__rank=[4, 8])
    outcomes = {1: Outcome(PRUNED, 0.7, "usable", "look"), 2: Outcome(PRUNED, 0.9, "", "copier")}
    _, first, second = lines(asked, outcomes, 3)
    assert first.split()[1:4] == ["1-rank-4", "0.700", "usable"] and first.endswith("pruned after look")
    assert second.split()[1:3] == ["2-rank-8", "0.900"] and second.endswith("pruned after copier")


def test_of_several_edits_the_worst_is_shown():
    numbers = {"sweep/a": {"leak": 0.9, "follows": 0.5}, "sweep/b": {"leak": 0.2, "follows": 0.7}}
    assert worst_shares(Outcome(numbers=numbers)) == {"follows": 0.5, "leak": 0.2}
