"""Method B: one copier minus the other."""

from __future__ import annotations

from lib_copier.lora.header import read_header
from tests.steps.looks import states


def test_method_b_trains_as_many_steps_as_the_copier_took(project):
    made = project(project__method="difference")
    made.run()
    assert set(states(made).values()) == {"done"}
    log = made.log_tail("edited_copier/one/outline")
    assert "lib_copier.train" in log
    taken = made.artifact("copier/one").result["steps"]
    assert made.artifact("edited_copier/one/outline").result["steps"] == taken
    # The stand-in always takes six steps: that number, not the recipe's, must have been asked for.
    digests = read_header(made.file("svd/outline")).tensors
    assert taken == 6 and digests
