"""A checkpoint's family and prediction are read without opening its tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib_copier.engines.sd_scripts.checkpoint import loras_family, real_facts
from lib_copier.errors import InputError
from lib_copier.model_file.families import SDXL

MakeFile = Callable[..., Path]


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_the_keys_tell_the_family(make_checkpoint: MakeFile, family: str) -> None:
    assert real_facts(make_checkpoint(family)).family.name == family


def test_what_it_predicts(make_checkpoint: MakeFile) -> None:
    assert real_facts(make_checkpoint("sd1")).prediction == "epsilon"
    assert real_facts(make_checkpoint("sd2")).prediction is None
    assert real_facts(make_checkpoint("sd2"), "v_prediction").prediction == "v_prediction"
    marked = real_facts(make_checkpoint("sdxl", extra="v_pred"))
    assert (marked.prediction, marked.zero_terminal_snr) == ("v_prediction", False)
    assert real_facts(make_checkpoint("sdxl", extra="ztsnr")).zero_terminal_snr


def test_small_models_do_not_load_there(make_checkpoint: MakeFile) -> None:
    with pytest.raises(InputError, match="64"):
        real_facts(make_checkpoint(channels=64))


def test_a_lora_tells_its_family(make_lora: MakeFile) -> None:
    silent = make_lora("silent", {"x": 2})
    layer = "lora_te2_text_model_encoder_layers_0_mlp_fc1"
    assert loras_family([silent]) is None
    assert loras_family([silent, make_lora("told", {layer: 2})]) is SDXL
