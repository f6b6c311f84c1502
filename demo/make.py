"""Makes the demo checkpoint from nothing: draws scenes, trains the VAE, then U-Net and text encoder.

    python demo/make.py --out demo/copier-demo.safetensors --vae-seconds 195 --unet-seconds 620

Runs on a GPU (minutes) or a CPU (hours: give ten times the seconds). `--start FILE` goes on from an
earlier checkpoint of this script; with `--vae-seconds 0` its VAE stays as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset import draw_set
from train_unet import train_unet
from train_vae import SCALING, psnr, train_vae

from lib_copier.checkpoint import SUGGESTED_KEY
from lib_copier.families import SD1
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.save import save_checkpoint
from lib_copier.models.tokenizer import PromptTokenizer

_HELD_OUT_SEED = 99
_SUGGESTED = Path(__file__).with_name("suggested.json")
"""What suits it: its words, sizes and sampling; they go into the file's own metadata."""


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and make the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    parser.add_argument("--start", type=Path, help="a checkpoint of this script to go on from")
    parser.add_argument("--scenes", type=int, default=48_000)
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    parser.add_argument("--vae-seconds", type=float, default=195)
    parser.add_argument("--unet-seconds", type=float, default=620)
    parser.add_argument("--batch", type=int, default=256, help="latents a step of the U-Net")
    parser.add_argument("--rate", type=float, default=1.2e-3, help="the U-Net's highest learning rate")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    wanted = parser.parse_args(argv)
    if wanted.vae_seconds <= 0 and wanted.start is None:
        parser.error("--vae-seconds 0 needs the VAE of a --start checkpoint")

    began = time.time()

    def report(text: str) -> None:
        print(f"[{time.time() - began:4.0f} s] {text}", flush=True)

    device = torch.device(wanted.device)
    pictures, captions = draw_set(wanted.scenes, wanted.seed)
    report(f"{len(pictures)} scenes drawn")
    start = load_checkpoint(wanted.start, dtype=torch.float32) if wanted.start else None
    if wanted.vae_seconds > 0:
        vae = train_vae(pictures, seconds=wanted.vae_seconds, device=device, report=report)
    else:
        vae = start.vae.to(device)
    held_out, _ = draw_set(500, _HELD_OUT_SEED)
    report(f"VAE: {psnr(vae, torch.from_numpy(held_out).to(device)):.2f} dB on scenes it never saw")
    unet, text = train_unet(
        _latents(vae, pictures, device),
        captions,
        PromptTokenizer().encode,
        models=(start.unet, start.text_encoders[0]) if start else None,
        seconds=wanted.unet_seconds,
        batch=wanted.batch,
        rate=wanted.rate,
        device=device,
        report=report,
    )
    suggested = json.dumps(json.loads(_SUGGESTED.read_text(encoding="utf-8")), separators=(",", ":"))
    metadata = {"modelspec.title": "copier-demo", "modelspec.license": "CC0-1.0", SUGGESTED_KEY: suggested}
    save_checkpoint(wanted.out, SD1, unet=unet, vae=vae, text_encoders=[text], metadata=metadata)
    report(f"wrote {wanted.out}, {wanted.out.stat().st_size / 1e6:.1f} MB")


@torch.no_grad()
def _latents(vae: torch.nn.Module, pictures: np.ndarray, device: torch.device) -> torch.Tensor:
    """The posterior's means times the scaling factor, (N, 4, 16, 16)."""
    made = []
    for chunk in np.array_split(pictures, max(1, len(pictures) // 256)):
        x = torch.from_numpy(chunk).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        made.append(vae.encode(x).latent_dist.mean * SCALING)
    return torch.cat(made)


if __name__ == "__main__":
    main()
