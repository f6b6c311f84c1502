"""Merging, resizing and extracting as command lines of the scripts in `networks/`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lib_copier.engines.sd_scripts.checkout import EXTRACT, MERGE, RESIZE, SDXL_MERGE, SVD_MERGE
from lib_copier.engines.sd_scripts.checkpoint import loras_family, real_facts
from lib_copier.engines.sd_scripts.train import number
from lib_copier.engines.task import ExtractTask, MergeTask, ResizeTask, SvdMergeTask
from lib_copier.errors import InputError
from lib_copier.model_file.families import SD2, SDXL
from lib_copier.model_file.header import read_header
from lib_copier.settings.training import WeightedLora

AlgebraTask = MergeTask | SvdMergeTask | ResizeTask | ExtractTask

_DOWN = ".lora_down.weight"


def algebra_arguments(task: AlgebraTask, device: str) -> tuple[str, list[str]]:
    """The script's name and its arguments; `device` is ``cpu`` or a CUDA device.

    Raises
    ------
    InputError
        A file cannot be read, or the task cannot be done exactly by these scripts.
    """
    if isinstance(task, MergeTask):
        return _merge(task)
    if isinstance(task, SvdMergeTask):
        return SVD_MERGE, _svd_merge(task, device)
    if isinstance(task, ResizeTask):
        return RESIZE, _resize(task, device)
    return EXTRACT, _extract(task, device)


def summed_rank(task: MergeTask) -> int:
    """The rank that the sum of some LoRAs has."""
    return sum(next(iter(_layer_ranks(lora.path).values())) for lora in task.loras)


def exact_ratios(loras: Sequence[WeightedLora]) -> list[float]:
    """The ratios with which ``merge_lora.py --concat`` gives the exact weighted sum.

    The script multiplies both factors by the ratio, and keeps alpha while the ranks add up to R: layer i
    comes out as ``ratio·|ratio|·rank_i / R`` of itself. So the ratio is ``±sqrt(|weight|·R / rank_i)``,
    which is one number only where a file has one rank in all its layers, and all files the same layers.

    Raises
    ------
    InputError
        The files are not like that.
    """
    ranks = [_layer_ranks(lora.path) for lora in loras]
    if (
        any(len(set(found.values())) != 1 for found in ranks)
        or len({frozenset(found) for found in ranks}) != 1
    ):
        raise InputError(
            "sd-scripts adds LoRAs exactly only where each has one rank and all the same layers: not these.",
            "Merge them with the embedded engine, or by svd-merge.",
        )
    each = [next(iter(found.values())) for found in ranks]
    total = sum(each)
    return [
        math.copysign(math.sqrt(abs(lora.weight) * total / rank), lora.weight)
        for lora, rank in zip(loras, each, strict=True)
    ]


def _merge(task: MergeTask) -> tuple[str, list[str]]:
    flags: list[str] = []
    if task.checkpoint is not None:
        family = real_facts(task.checkpoint).family
        flags += ["--sd_model", str(task.checkpoint)]
        ratios = [lora.weight for lora in task.loras]
    else:
        found = loras_family([lora.path for lora in task.loras])
        if found is None:
            raise InputError(
                "Nothing in these LoRAs tells which model family they are for.", "Check the files."
            )
        family, ratios = found, exact_ratios(task.loras)
        flags += ["--concat"] if len(task.loras) > 1 else []
    if family is SD2:
        flags.append("--v2")
    return (SDXL_MERGE if family is SDXL else MERGE), [
        *flags,
        *_models(task.loras, ratios),
        *("--save_to", str(task.output)),
        *("--precision", _precision(task.precision), "--save_precision", _precision(task.save_precision)),
    ]


def _svd_merge(task: SvdMergeTask, device: str) -> list[str]:
    # On a device the script needs an alpha in every layer: it moves the scale there as a tensor.
    has_alphas = all(_has_all_alphas(lora.path) for lora in task.loras)
    return [
        *("--save_precision", _precision(task.save_precision), "--precision", _precision(task.precision)),
        *("--save_to", str(task.output)),
        *_models(task.loras, [lora.weight for lora in task.loras]),
        *_rank(task),
        *(_device(device) if has_alphas else ()),
    ]


def _resize(task: ResizeTask, device: str) -> list[str]:
    arguments = ["--model", str(task.lora), "--save_to", str(task.output), *_rank(task)]
    if task.dynamic_method is not None:
        if task.dynamic_param is None:
            raise InputError("The dynamic method has no parameter.", "Give one, or resize to a fixed rank.")
        arguments += ["--dynamic_method", task.dynamic_method, "--dynamic_param", number(task.dynamic_param)]
    return [*arguments, "--save_precision", _precision(task.save_precision), *_device(device)]


def _extract(task: ExtractTask, device: str) -> list[str]:
    family = real_facts(task.original).family
    if real_facts(task.tuned).family is not family:
        raise InputError(
            f"{task.original} and {task.tuned} are not of one family.", "Give two of the same family."
        )
    arguments = ["--sdxl"] if family is SDXL else ["--v2"] if family is SD2 else []
    arguments += ["--model_org", str(task.original), "--model_tuned", str(task.tuned)]
    arguments += ["--save_to", str(task.output), "--dim", str(task.rank)]
    if task.conv_rank is not None:
        arguments += ["--conv_dim", str(task.conv_rank)]
    arguments += ["--min_diff", number(task.min_diff), "--save_precision", _precision(task.save_precision)]
    return [*arguments, *_device(device)]


def _models(loras: Sequence[WeightedLora], ratios: Sequence[float]) -> list[str]:
    return ["--models", *(str(lora.path) for lora in loras), "--ratios", *map(number, ratios)]


def _rank(task: SvdMergeTask | ResizeTask) -> list[str]:
    arguments = ["--new_rank", str(task.new_rank)]
    return (
        arguments if task.new_conv_rank is None else [*arguments, "--new_conv_rank", str(task.new_conv_rank)]
    )


def _precision(name: str) -> str:
    return {"fp32": "float"}.get(name, name)


def _device(device: str) -> list[str]:
    return [] if device == "cpu" else ["--device", device]


def _layer_ranks(path: Path) -> dict[str, int]:
    shapes = read_header(path).shapes
    ranks = {key.removesuffix(_DOWN): shape[0] for key, shape in shapes.items() if key.endswith(_DOWN)}
    if not ranks:
        raise InputError(f"{path} has no layers named as sd-scripts names them.", "Give a kohya-style LoRA.")
    return ranks


def _has_all_alphas(path: Path) -> bool:
    shapes = read_header(path).shapes
    return all(f"{name}.alpha" in shapes for name in _layer_ranks(path))
