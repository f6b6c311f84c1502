"""Files of real size with random numbers, for the benchmarks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.shapes import Sizes, checkpoint_shapes, lora_shapes
from lib_copier.files.disk import replacing
from lib_copier.lora.extract import Target, find_targets
from lib_copier.lora.file import read_lora, write_lora
from lib_copier.lora.layer import Layer, Lora, layer_from_factors
from lib_copier.lora.lowrank import best_factors, product_energy, squared_distance, stack
from lib_copier.lora.parallel import in_parallel
from lib_copier.lora.stream import TensorFile, TensorWriter


def random_lora(path: Path, sizes: Sizes, *, seed: int, rank: int = 64, alpha: float = 32.0) -> Path:
    """A LoRA with the layers of `networks.lora`, in fp16."""
    random = np.random.default_rng(seed)
    layers: dict[str, Layer] = {}
    for name, shape in lora_shapes(sizes).items():
        up = random.standard_normal((shape[0], rank), np.float32) * 0.02
        down = random.standard_normal((rank, math.prod(shape[1:])), np.float32) * 0.02
        layers[name] = layer_from_factors(up.astype(np.float16), down.astype(np.float16), shape, alpha=alpha)
    family = sizes.family
    metadata = {"ss_base_model_version": family.base_model_version, "ss_v2": str(family.name == "sd2")}
    write_lora(Lora(layers, metadata, family), path)
    return path


def random_checkpoint(path: Path, sizes: Sizes, *, seed: int) -> Path:
    """A single-file checkpoint in fp16; norms near 1, so that it also runs."""
    random = np.random.default_rng(seed)
    shapes = checkpoint_shapes(sizes)
    with replacing(path) as file:
        writer = TensorWriter(file, {name: ("F16", shape) for name, shape in shapes.items()}, {})
        for name, shape in shapes.items():
            fan_in = max(1, math.prod(shape[1:]))
            numbers = random.standard_normal(shape, np.float32) * (0.02 if len(shape) < 2 else fan_in**-0.5)
            if len(shape) == 1 and name.endswith("weight"):
                numbers += 1.0
            writer.write(name, numbers.astype(np.float16))
        writer.finish()
    return path


def excess_errors(result: Path, terms: list[tuple[Path, float]], rank: int) -> tuple[float, float]:
    """(relative error of a result file, largest part by which a layer's error exceeds the optimum's)."""
    loras, found = [(read_lora(path), ratio) for path, ratio in terms], read_lora(result)

    def work(name: str) -> tuple[float, float, float]:
        products = []
        for lora, ratio in loras:
            products.append((*lora.layers[name].factors(), ratio * lora.layers[name].scale))
        up, down = stack(products, np)
        best = best_factors(up, down, lambda _: rank, np)
        layer = found.layers[name]
        other_up, other_down = layer.factors()
        squared = squared_distance(up, down, other_up * layer.scale, other_down, product_energy(up, down))
        return best.energy, squared, math.sqrt(squared / best.cut_energy) - 1.0

    rows = [row for _, row in in_parallel(work, found.layers)]
    energy = math.fsum(row[0] for row in rows)
    return math.sqrt(math.fsum(row[1] for row in rows) / energy), max(row[2] for row in rows)


def extract_error(model: Path, tuned: Path, result: Path) -> float:
    """The relative error of an extracted LoRA over the layers that it has."""
    found = read_lora(result)
    with TensorFile(model) as before, TensorFile(tuned) as after:
        targets = [x for x in find_targets(before, after, has_conv=True)[1] if x.name in found.layers]

        def work(target: Target) -> tuple[float, float]:
            difference = target.read(after, 0, target.shape[0]) - target.read(before, 0, target.shape[0])
            left = difference - found.layers[target.name].delta().reshape(target.size).astype(np.float32)
            return float(np.vdot(left, left)), float(np.vdot(difference, difference))

        sums = [row for _, row in in_parallel(work, targets)]
    return math.sqrt(math.fsum(row[0] for row in sums) / math.fsum(row[1] for row in sums))
