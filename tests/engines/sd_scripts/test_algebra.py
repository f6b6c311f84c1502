"""Merges, resizes and extractions are the memo's commands, and sums are exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lib_copier.engines.sd_scripts.algebra import exact_ratios
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.task import ExtractTask, MergeTask, ResizeTask, SvdMergeTask
from lib_copier.errors import InputError
from lib_copier.settings.training import WeightedLora

MakeFile = Callable[..., Path]


def _arguments(
    engine: SdScriptsEngine, task: MergeTask | SvdMergeTask | ResizeTask | ExtractTask
) -> list[str]:
    command = engine.command(task, Path("work"))
    assert not engine.refusals(task)
    return [str(Path(command.argv[1]).relative_to(engine.checkout.folder)), *command.argv[2:]]


def test_the_memos_merge(engine: SdScriptsEngine, make_checkpoint: MakeFile, make_lora: MakeFile) -> None:
    checkpoint, lora = make_checkpoint(), make_lora("a", {"x": 2})
    task = MergeTask(
        (WeightedLora(lora),), Path("/out/copier.safetensors"), checkpoint, save_precision="float"
    )
    assert _arguments(engine, task) == [
        "networks/merge_lora.py",
        *("--sd_model", str(checkpoint), "--models", str(lora), "--ratios", "1"),
        *("--save_to", str(task.output), "--precision", "float", "--save_precision", "float"),
    ]


def test_the_memos_svd_merge(engine: SdScriptsEngine, make_lora: MakeFile) -> None:
    first, second = make_lora("a", {"x": 2}), make_lora("b", {"x": 2})
    loras = (WeightedLora(first), WeightedLora(second, -1.0))
    task = SvdMergeTask(loras, Path("/out/outline.safetensors"), 8, device="cuda")
    assert _arguments(engine, task) == [
        "networks/svd_merge_lora.py",
        *("--save_precision", "fp16", "--precision", "float", "--save_to", str(task.output)),
        *("--models", str(first), str(second), "--ratios", "1", "-1", "--new_rank", "8", "--device", "cuda"),
    ]


def test_svd_merge_stays_off_the_device_where_an_alpha_is_missing(
    engine: SdScriptsEngine, make_lora: MakeFile
) -> None:
    loras = (WeightedLora(make_lora("a", {"x": 2}, alpha=None)),)
    assert "--device" not in _arguments(
        engine, SvdMergeTask(loras, Path("/out/x.safetensors"), device="cuda")
    )


def test_the_memos_resize(engine: SdScriptsEngine, make_lora: MakeFile) -> None:
    lora = make_lora("a", {"x": 16})
    task = ResizeTask(lora, Path("/out/small.safetensors"), 8)
    assert _arguments(engine, task) == [
        "networks/resize_lora.py",
        *("--model", str(lora), "--save_to", str(task.output), "--new_rank", "8", "--save_precision", "fp16"),
    ]
    dynamic = ResizeTask(lora, task.output, 8, 4, "sv_fro", 0.9, device="cuda:1")
    wanted = ["--new_conv_rank", "4", "--dynamic_method", "sv_fro", "--dynamic_param", "0.9"]
    arguments = _arguments(engine, dynamic)
    assert arguments[7:13] == wanted
    assert arguments[-2:] == ["--device", "cuda:1"]


@pytest.mark.parametrize(("family", "flags"), [("sd1", []), ("sd2", ["--v2"]), ("sdxl", ["--sdxl"])])
def test_extract_says_the_family(
    engine: SdScriptsEngine, make_checkpoint: MakeFile, family: str, flags: list[str]
) -> None:
    path = make_checkpoint(family)
    task = ExtractTask(path, path, Path("/out/edit.safetensors"), rank=64, conv_rank=8, min_diff=1e-5)
    assert _arguments(engine, task) == [
        "networks/extract_lora_from_models.py",
        *flags,
        *("--model_org", str(path), "--model_tuned", str(path), "--save_to", str(task.output)),
        *("--dim", "64", "--conv_dim", "8", "--min_diff", "0.00001", "--save_precision", "fp16"),
    ]


def test_extract_wants_one_family(engine: SdScriptsEngine, make_checkpoint: MakeFile) -> None:
    task = ExtractTask(make_checkpoint("sd1"), make_checkpoint("sdxl"), Path("/out/edit.safetensors"))
    assert "one family" in engine.refusals(task)[0]


@pytest.mark.parametrize(
    ("width", "script", "has_v2"),
    [(768, "merge_lora.py", False), (1024, "merge_lora.py", True), (2048, "sdxl_merge_lora.py", False)],
)
def test_loras_alone_tell_the_family(
    engine: SdScriptsEngine, make_lora: MakeFile, width: int, script: str, has_v2: bool
) -> None:
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    loras = tuple(WeightedLora(make_lora(name, {layer: 2}, width=width)) for name in "ab")
    arguments = _arguments(engine, MergeTask(loras, Path("/out/sum.safetensors")))
    assert arguments[0] == f"networks/{script}"
    assert ("--v2" in arguments) == has_v2
    assert "--concat" in arguments


def _as_the_script_adds(loras: Sequence[WeightedLora], ratios: Sequence[float], layer: str) -> np.ndarray:
    """`merge_lora.py --concat` in numpy: both factors take the ratio, the first file's alpha stays."""
    ups, downs, base = [], [], None
    for lora, ratio in zip(loras, ratios, strict=True):
        tensors = load_file(lora.path)
        alpha = float(tensors[f"{layer}.alpha"])
        base = alpha if base is None else base
        scale = math.sqrt(alpha / base) * ratio
        ups.append(tensors[f"{layer}.lora_up.weight"] * abs(scale))
        downs.append(tensors[f"{layer}.lora_down.weight"] * scale)
    up, down = np.concatenate(ups, 1), np.concatenate(downs, 0)
    assert base is not None
    return up @ down * (base / down.shape[0])


def test_the_ratios_make_the_scripts_sum_exact(make_lora: MakeFile) -> None:
    loras = (
        WeightedLora(make_lora("a", {"x": 4, "y": 4}, alpha=2.0, seed=1), 0.7),
        WeightedLora(make_lora("b", {"x": 8, "y": 8}, alpha=8.0, seed=2), -1.3),
        WeightedLora(make_lora("c", {"x": 2, "y": 2}, alpha=1.0, seed=3), 0.0),
    )
    for layer in ("x", "y"):
        wanted = np.zeros((12, 768))
        for lora in loras:
            tensors = load_file(lora.path)
            down = tensors[f"{layer}.lora_down.weight"]
            scale = lora.weight * float(tensors[f"{layer}.alpha"]) / down.shape[0]
            wanted += scale * tensors[f"{layer}.lora_up.weight"] @ down
        made = _as_the_script_adds(loras, exact_ratios(loras), layer)
        np.testing.assert_allclose(made, wanted, atol=1e-4)
        # The plain ratios would not do: the script squares them.
        plain = _as_the_script_adds(loras, [lora.weight for lora in loras], layer)
        assert np.abs(plain - wanted).max() > 0.1


def test_sums_that_the_script_gets_wrong_are_refused(engine: SdScriptsEngine, make_lora: MakeFile) -> None:
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    even, mixed = make_lora("even", {layer: 4, "y": 4}), make_lora("mixed", {layer: 4, "y": 2})
    fewer = make_lora("fewer", {layer: 4})
    for pair in ((even, mixed), (even, fewer)):
        loras = tuple(WeightedLora(path) for path in pair)
        with pytest.raises(InputError, match="one rank"):
            exact_ratios(loras)
        assert "embedded" in engine.refusals(MergeTask(loras, Path("/out/sum.safetensors")))[0]


def test_files_of_the_wrong_kind_are_refused(
    engine: SdScriptsEngine, make_checkpoint: MakeFile, tmp_path: Path
) -> None:
    absent = MergeTask((WeightedLora(tmp_path / "absent.safetensors"),), Path("/out/sum.safetensors"))
    assert "absent.safetensors" in engine.refusals(absent)[0]
    tiny = make_checkpoint(channels=64)
    small = MergeTask((WeightedLora(tiny),), Path("/out/model.safetensors"), tiny)
    assert "real size" in engine.refusals(small)[0]
