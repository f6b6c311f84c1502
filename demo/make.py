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
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset import draw_set
from scenes import USUAL
from train_unet import build_text_encoder, build_unet, text_width_of, train_unet
from train_vae import SCALING, psnr, train_vae
from widen import widen_text_encoder, widen_unet

from lib_copier.model_file.checkpoint import PREDICTIONS, SUGGESTED_KEY
from lib_copier.model_file.families import SD1
from lib_copier.models.checkpoint import Checkpoint, load_checkpoint
from lib_copier.models.noise import NoiseSchedule
from lib_copier.models.save import save_checkpoint
from lib_copier.models.tokenizer import PromptTokenizer

_HELD_OUT_SEED = 99
_SUGGESTED = Path(__file__).with_name("suggested.json")
"""What suits it: its words, sizes and sampling; they go into the file's own metadata."""


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and make the checkpoint."""
    wanted = _parse(argv)
    began = time.time()

    def report(text: str) -> None:
        print(f"[{time.time() - began:4.0f} s] {text}", flush=True)

    schedule = NoiseSchedule.create(wanted.prediction, zero_terminal_snr=wanted.zero_terminal_snr)
    schedule = schedule.to(wanted.device)
    start = load_checkpoint(wanted.start, dtype=torch.float32) if wanted.start else None
    unet, text = _models(wanted, start)
    vae = start.vae.to(wanted.device) if start else None
    if wanted.vae_seconds > 0 or wanted.unet_steps != 0:
        pictures, captions = draw_set(wanted.scenes, wanted.seed, wanted.look)
        report(f"{len(pictures)} scenes drawn")
    if wanted.vae_seconds > 0:
        device = schedule.alphas_cumprod.device
        vae = train_vae(pictures, seconds=wanted.vae_seconds, device=device, report=report)
        held_out, _ = draw_set(500, _HELD_OUT_SEED, wanted.look)
        report(f"VAE: {psnr(vae, torch.from_numpy(held_out).to(device)):.2f} dB on scenes it never saw")
    if wanted.unet_steps != 0:
        unet, text = train_unet(
            (unet, text),
            _latents(vae, pictures),
            captions,
            PromptTokenizer().encode,
            schedule=schedule,
            seconds=wanted.unet_seconds,
            steps=wanted.unet_steps,
            batch=wanted.batch,
            rate=wanted.rate,
            report=report,
        )
    _save(wanted, unet, vae, text)
    report(f"wrote {wanted.out}, {wanted.out.stat().st_size / 1e6:.1f} MB")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    parser.add_argument("--start", type=Path, help="a checkpoint of this script to go on from")
    parser.add_argument("--width", type=int, help="of a new U-Net's first level (64); 320: SD1.5's sizes")
    parser.add_argument("--widen", type=int, default=1, help="how many times wider than --start it begins")
    parser.add_argument("--text-layers", type=int, help="of the text encoder (2)")
    parser.add_argument("--prediction", choices=PREDICTIONS, default="epsilon")
    parser.add_argument("--zero-terminal-snr", action="store_true", help="no signal in the last time step")
    parser.add_argument("--look", choices=USUAL, default="soft", help="how untagged scenes are drawn")
    parser.add_argument("--scenes", type=int, default=48_000)
    parser.add_argument("--seed", type=int, default=0, help="of the scenes")
    parser.add_argument("--vae-seconds", type=float, default=195)
    parser.add_argument("--unet-seconds", type=float, default=620)
    parser.add_argument("--unet-steps", type=int, help="in place of seconds; 0: only what --start has")
    parser.add_argument("--batch", type=int, default=256, help="latents a step of the U-Net")
    parser.add_argument("--rate", type=float, default=1.2e-3, help="the U-Net's highest learning rate")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    wanted = parser.parse_args(argv)
    if wanted.start is None and (wanted.vae_seconds <= 0 or wanted.widen != 1 or wanted.unet_steps == 0):
        parser.error("--vae-seconds 0, --unet-steps 0 and --widen need a --start checkpoint")
    if wanted.width is not None and wanted.widen != 1:
        parser.error("--width makes a new U-Net, --widen goes on from that of --start: give one of them")
    if wanted.zero_terminal_snr and wanted.prediction == "epsilon":
        parser.error("--zero-terminal-snr needs --prediction v_prediction: noise says nothing of pure noise")
    return wanted


def _models(
    wanted: argparse.Namespace, start: Checkpoint | None
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """U-Net and text encoder to train: those of `start`, or as many times wider, or new ones of `--width`.

    A new U-Net beside a `start` takes over its text encoder, which knows the words.
    """
    if start and wanted.width is None:
        text = widen_text_encoder(start.text_encoders[0], wanted.widen, wanted.text_layers)
        return widen_unet(start.unet, wanted.widen), text
    width = wanted.width or 64
    text_width = text_width_of(width)
    if start:
        known = start.text_encoders[0]
        text = widen_text_encoder(known, text_width // known.config.hidden_size, wanted.text_layers)
    else:
        text = build_text_encoder(wanted.text_layers or 2, text_width)
    return build_unet(width, text_width), text


def _save(wanted: argparse.Namespace, unet: nn.Module, vae: nn.Module, text: nn.Module) -> None:
    suggested = json.dumps(json.loads(_SUGGESTED.read_text(encoding="utf-8")), separators=(",", ":"))
    metadata = {"modelspec.title": wanted.out.stem, "modelspec.license": "CC0-1.0", SUGGESTED_KEY: suggested}
    markers = {"v_pred": wanted.prediction == "v_prediction", "ztsnr": wanted.zero_terminal_snr}
    extra = {name: torch.zeros(0) for name, is_so in markers.items() if is_so}
    save_checkpoint(wanted.out, SD1, unet=unet, vae=vae, text_encoders=[text], metadata=metadata, extra=extra)


@torch.no_grad()
def _latents(vae: nn.Module, pictures: np.ndarray) -> torch.Tensor:
    """The posterior's means times the scaling factor, (N, 4, 16, 16)."""
    made = []
    for chunk in np.array_split(pictures, max(1, len(pictures) // 64)):
        x = torch.from_numpy(chunk).to(vae.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        made.append(vae.encode(x).latent_dist.mean * SCALING)
    return torch.cat(made)


if __name__ == "__main__":
    main()
