"""Small LoRAs and checkpoints, made in code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.shapes import Sizes, checkpoint_shapes, lora_shapes
from lib_copier.lora.layer import Layer, Lora, layer_from_factors
from lib_copier.lora.precision import dtype_name
from lib_copier.lora.stream import TensorWriter
from lib_copier.model_file.families import SD1, SD2, SDXL

TINY = {
    "sd1": Sizes(SD1, (16, 24), (1, 0), 20, ((20, 2),)),
    "sd2": Sizes(SD2, (16, 24), (1, 0), 28, ((28, 2),), True),
    "sdxl": Sizes(SDXL, (16, 24, 32), (0, 1, 2), 36, ((20, 2), (28, 2)), True, 40),
}


def tiny_shapes(family: str) -> dict[str, tuple[int, ...]]:
    """A checkpoint's keys and shapes, without the bulk of the VAE and the vocabulary."""
    shapes = checkpoint_shapes(TINY[family])
    return {
        key: (64, *shape[1:]) if "token_embedding" in key else shape
        for key, shape in shapes.items()
        if not key.startswith("first_stage_model.") or "quant_conv" in key
    }


def save_tensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None):
    """safetensors with fp8 too, which the package's numpy side does not know."""
    described = {key: (dtype_name(array), array.shape) for key, array in tensors.items()}
    with path.open("w+b") as file:
        writer = TensorWriter(file, described, metadata or {})
        for key, array in tensors.items():
            writer.write(key, array)
        writer.finish()
    return path


@pytest.fixture
def make_lora() -> Callable[..., Lora]:
    """`make_lora(family, rank=4, alpha=2.0, conv=False, seed=0)`: every layer filled with random numbers."""

    def make(
        family: str = "sd1",
        *,
        rank: int = 4,
        alpha: float | None = 2.0,
        conv: bool = False,
        seed: int = 0,
        dtype: Any = np.float32,
    ) -> Lora:
        random = np.random.default_rng(seed)
        layers: dict[str, Layer] = {}
        for name, shape in lora_shapes(TINY[family], has_conv=conv).items():
            width = int(np.prod(shape[1:]))
            up = random.standard_normal((shape[0], rank)).astype(dtype)
            down = random.standard_normal((rank, width)).astype(dtype)
            layer = layer_from_factors(up, down, shape, alpha=1.0)
            layers[name] = Layer(layer.up, layer.down, None, alpha)
        sizes = TINY[family].family
        metadata = {"ss_base_model_version": sizes.base_model_version, "ss_v2": str(family == "sd2")}
        return Lora(layers, metadata, sizes)

    return make


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """`make_checkpoint(family, name, dtype=float16, changes=None)`: a single file with tiny tensors."""

    def make(
        family: str = "sd1",
        name: str = "model.safetensors",
        *,
        dtype: Any = np.float16,
        seed: int = 1,
        changes: Mapping[str, np.ndarray] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        random = np.random.default_rng(seed)
        tensors = {
            key: (random.standard_normal(shape) * 0.1).astype(dtype)
            for key, shape in tiny_shapes(family).items()
        }
        first = "model.diffusion_model.input_blocks.0.0.weight"
        tensors["model_ema.decay"] = np.asarray(0.99, np.float32)
        tensors["model_ema.diffusion_modelinput_blocks00weight"] = tensors[first] * 2
        tensors["v_pred"] = np.zeros((0,), np.float16)
        tensors["alphas_cumprod"] = np.linspace(1, 0, 10).astype(np.float64)
        tensors["steps"] = np.asarray([7], np.int64)
        tensors |= dict(changes or {})
        path = tmp_path / name
        save_file(tensors, path, metadata=dict(metadata or {"modelspec.title": "tiny"}))
        return path

    return make


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a `lora` command in this process: (exit code, stdout, stderr)."""
    from lib_copier.edge import guard
    from lib_copier.lora.__main__ import main

    def call(*argv: object) -> tuple[int, str, str]:
        code = guard(main, [str(word) for word in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
