"""The combine panel: what each rank keeps, as the resize itself reports it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from lib_copier.lora.__main__ import main as lora
from lib_copier.ui.panels.combine import _energy
from lib_copier.ui.texts import Texts

PAGE = SimpleNamespace(texts=Texts("en"))


def test_the_report_of_a_resize_becomes_a_curve(tmp_path, capfd):
    random = np.random.default_rng(0)
    name = "lora_unet_mid_block_attentions_0_proj_in"
    tensors = {
        f"{name}.lora_down.weight": random.standard_normal((16, 32)).astype(np.float32),
        f"{name}.lora_up.weight": random.standard_normal((32, 16)).astype(np.float32),
        f"{name}.alpha": np.array(16.0, np.float32),
    }
    save_file(tensors, tmp_path / "a.safetensors")
    words = ["--model", str(tmp_path / "a.safetensors"), "--save_to", str(tmp_path / "b.safetensors")]
    assert lora(["resize", *words, "--new_rank", "4", "--json"]) == 0
    shown = str(_energy(PAGE, json.loads(capfd.readouterr().out)))
    assert "<svg" in shown and "rank 4" in shown


@pytest.mark.parametrize("result", [{}, {"energy_by_rank": {}}, {"energy_by_rank": [0.5, 1.0]}])
def test_without_a_report_there_is_no_curve(result):
    assert str(_energy(PAGE, result)) == ""
