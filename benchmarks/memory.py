"""Memory of a training step, computed: the step runs on tensors that have shapes and no contents.

Counted is every tensor that is alive at the fullest moment of a step. Not counted are CUDA's context, the
workspaces of its libraries and what the allocator loses between tensors.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_SIZES = {"sd1": 512, "sd2": 512, "sdxl": 1024}
_TOKENS = 77
_MIB = 2**20


def main(argv: Sequence[str]) -> int:
    """Compute, print a table, and write the figures as JSON where asked."""
    options = _options(argv)
    found = []
    print(f"{'model':<6}{'px':>6}  {'precision':<10}{'checkpointing':<14}{'peak MiB':>9}  of which")
    for family in options.family or _SIZES:
        for recomputes in (True, False):
            row = _computed(options, family, options.size or _SIZES[family], recomputes=recomputes)
            found.append(row)
            parts = ", ".join(f"{name} {mib}" for name, mib in row["parts_mib"].items())
            head = f"{family:<6}{row['size']:>6}  {options.precision:<10}{'yes' if recomputes else 'no':<14}"
            print(f"{head}{row['peak_mib']:>9}  {parts}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py bench memory", description=__doc__)
    parser.add_argument("--family", choices=tuple(_SIZES), action="append", help="all if omitted")
    parser.add_argument("--size", type=int, help="pixels a side; the family's own if omitted")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="bf16")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(argv)


def _computed(options: argparse.Namespace, family: str, size: int, *, recomputes: bool) -> dict[str, Any]:
    import torch

    from benchmarks.live_tensors import LiveTensors
    from lib_copier.models.device import PRECISIONS

    step, unet, batch = _step(options, family, size, PRECISIONS[options.precision], recomputes=recomputes)
    live, masters = LiveTensors(), step.network.masters
    moments = [torch.zeros_like(master) for master in masters for _ in range(2)]
    gradients = [master.grad for master in masters if master.grad is not None]
    parts = {
        "U-Net": live.add(unet.parameters()),
        "LoRA": live.add([*masters, *step.network.factors]),
        "AdamW": live.add([*moments, *gradients]),
    }
    with _flash_attention(), live:
        for _ in range(2):  # The second meets the gradients that the first has made.
            step.network.clear_gradients()
            step.loss(batch).backward()
            step.network.gradients()
    parts["the rest"] = live.peak - sum(parts.values())
    return {
        "family": family,
        "size": size,
        "precision": options.precision,
        "batch_size": options.batch_size,
        "gradient_checkpointing": recomputes,
        "peak_mib": round(live.peak / _MIB),
        "parts_mib": {name: round(count / _MIB) for name, count in parts.items()},
    }


def _step(options: argparse.Namespace, family_name: str, size: int, dtype: Any, *, recomputes: bool) -> Any:
    """A training step of the U-Net alone, the U-Net, and a batch."""
    import torch

    from lib_copier.model_file.families import FAMILIES, SDXL
    from lib_copier.models.checkpoint import Checkpoint
    from lib_copier.models.noise import NoiseSchedule
    from lib_copier.models.tiny import REAL, random_modules
    from lib_copier.train.conditioning import CachedConditioning
    from lib_copier.train.inject import Ranks
    from lib_copier.train.prepare import give_layers
    from lib_copier.train.step import Batch, TrainingStep

    meta, family = torch.device("meta"), FAMILIES[family_name]
    unet: Any = random_modules(family, REAL[family_name])["unet"].to(dtype).requires_grad_(False)
    checkpoint = Checkpoint(Path(), family, unet, None, (), "epsilon", False, family.resolution, meta, dtype)
    ranks = Ranks(options.rank, options.rank / 2)
    network = give_layers(checkpoint, ranks, seed=0, recomputes=recomputes, text_encoder=False)
    has_pooled = family is SDXL
    embeddings = torch.empty(1, _TOKENS, unet.config.cross_attention_dim, device=meta, dtype=dtype)
    width = REAL[family_name].text[-1].width
    pooled = torch.empty(1, width, device=meta, dtype=dtype) if has_pooled else None
    step = TrainingStep(
        unet,
        CachedConditioning(embeddings, pooled),
        network,
        None,  # type: ignore[arg-type]  # The update comes after the fullest moment.
        NoiseSchedule.create().to(meta),
        None,
    )
    latents = torch.empty(1, 4, size // 8, size // 8, device=meta)
    batch = Batch(
        latents,
        latents.expand(options.batch_size, -1, -1, -1),
        torch.empty(options.batch_size, dtype=torch.int64, device=meta),
        torch.empty(options.batch_size, dtype=torch.int64, device=meta),
        time_ids=torch.empty(1, 6, device=meta) if has_pooled else None,
    )
    return step, unet, batch


@contextlib.contextmanager
def _flash_attention() -> Iterator[None]:
    """Attention by the kernel that CUDA runs: without a device torch would take the plain one."""
    import torch
    import torch.nn.functional as F

    plain = F.scaled_dot_product_attention

    def flash(query: Any, key: Any, value: Any, **options: Any) -> Any:
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]

    F.scaled_dot_product_attention = flash  # type: ignore[assignment]
    try:
        yield
    finally:
        F.scaled_dot_product_attention = plain
