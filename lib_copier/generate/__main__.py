"""`python -m lib_copier.generate`: print pictures from a checkpoint, once or as a worker that stays."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib_copier import events
from lib_copier.edge import guard
from lib_copier.errors import InputError
from lib_copier.generate.request import SAMPLER_NAMES, LoraUse, Request, check_requests
from lib_copier.models.threads import prepare_environment


def main(argv: Sequence[str]) -> int:
    """Make the pictures that the command line asks for; 0 when all are written."""
    arguments = _parser().parse_args(argv)
    prepare_environment()
    if arguments.worker:
        from lib_copier.generate.worker import serve

        return serve(sys.stdin, device=arguments.device, precision=arguments.precision)
    if arguments.checkpoint is None:
        raise InputError("No checkpoint is given.", "Add --checkpoint FILE.")
    requests = _requests(arguments)
    check_requests(requests)
    paths = _paths(arguments.out, len(requests))
    from lib_copier.generate.session import ModelChoice, Session

    choice = ModelChoice(
        arguments.checkpoint, arguments.vae, arguments.prediction, arguments.device, arguments.precision
    )
    session = Session()
    session.load(choice)
    written = session.generate(
        requests, paths, on_progress=lambda done, total: events.emit("progress", step=done, total=total)
    )
    events.emit("done", paths=[str(path) for path in written])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="generate", description="Print pictures from a checkpoint, with LoRAs."
    )
    add = parser.add_argument
    add("--checkpoint", type=Path, metavar="FILE", help="SD1, SD2 or SDXL in one file")
    add("--vae", type=Path, metavar="FILE", help="a VAE in place of the checkpoint's own")
    add("--prediction", default="auto", choices=("auto", "epsilon", "v_prediction"))
    add(
        "--lora", action="append", default=[], metavar="FILE[:WEIGHT[:TE]]", help="may be given several times"
    )
    add("--prompt", action="append", metavar="TEXT", help="given several times: one picture for each")
    add("--negative_prompt", default="", metavar="TEXT")
    add("--seed", type=int, nargs="+", default=[0], metavar="N", help="several: one picture for each")
    add("--width", type=int, default=512)
    add("--height", type=int, default=512)
    add("--steps", type=int, default=20)
    add("--cfg_scale", type=float, default=7.0)
    add(
        "--clip_skip", type=int, default=1, help="SD1: read the text encoder so far from its end (1: the end)"
    )
    add("--sampler", default="Euler a", metavar="NAME", help=", ".join(SAMPLER_NAMES))
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    add("--out", type=Path, default=Path("picture.png"), metavar="FILE", help="several pictures are numbered")
    add("--worker", action="store_true", help="stay, and take requests as JSON lines on stdin")
    return parser


def _requests(arguments: argparse.Namespace) -> list[Request]:
    """Every prompt with every seed."""
    loras = tuple(LoraUse.parse(text) for text in arguments.lora)
    return [
        Request(
            prompt=prompt,
            negative_prompt=arguments.negative_prompt,
            seed=seed,
            width=arguments.width,
            height=arguments.height,
            steps=arguments.steps,
            cfg_scale=arguments.cfg_scale,
            clip_skip=arguments.clip_skip,
            sampler=arguments.sampler,
            loras=loras,
        )
        for prompt in arguments.prompt or [""]
        for seed in arguments.seed
    ]


def _paths(out: Path, count: int) -> list[Path]:
    """`out` itself for one picture, else numbered; a folder gets ``picture.png`` in it."""
    if out.is_dir():
        out = out / "picture.png"
    if out.suffix.lower() != ".png":
        raise InputError(f"{out} is not a .png name.", "Save as .png: other formats hold no infotext.")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder.", "Make it, or choose another place.")
    if count == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{number:03d}{out.suffix}") for number in range(1, count + 1)]


if __name__ == "__main__":
    sys.exit(guard(main, sys.argv[1:], emits_events=True))
