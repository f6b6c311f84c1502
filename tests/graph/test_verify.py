"""Outputs that are not what they claim to be are not committed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib_copier.errors import ChildError
from lib_copier.graph.step import Output
from tests.graph.conftest import step


@pytest.mark.parametrize(
    ("output", "content", "fault"),
    [
        (Output("x.json", "json"), b"{", "is no json"),
        (Output("x.png", "picture"), b"\x89PNG\r\n\x1a\n", "is no picture"),
        (Output("x.safetensors", "lora"), b"x" * 40, "cannot be read"),
        (Output("x.bin", "file"), b"", "is empty"),
        (Output("x.bin", "file"), None, "was not made"),
    ],
)
def test_an_unsound_output_is_not_committed(run, tmp_path, output, content, fault) -> None:
    def act(place):
        if content is not None:
            (place.out / output.name).write_bytes(content)
        return {}

    with pytest.raises(ChildError, match=fault):
        run(replace(step("a", action=act), outputs=(output,))).run()
    assert not (tmp_path / "artifacts").exists()


def test_numbers_that_are_not_finite_are_not_committed(run) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    def act(place):
        save_file({"a.lora_up.weight": np.array([[1.0, np.inf]], np.float16)}, place.out / "x.safetensors")
        return {}

    with pytest.raises(ChildError, match="not finite"):
        run(replace(step("a", action=act), outputs=(Output("x.safetensors", "lora"),))).run()
