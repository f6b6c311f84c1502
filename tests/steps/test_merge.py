"""What weight 1 of a slider means."""

from __future__ import annotations


def test_the_gain_is_what_weight_1_means(project):
    made = project(name="plain")
    made.run(["resize/outline"])
    louder = project(name="louder", merge__gain=2.0)
    assert "merge/outline" in louder.run(["resize/outline"]).made
    found = [one.file("resize/outline").read_bytes() for one in (made, louder)]
    assert found[0] != found[1]
    (given,) = [one for one in louder.plan().step("merge/outline").inputs if one.role == "lora"]
    assert given.weight == 2.0
    opposite = project(name="b", project__method="difference", merge__gain=2.0)
    assert [one.weight for one in opposite.plan().step("svd/outline").inputs] == [2.0, -2.0]
