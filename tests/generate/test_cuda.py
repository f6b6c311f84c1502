"""On a GPU the generator draws what it draws on a processor, and gives the memory back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib_copier.generate.generator import Generator
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.txt2img.pictures import LoraUse, PictureRequest

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 2.0), (torch.float16, 4.0), (torch.bfloat16, 12.0)]
)
def test_a_gpu_draws_the_same_pictures(family, dtype, bound, generator, checkpoint_path, lora_path):
    base = PictureRequest(prompt="a (red:1.2) cat", width=64, height=64, steps=4, seed=7, cfg_scale=3.0)
    requests = [
        base,
        PictureRequest(**{**vars(base), "loras": (LoraUse(lora_path(family), 0.5),), "cfg_scale": 1.0}),
    ]
    on_gpu = Generator(load_checkpoint(checkpoint_path(family), device="cuda", dtype=dtype)).generate(
        requests
    )
    for one, other in zip(on_gpu, generator(family).generate(requests), strict=True):
        assert np.abs(np.asarray(one, float) - np.asarray(other, float)).mean() < bound
