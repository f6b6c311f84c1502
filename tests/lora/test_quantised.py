"""fp8 checkpoints: scaled ones act as what they stand for, and what storage loses is told."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from lib_copier.errors import InputError
from lib_copier.lora.bake import merge_into_checkpoint
from lib_copier.lora.extract import extract
from lib_copier.lora.match import plan_merge
from lib_copier.lora.quantised import dequantise
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.source import open_checkpoint
from lib_copier.lora.stream import TensorFile
from lib_copier.model_file.header import read_header
from tests.lora.conftest import save_tensors

SPELLINGS = {
    "older": (".scale_weight", {"model.diffusion_model.scaled_fp8": np.zeros(2, ml_dtypes.float8_e4m3fn)}),
    "newer": (".weight_scale", {}),
}


def scaled(weights, *, suffix=".scale_weight", by_row=False, extra=None):
    """The U-Net's matrices in scaled fp8, as ComfyUI writes them, and what each stands for."""
    tensors, meant = dict(extra or {}), {}
    for key, value in weights.items():
        tensors[key], meant[key] = value, value
        if not key.startswith("model.diffusion_model") or value.ndim != 2 or not key.endswith(".weight"):
            continue
        wide = value.astype(np.float32)
        scale = np.abs(wide).max(1 if by_row else None, keepdims=by_row) / np.float32(448)
        tensors[key] = (wide / scale).astype(ml_dtypes.float8_e4m3fn)
        head = key.removesuffix(".weight")
        tensors[head + suffix] = np.asarray(scale, np.float32)
        tensors[head + (".scale_input" if suffix == ".scale_weight" else ".input_scale")] = np.ones(
            1, np.float32
        )
        meant[key] = tensors[key].astype(np.float32) * scale
    return tensors, meant


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("by_row", [False, True])
def test_a_lora_is_merged_into_what_scaled_weights_stand_for(
    tmp_path, make_checkpoint, make_lora, spelling, by_row
):
    suffix, extra = SPELLINGS[spelling]
    before = load_file(make_checkpoint("sdxl"))
    tensors, meant = scaled(before, suffix=suffix, by_row=by_row, extra=extra)
    metadata = {"_quantization_metadata": '{"layers": {}}'}
    source = open_checkpoint(save_tensors(tmp_path / "scaled.safetensors", tensors, metadata))
    lora, output = make_lora("sdxl"), tmp_path / "out.safetensors"
    report, _ = merge_into_checkpoint(source, plan_merge(source, [(lora, 0.5)]), output)
    source.close()
    after = load_file(output)
    assert after.keys() == before.keys()
    assert read_header(output).metadata.keys() == {"copier_lora_error"}
    with TensorFile(make_checkpoint("sdxl")) as plain:
        terms = plan_merge(plain, [(lora, 0.5)]).terms
    for key, [(_, _, term), *others] in terms.items():
        if key.startswith("model.diffusion_model") and before[key].ndim == 2 and not others:
            expected = meant[key] + 0.5 * term.layer.delta()
            assert after[key].dtype == np.float16
            assert np.abs(after[key] - expected).max() <= 1e-3 * np.abs(expected).max(), key
    assert report.error < 1e-3
    assert not report.remarks


def test_groups_of_columns_have_scales_of_their_own():
    random = np.random.default_rng(0)
    weight = random.standard_normal((3, 8)).astype(ml_dtypes.float8_e4m3fn)
    scale = random.random((3, 2, 1)).astype(np.float32)
    expected = weight.astype(np.float32) * np.repeat(scale[:, :, 0], 4, axis=1)
    assert np.array_equal(dequantise(weight, scale), expected)


def test_a_change_is_extracted_from_what_scaled_weights_stand_for(tmp_path, make_checkpoint, make_lora):
    tensors, meant = scaled(load_file(make_checkpoint("sd1", dtype=np.float32)))
    lora, tuned = make_lora("sd1", rank=2), tmp_path / "tuned.safetensors"
    original = open_checkpoint(save_tensors(tmp_path / "scaled.safetensors", tensors))
    merge_into_checkpoint(original, plan_merge(original, [(lora, 1.0)]), tuned, save_precision="float")
    with TensorFile(tuned) as changed:
        found, _ = extract(original, changed, RankPolicy(2), save_precision="float")
    original.close()
    for name, layer in found.layers.items():
        delta = lora.layers[name].delta()
        assert np.linalg.norm(layer.delta() - delta) <= 1e-4 * np.linalg.norm(delta), name


def plain_fp8(path, make_checkpoint):
    tensors = {
        key: value.astype(ml_dtypes.float8_e4m3fn) if key.startswith("model.diffusion_model") else value
        for key, value in load_file(make_checkpoint("sd1")).items()
    }
    return save_tensors(path, tensors)


def test_plain_fp8_tells_what_storage_loses(tmp_path, make_checkpoint, make_lora):
    path, output = plain_fp8(tmp_path / "fp8.safetensors", make_checkpoint), tmp_path / "out.safetensors"
    lora = make_lora("sd1")
    with TensorFile(path) as source:
        plan = plan_merge(source, [(lora, 0.001)])
        report, _ = merge_into_checkpoint(source, plan, output)
        fine, _ = merge_into_checkpoint(source, plan, tmp_path / "fine.safetensors", save_precision="fp16")
    assert "F8_E4M3 is too coarse" in report.remarks[0]
    assert "--save_precision fp16" in report.remarks[0]
    assert not fine.remarks
    with TensorFile(path) as source, TensorFile(output) as stored:
        inner, energy = 0.0, 0.0
        for key, terms in plan.terms.items():
            delta = sum(term.weight * (np.matmul(*term.layer.factors())) for _, _, term in terms)
            change = stored.read(key).astype(np.float64) - source.read(key).astype(np.float64)
            inner, energy = inner + (change.reshape(delta.shape) * delta).sum(), energy + (delta**2).sum()
    assert report.kept == pytest.approx(inner / energy, abs=1e-4)


def test_a_change_that_storage_loses_whole_is_refused(tmp_path, make_checkpoint, make_lora):
    path, output = plain_fp8(tmp_path / "fp8.safetensors", make_checkpoint), tmp_path / "out.safetensors"
    unet = {name: layer for name, layer in make_lora("sd1").layers.items() if name.startswith("lora_unet")}
    lora = make_lora("sd1").with_layers(unet)
    with TensorFile(path) as source, pytest.raises(InputError, match="Nothing of the change survives.*fp16"):
        merge_into_checkpoint(source, plan_merge(source, [(lora, 1e-9)]), output)
    assert not output.exists()
    with TensorFile(path) as source:
        report, _ = merge_into_checkpoint(source, plan_merge(source, [(lora, 0.0)]), output)
    assert report.error == 0.0


WEIGHT = "model.diffusion_model.input_blocks.1.1.proj_in.weight"
FP8 = np.ones((4, 6), ml_dtypes.float8_e4m3fn)


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        (
            {
                WEIGHT: np.ones((4, 3), np.uint8),
                f"{WEIGHT}_scale": FP8,
                f"{WEIGHT}_scale_2": np.ones(1, np.float32),
            },
            "NVFP4",
        ),
        ({WEIGHT: np.ones((4, 6), np.int8), f"{WEIGHT}_scale": np.ones(4, np.float32)}, "is I8 with scales"),
        ({WEIGHT: FP8, f"{WEIGHT}_scale": np.ones((4, 1), np.uint8)}, "scales in U8"),
        ({WEIGHT: FP8, f"{WEIGHT}_scale": np.ones(3, np.float32)}, "has scales"),
        ({WEIGHT: FP8, f"{WEIGHT}_scale": np.ones((4, 5), np.float32)}, "has scales"),
        ({f"{WEIGHT}_scale": np.ones(1, np.float32)}, "does not hold"),
        ({WEIGHT: FP8, f"{WEIGHT}.quant_state.bitsandbytes__nf4": np.ones(4, np.uint8)}, "NF4"),
    ],
)
def test_other_ways_of_quantising_are_refused_by_name(tmp_path, tensors, told):
    path = save_tensors(tmp_path / "q.safetensors", tensors)
    with pytest.raises(InputError, match=told):
        open_checkpoint(path)
