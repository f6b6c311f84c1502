"""Merging into checkpoints: exact where a LoRA acts, bit for bit everywhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from lib_copier.errors import CopierError, FaultsError, InputError
from lib_copier.lora.bake import merge_into_checkpoint
from lib_copier.lora.layer import Lora
from lib_copier.lora.match import plan_merge
from lib_copier.lora.names import lora_slots
from lib_copier.lora.stream import TensorFile
from lib_copier.model_file.header import read_header


def expected_weights(before, loras, family):
    """The dense way: every layer's delta added to its slice, in float64."""
    slots = lora_slots(before, family)
    weights = {key: array.astype(np.float64) for key, array in before.items() if array.dtype.kind == "f"}
    for lora, ratio in loras:
        for name, layer in lora.layers.items():
            slot, delta = slots[name], ratio * layer.delta()
            weight = weights[slot.key]
            if slot.third is None:
                weight += delta.reshape(weight.shape)
            else:
                rows = weight.shape[0] // 3
                weight[rows * slot.third : rows * (slot.third + 1)] += delta
    return weights, {slots[name].key for lora, _ in loras for name in lora.layers}


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("precision", [None, "float", "fp16", "bf16"])
def test_merge_is_the_dense_sum(tmp_path, make_checkpoint, make_lora, family, precision):
    path, output = make_checkpoint(family), tmp_path / "out.safetensors"
    before = load_file(path)
    loras = [(make_lora(family, conv=True, seed=1), 0.3), (make_lora(family, seed=2, alpha=None), -0.2)]
    with TensorFile(path) as source:
        plan = plan_merge(source, loras)
        assert plan.unmatched == ()
        report, _ = merge_into_checkpoint(
            source, plan, output, save_precision=precision, metadata={"modelspec.title": "tiny"}
        )
    with TensorFile(output) as merged:
        after = {name: merged.read(name) for name in merged.header.tensors}
    expected, changed = expected_weights(before, loras, loras[0][0].family)
    tolerance = {None: 1e-3, "fp16": 1e-3, "float": 1e-6, "bf16": 8e-3}[precision]
    for key, array in before.items():
        if key in changed:
            assert np.abs(after[key].astype(np.float64) - expected[key]).max() <= tolerance * (
                np.abs(expected[key]).max()
            ), key
        elif precision is None:
            assert after[key].dtype == array.dtype
            assert after[key].tobytes() == array.tobytes(), key
        elif precision == "float" and array.dtype == np.float16:
            assert np.array_equal(after[key], array.astype(np.float32)), key
    assert after["steps"].dtype == np.int64
    assert read_header(output).metadata["modelspec.title"] == "tiny"
    assert "copier_lora_error" in read_header(output).metadata
    assert load_file.__module__ == "safetensors.numpy"
    exact = sum(np.square(after[k].astype(np.float64) - expected[k]).sum() for k in changed)
    change = sum(np.square(expected[k] - before[k].astype(np.float64)).sum() for k in changed)
    assert report.error == pytest.approx(np.sqrt(exact / change), rel=0.1, abs=3e-7)


def test_plus_one_then_minus_one_restores_the_weights(tmp_path, make_checkpoint, make_lora):
    path = make_checkpoint("sd1", dtype=np.float32)
    lora = make_lora("sd1")
    for source_path, name, ratio in ((path, "plus", 1.0), (tmp_path / "plus.safetensors", "back", -1.0)):
        with TensorFile(source_path) as source:
            merge_into_checkpoint(
                source, plan_merge(source, [(lora, ratio)]), tmp_path / f"{name}.safetensors"
            )
    before, after = load_file(path), load_file(tmp_path / "back.safetensors")
    assert all(np.allclose(after[key], before[key], atol=1e-5) for key in before)


def test_a_lora_of_another_family_is_refused(make_checkpoint, make_lora):
    with (
        TensorFile(make_checkpoint("sd1")) as source,
        pytest.raises(InputError, match=r"Stable Diffusion XL, but .* is Stable Diffusion 1.x"),
    ):
        plan_merge(source, [(make_lora("sdxl"), 1.0)])


def test_unmatched_layers_and_wrong_shapes_are_told(make_checkpoint, make_lora):
    lora = make_lora("sd1")
    some = next(iter(lora.layers.values()))
    with TensorFile(make_checkpoint("sd1")) as source:
        odd = Lora({**lora.layers, "lora_unet_down_blocks_9_attentions_0_proj_in": some}, family=lora.family)
        assert plan_merge(source, [(odd, 1.0)]).unmatched == ("lora_unet_down_blocks_9_attentions_0_proj_in",)
        shifted = dict(zip(lora.layers, [*list(lora.layers.values())[1:], some], strict=True))
        with pytest.raises(FaultsError, match="changes a matrix of"):
            plan_merge(source, [(Lora(shifted, family=lora.family), 1.0)])


def test_old_text_encoder_names_are_found(tmp_path, make_checkpoint, make_lora):
    from safetensors.numpy import save_file

    tensors = {
        k.replace("transformer.text_model.", "transformer."): v
        for k, v in load_file(make_checkpoint()).items()
    }
    save_file(tensors, tmp_path / "old.safetensors")
    with TensorFile(tmp_path / "old.safetensors") as source:
        assert plan_merge(source, [(make_lora("sd1"), 1.0)]).unmatched == ()


def test_a_file_of_averages_alone_is_merged_into(tmp_path, make_checkpoint, make_lora):
    from safetensors.numpy import save_file

    unet = "model.diffusion_model."
    held = {k: v for k, v in load_file(make_checkpoint()).items() if "ema" not in k}
    alone = {
        "model_ema.diffusion_model" + k.removeprefix(unet).replace(".", "") if k.startswith(unet) else k: v
        for k, v in held.items()
    }
    save_file(alone, tmp_path / "ema.safetensors")
    with TensorFile(tmp_path / "ema.safetensors") as source:
        plan = plan_merge(source, [(make_lora("sd1"), 1.0)])
    assert plan.unmatched == () and any(key.startswith("model_ema.") for key in plan.terms)
    assert set(plan.terms) <= set(alone)


def test_memory_does_not_grow_with_the_file(tmp_path, make_checkpoint, make_lora, monkeypatch):
    """No read is larger than a run of rows: the widest tensor is never in memory whole."""
    largest = 0
    original = TensorFile._read_bytes

    def watch(self, start, size):
        nonlocal largest
        largest = max(largest, size)
        return original(self, start, size)

    big = {"first_stage_model.decoder.big": np.zeros((4096, 1024), np.float16)}
    path = make_checkpoint("sd1", changes=big)
    with TensorFile(path) as source:
        monkeypatch.setattr(TensorFile, "_read_bytes", watch)
        merge_into_checkpoint(
            source, plan_merge(source, [(make_lora("sd1"), 1.0)]), tmp_path / "out.safetensors"
        )
    assert largest <= 2 * (1 << 18)


def test_a_change_beyond_float32_leaves_nothing(tmp_path, make_checkpoint, make_lora):
    lora = make_lora("sd1")
    name, layer = next(iter(lora.layers.items()))
    layers = {name: replace(layer, up=np.full_like(layer.up, 3e38, np.float32))}
    with TensorFile(make_checkpoint("sd1")) as source, pytest.raises(CopierError, match="beyond the range"):
        merge_into_checkpoint(
            source, plan_merge(source, [(lora.with_layers(layers), 8.0)]), tmp_path / "big.safetensors"
        )
    assert not (tmp_path / "big.safetensors").exists()


def test_a_full_disk_leaves_nothing(tmp_path, make_checkpoint, make_lora, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    path, before = make_checkpoint("sd1"), None
    with TensorFile(path) as source:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(InputError, match="free, and the result needs"):
            merge_into_checkpoint(
                source, plan_merge(source, [(make_lora("sd1"), 1.0)]), tmp_path / "out.safetensors"
            )
    assert sorted(tmp_path.iterdir()) == before
