"""Merges and resizes by both engines on a few layers of SD1.5's shapes, against dense float64 arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib_copier.engines.embedded import EmbeddedEngine
from lib_copier.engines.listening import Watch
from lib_copier.engines.process import run_command
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.engines.task import Command, Engine, MergeTask, ResizeTask, SvdMergeTask, Task
from lib_copier.lora.file import read_lora, write_lora
from lib_copier.lora.layer import Layer, Lora
from lib_copier.settings.training import WeightedLora

RANK, ALPHA, NEW_RANK = 64, 32.0, 8
FRO_KEPT = 0.9

_BLOCK = "lora_unet_{place}_transformer_blocks_0_{part}"
_LAYERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("down_blocks_0_attentions_0", "attn1_to_q", (320, 320)),
    ("down_blocks_0_attentions_0", "attn2_to_k", (320, 768)),
    ("down_blocks_1_attentions_1", "ff_net_0_proj", (5120, 640)),
    ("mid_block_attentions_0", "attn1_to_out_0", (1280, 1280)),
    ("mid_block_attentions_0", "attn2_to_v", (1280, 768)),
    ("up_blocks_2_attentions_0", "ff_net_2", (640, 2560)),
    ("up_blocks_3_attentions_2", "attn1_to_v", (320, 320)),
    ("up_blocks_3_attentions_2", "ff_net_2", (320, 1280)),
)

Deltas = dict[str, np.ndarray]


@dataclass(frozen=True)
class Row:
    """One comparison: a figure of each engine's result, what it measures, and why they differ."""

    task: str
    measure: str
    embedded: float
    sd_scripts: float
    note: str = ""


def compare_algebra(engine: SdScriptsEngine, folder: Path, *, layer_count: int, seed: int) -> list[Row]:
    """Run every comparison; both engines by their own command lines, as a project would."""
    first = _random_lora(folder / "a.safetensors", layer_count, seed)
    second = _random_lora(folder / "b.safetensors", layer_count, seed + 1)
    one, other = _deltas(first), _deltas(second)
    runs = _Runs(engine, folder)
    pair = (WeightedLora(first, 0.7), WeightedLora(second, -0.5))
    difference = (WeightedLora(first, 1.0), WeightedLora(second, -1.0))
    wanted_sum = {name: 0.7 * one[name] - 0.5 * other[name] for name in one}
    wanted_difference = {name: one[name] - other[name] for name in one}
    merge = MergeTask(pair, folder / "sum.safetensors", save_precision="float")
    ours, theirs = runs.both(merge)
    plain = runs.plain_merge(replace(merge, loras=difference))
    rows = [
        Row("sum 0.7 a - 0.5 b", "relative error", _error(ours, wanted_sum), _error(theirs, wanted_sum),
            "sd-scripts is asked with --concat and ratios that make it exact"),
        Row("difference a - b, ratios 1 -1 as typed", "cosine to the exact one",
            _cosine(_deltas(runs.embedded(replace(merge, loras=difference))), wanted_difference),
            _cosine(plain, wanted_difference),
            "merge_lora.py adds up- and down-matrices separately: cross terms"),
    ]  # fmt: skip
    svd = SvdMergeTask(difference, folder / "svd.safetensors", NEW_RANK, save_precision="float")
    full = replace(svd, new_rank=2 * RANK)
    clamped = "svd_merge_lora.py clamps factor entries at their 0.99 quantile"
    for task, name in ((svd, f"svd-merge a - b to rank {NEW_RANK}"), (full, f"svd-merge at rank {2 * RANK}")):
        ours, theirs = runs.both(task)
        best = _truncated(wanted_difference, task.new_rank)
        rows.append(
            _row(name, "error beyond the optimum's", ours, theirs, best, _beyond(wanted_difference), clamped)
        )
        rows.append(_row(name, "norm kept", ours, theirs, best, _norm_ratio, clamped))
    resize = ResizeTask(first, folder / "small.safetensors", NEW_RANK, save_precision="float")
    ours, theirs = runs.both(resize)
    best = _truncated(one, NEW_RANK)
    rows.append(
        _row(f"resize to rank {NEW_RANK}", "error beyond the optimum's", ours, theirs, best, _beyond(one))
    )
    dynamic = replace(resize, new_rank=RANK, dynamic_method="sv_fro", dynamic_param=FRO_KEPT)
    needed = float(np.mean([_rank_for(delta, FRO_KEPT) for delta in one.values()]))
    rows.append(
        Row(f"resize sv_fro {FRO_KEPT}", f"mean rank ({needed:.4g} needed)",
            _mean_rank(runs.embedded(dynamic)), _mean_rank(runs.sd_scripts(dynamic)),
            "resize_lora.py adds one to the rank twice")
    )  # fmt: skip
    return rows


class _Runs:
    """Runs tasks by both engines; each result is a file of its own."""

    def __init__(self, engine: SdScriptsEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._count = 0

    def embedded(self, task: Task) -> Path:
        """Our result."""
        return self._run(EmbeddedEngine(), task)

    def sd_scripts(self, task: Task) -> Path:
        """Theirs."""
        return self._run(self._engine, task)

    def both(self, task: Task) -> tuple[Deltas, Deltas]:
        """The changes that ours and theirs make."""
        return _deltas(self.embedded(task)), _deltas(self.sd_scripts(task))

    def plain_merge(self, task: MergeTask) -> Deltas:
        """`merge_lora.py` with the weights typed as ratios, as people do."""
        command = self._engine.command(replace(task, output=self._output()), self._folder)
        ratios = command.argv.index("--ratios") + 1
        plain = [str(lora.weight) for lora in task.loras]
        argv = [*command.argv[:ratios], *plain, *command.argv[ratios + len(plain) :]]
        argv.remove("--concat")
        self._start(replace(command, argv=tuple(argv)))
        return _deltas(Path(argv[argv.index("--save_to") + 1]))

    def _run(self, engine: Engine, task: Task) -> Path:
        output = self._output()
        self._start(engine.command(replace(task, output=output), self._folder))  # type: ignore[arg-type]
        return output

    def _start(self, command: Command) -> None:
        run_command(command, Watch(self._folder / "log.txt"))

    def _output(self) -> Path:
        self._count += 1
        return self._folder / f"result {self._count}.safetensors"


def _random_lora(path: Path, layer_count: int, seed: int) -> Path:
    """A LoRA whose singular values fall as those of trained ones do, stored in fp16."""
    layers = {}
    for index, (place, part, shape) in enumerate(_LAYERS[:layer_count]):
        random = np.random.default_rng([seed, index])
        fall = (1.0 + np.arange(RANK)) ** -0.7
        up = (0.05 * random.standard_normal((shape[0], RANK)) * fall).astype(np.float16)
        down = (0.05 * random.standard_normal((RANK, shape[1]))).astype(np.float16)
        layers[_BLOCK.format(place=place, part=part)] = Layer(up=up, down=down, mid=None, alpha=ALPHA)
    write_lora(
        Lora(layers), path, "fp16", {"ss_base_model_version": "sd_v1", "ss_network_module": "networks.lora"}
    )
    return path


def _deltas(path: Path) -> Deltas:
    return {name: layer.delta() for name, layer in read_lora(path).layers.items()}


def _truncated(deltas: Mapping[str, np.ndarray], rank: int) -> Deltas:
    """The best approximation of that rank, by dense singular values."""
    best = {}
    for name, delta in deltas.items():
        left, values, right = np.linalg.svd(delta, full_matrices=False)
        best[name] = (left[:, :rank] * values[:rank]) @ right[:rank]
    return best


def _row(
    task: str,
    measure: str,
    ours: Deltas,
    theirs: Deltas,
    best: Deltas,
    figure: Callable[[Deltas, Deltas], float],
    note: str = "",
) -> Row:
    return Row(task, measure, figure(ours, best), figure(theirs, best), note)


def _beyond(wanted: Deltas) -> Callable[[Deltas, Deltas], float]:
    """How much farther from `wanted` a result is than the best one, as a part of the norm of `wanted`."""

    def figure(made: Deltas, best: Deltas) -> float:
        return _error(made, wanted) - _error(best, wanted)

    return figure


def _norm_ratio(made: Deltas, best: Deltas) -> float:
    return _norm(made.values()) / _norm(best.values())


def _error(made: Deltas, wanted: Deltas) -> float:
    if made.keys() != wanted.keys():
        return float("inf")
    return _norm(made[name] - wanted[name] for name in wanted) / _norm(wanted.values())


def _cosine(made: Deltas, wanted: Deltas) -> float:
    product = sum(float(np.vdot(made[name], wanted[name])) for name in wanted)
    return product / (_norm(made.values()) * _norm(wanted.values()))


def _norm(arrays: Iterable[np.ndarray]) -> float:
    return math.sqrt(sum(float(np.vdot(array, array)) for array in arrays))


def _rank_for(delta: np.ndarray, kept: float) -> int:
    """The least rank that keeps this part of the Frobenius norm."""
    energy = np.cumsum(np.linalg.svd(delta, compute_uv=False) ** 2)
    return int(np.searchsorted(energy / energy[-1], kept**2)) + 1


def _mean_rank(path: Path) -> float:
    return float(np.mean([layer.rank for layer in read_lora(path).layers.values()]))
