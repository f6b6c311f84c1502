"""A checkpoint's family and prediction are read without opening its tensors."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_copier.engines.sd_scripts.checkpoint import checkpoint_facts, loras_family
from lib_copier.errors import InputError
from lib_copier.families import SDXL

MakeFile = Callable[..., Path]


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_the_keys_tell_the_family(make_checkpoint: MakeFile, family: str) -> None:
    assert checkpoint_facts(make_checkpoint(family)).family.name == family


def test_what_it_predicts(make_checkpoint: MakeFile) -> None:
    assert checkpoint_facts(make_checkpoint("sd1")).prediction_type == "epsilon"
    assert checkpoint_facts(make_checkpoint("sd2")).prediction_type is None
    assert checkpoint_facts(make_checkpoint("sd2"), "v_prediction").prediction_type == "v_prediction"
    marked = checkpoint_facts(make_checkpoint("sdxl", extra="v_pred"))
    assert (marked.prediction_type, marked.zero_terminal_snr) == ("v_prediction", False)
    assert checkpoint_facts(make_checkpoint("sdxl", extra="ztsnr")).zero_terminal_snr


def test_small_models_do_not_load_there(make_checkpoint: MakeFile) -> None:
    with pytest.raises(InputError, match="64"):
        checkpoint_facts(make_checkpoint(channels=64))


MARKS = {
    "sd1": "cond_stage_model.transformer.text_model.embeddings.position_ids",
    "sd2": "cond_stage_model.model.positional_embedding",
    "sdxl": "conditioner.embedders.1.model.positional_embedding",
}


@pytest.mark.parametrize("family", sorted(MARKS))
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_pickle_is_told_without_opening_it(tmp_path: Path, family: str, is_zip: bool) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (pytest.fail, ("the pickle was opened",))

    content = pickle.dumps({MARKS[family]: 0, "trap": Trap()})
    path = tmp_path / "model.ckpt"
    if is_zip:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
    else:
        path.write_bytes(content)
    assert checkpoint_facts(path).family.name == family


def test_other_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    path.write_bytes(pickle.dumps({"weights": 1}))
    for wrong in (path, tmp_path / "absent.ckpt"):
        with pytest.raises(InputError, match=wrong.name):
            checkpoint_facts(wrong)


def test_a_lora_tells_its_family(make_lora: MakeFile) -> None:
    silent = make_lora("silent", {"x": 2})
    layer = "lora_te2_text_model_encoder_layers_0_mlp_fc1"
    assert loras_family([silent]) is None
    assert loras_family([silent, make_lora("told", {layer: 2})]) is SDXL
