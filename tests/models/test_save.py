"""What is written in the original layout is what was read from it, bit for bit."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from lib_copier.model_file.families import FAMILIES
from lib_copier.model_file.header import read_header
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.save import save_checkpoint, write_tensors

SD2_UNUSED = ("resblocks.2.", "text_projection", "logit_scale")


@pytest.mark.parametrize("family", FAMILIES)
def test_load_then_save_gives_the_same_tensors(family, loaded, checkpoint_path, tmp_path):
    checkpoint = loaded(family)
    path = tmp_path / "again.safetensors"
    save_checkpoint(
        path,
        checkpoint.family,
        unet=checkpoint.unet,
        vae=checkpoint.vae,
        text_encoders=checkpoint.text_encoders,
        dtype=torch.float16,
        metadata={"modelspec.title": "again"},
        extra={"v_pred": torch.zeros(0)},
    )
    before, after = load_file(checkpoint_path(family)), load_file(path)
    if family == "sd2":
        before = {name: tensor for name, tensor in before.items() if not any(u in name for u in SD2_UNUSED)}
    assert after.pop("v_pred").numel() == 0
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert read_header(path).metadata["modelspec.title"] == "again"
    assert load_checkpoint(path, parts=("text",)).prediction_type == "v_prediction"


def test_a_wrong_shape_leaves_no_file(tmp_path):
    path = tmp_path / "bad.safetensors"
    with pytest.raises(ValueError, match="announced"):
        write_tensors(path, {"a": (2,)}, lambda name: torch.zeros(3), torch.float32)
    assert list(tmp_path.iterdir()) == []
