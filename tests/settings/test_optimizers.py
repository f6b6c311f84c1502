"""The list of optimisers: names that are in it, arguments of the right kind, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_copier.settings.optimizers import OPTIMIZERS, optimizer_arguments, optimizer_faults

DANGEROUS = ["transformers.pipeline", "os.system", "torch.optim.SGD", "builtins.eval", "adamw.x", ""]


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_name_that_is_not_listed_is_refused(name):
    (fault,) = optimizer_faults(name, ())
    assert "optimizer is one of adamw" in fault
    with pytest.raises(ValueError, match="one of adamw"):
        optimizer_arguments(name, ())


@pytest.mark.parametrize(
    ("given_texts", "words"),
    [
        (("beta",), "'beta' is not NAME=VALUE"),
        (("trust_remote_code=True",), "'trust_remote_code' is no argument of adamw"),
        (("weight_decya=0.1",), "did you mean weight_decay?"),
        (("weight_decay=__import__('os').system('x')",), "weight_decay is a number from 0 to 10"),
        (("weight_decay=nan",), "weight_decay is a number"),
        (("betas=0.9",), "2 numbers divided by commas"),
        (("betas=0.9,1.1",), "betas is a number from 0 to 1"),
        (("eps=1e-8", "eps=1e-9"), "given twice"),
        (("amsgrad=maybe",), "yes or no"),
    ],
)
def test_a_bad_argument_is_named(given_texts, words):
    (fault,) = optimizer_faults("adamw", given_texts)
    assert words in fault


def test_values_are_numbers_truths_and_tuples_of_them():
    found = optimizer_arguments("adamw", (" betas = (0.8, 0.9)", "weight_decay=1e-2", "amsgrad=yes"))
    assert found == {"betas": (0.8, 0.9), "weight_decay": 0.01, "amsgrad": True}
    assert optimizer_arguments("prodigy", ("slice_p=11",)) == {"slice_p": 11}
    assert optimizer_arguments("adafactor", ("beta1=0.9",))["relative_step"] is False


@given(st.sampled_from(sorted(OPTIMIZERS)), st.lists(st.text(max_size=30), max_size=3))
def test_any_text_is_a_fault_or_plain_values(name, texts):
    try:
        found = optimizer_arguments(name, texts)
    except ValueError:
        assert list(optimizer_faults(name, texts))
        return
    plain = [part for value in found.values() for part in (value if isinstance(value, tuple) else [value])]
    assert all(isinstance(part, (bool, int, float)) for part in plain)


def test_reading_the_list_imports_no_optimiser():
    code = (
        "import sys, lib_copier.settings.optimizers as o\n"
        "list(o.optimizer_faults('transformers.pipeline', ['trust_remote_code=True']))\n"
        "print(sorted({'torch', 'transformers', 'bitsandbytes'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
