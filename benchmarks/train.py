"""One training step beside the bare step of the same model; start-up and memory of the whole command."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.trainer_commands import Measured, busy_neighbours, measure_ours, measure_sd_scripts
from lib_copier.models.threads import prepare_environment

_CAPTION = "1girl, solo, outdoors, smile"


def main(argv: Sequence[str]) -> int:
    """Measure, print a table, and write the figures as JSON where asked."""
    options = _options(argv)
    prepare_environment()
    import torch

    device = options.device if options.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    sizes = options.size or ([512] if device == "cuda" else [64, 256])
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "family": options.family,
        "sizes": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = options.checkpoint or _random_checkpoint(folder, options.family)
        for size in sizes:
            values = _configuration(options, folder, checkpoint, size, device)
            row = found["sizes"][str(size)] = {}
            if not options.skip_commands:
                row["command"] = measure_ours(values | {"steps": options.steps}, folder, size).shown()
                if options.contention:
                    with busy_neighbours(1):
                        beside = measure_ours(values | {"steps": options.steps}, folder, size)
                    row["command_beside_a_busy_core"] = beside.shown()
            if options.sd_scripts:
                row["sd_scripts"] = _sd_scripts(options, values, folder, size).shown()
            row["in_process"] = _measure_steps(values, repeats=options.steps)
            print(f"{size} px: {json.dumps(row, indent=1)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py bench train", description=__doc__)
    parser.add_argument("--size", type=int, action="append", help="pixels a side; may be given several times")
    parser.add_argument("--steps", type=int, default=10, help="steps measured (default 10)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--family", choices=("sd1", "sd2", "sdxl"), default="sd1")
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--text-encoder", action="store_true", help="train the text encoder too")
    parser.add_argument("--checkpoint", type=Path, help="instead of random weights of the family's real size")
    parser.add_argument(
        "--contention", action="store_true", help="again beside a program that keeps a core busy"
    )
    parser.add_argument("--skip-commands", action="store_true", help="only the steps within this process")
    parser.add_argument("--sd-scripts", type=Path, metavar="DIR", help="run its train_network.py beside ours")
    parser.add_argument("--sd-scripts-python", type=Path, metavar="PYTHON", help="its interpreter")
    parser.add_argument("--sd-scripts-tokenizers", type=Path, metavar="DIR", help="its --tokenizer_cache_dir")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(argv)


def _random_checkpoint(folder: Path, family: str) -> Path:
    from lib_copier.model_file.families import SD1, SD2, SDXL
    from lib_copier.models.tiny import random_checkpoint

    families = {"sd1": SD1, "sd2": SD2, "sdxl": SDXL}
    return random_checkpoint(folder / f"{family}.safetensors", families[family], real_size=True)


def _configuration(
    options: argparse.Namespace, folder: Path, checkpoint: Path, size: int, device: str
) -> dict[str, Any]:
    """The memo's settings without warm-up, on a picture of noise."""
    import numpy as np
    from PIL import Image

    picture = folder / f"pictures{size}" / "origin.png"
    picture.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture)
    picture.with_suffix(".txt").write_text(_CAPTION, encoding="utf-8")
    return {
        "checkpoint": str(checkpoint),
        "output": str(folder / "lora.safetensors"),
        "work_dir": str(folder / "work"),
        "pictures": [{"path": str(picture), "caption": _CAPTION}],
        "rank": options.rank,
        "alpha": options.rank / 2,
        "warmup_steps": 0,
        "batch_size": options.batch_size,
        "train_text_encoder": options.text_encoder,
        "shuffle_caption": False,
        "gradient_checkpointing": options.gradient_checkpointing,
        "precision": options.precision,
        "device": device,
    }


def _sd_scripts(options: argparse.Namespace, values: dict[str, Any], folder: Path, size: int) -> Measured:
    return measure_sd_scripts(
        options.sd_scripts,
        options.sd_scripts_python,
        options.sd_scripts_tokenizers,
        values | {"steps": options.steps},
        folder,
        size,
        is_sdxl=options.family == "sdxl",
    )


def _measure_steps(values: dict[str, Any], *, repeats: int) -> dict[str, Any]:
    """Our step and the bare ones in turn, so that a machine's moods fall on all alike; medians, seconds."""
    import torch

    from lib_copier.train.config import parse_config
    from lib_copier.train.prepare import prepare

    config = parse_config(values | {"steps": 1_000_000})
    run = prepare(config, log=print)
    kinds: dict[str, Callable[[], None]] = {"bare": _bare_step(run), "ours": _our_step(config, run)}
    if run.device.type == "cpu":
        kinds["bare_default_layout"] = kinds["bare"]
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(repeats + 2):
        for kind, step in kinds.items():
            layout = torch.contiguous_format if kind == "bare_default_layout" else torch.channels_last
            if run.device.type == "cpu":
                run.checkpoint.unet.to(memory_format=layout)
            seconds = _timed(step, run.device)
            if turn >= 2:  # The first ones choose kernels, record the graph and fill caches.
                times[kind].append(seconds)
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    shown = {f"{kind}_s": round(seconds, 5) for kind, seconds in medians.items()}
    shown |= {
        f"ours_over_{kind}": round(medians["ours"] / medians[kind], 4) for kind in kinds if kind != "ours"
    }
    return shown


def _timed(step: Callable[[], None], device: Any) -> float:
    """Seconds a step; on CUDA over 20 in a row, launched without waiting, as training does."""
    if device.type != "cuda":
        began = time.perf_counter()
        step()
        return time.perf_counter() - began
    import torch

    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(20):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / 20


def _bare_step(run: Any) -> Callable[[], None]:
    """Forward, backward and AdamW of the LoRA-injected U-Net on fixed inputs, nothing else."""
    import torch

    network, unet = run.step.network, run.checkpoint.unet
    latents = torch.randn_like(run.pictures[0].latents)
    hidden, pooled = run.step._conditioning(torch.zeros(1, dtype=torch.int64, device=run.device))
    hidden, dtype = hidden.detach(), next(unet.parameters()).dtype
    added = None if pooled is None else {"text_embeds": pooled.detach(), "time_ids": run.pictures[0].time_ids}
    timesteps = torch.tensor([500], device=run.device)
    optimizer = torch.optim.AdamW(network.factors, lr=1e-4, fused=True)

    def step() -> None:
        network.clear_gradients()
        answer = unet(latents.to(dtype), timesteps, hidden, added_cond_kwargs=added, return_dict=False)[0]
        (answer.float() - latents).square().mean().backward()
        optimizer.step()

    return step


def _our_step(config: Any, run: Any) -> Callable[[], None]:
    """All that the training loop does in a step."""
    from lib_copier.train.loop import make_stepper

    stepper = make_stepper(config, run)
    done = 0

    def step() -> None:
        nonlocal done
        stepper(done, config.learning_rate)
        done += 1

    return step
