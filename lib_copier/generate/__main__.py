"""`python -m lib_copier.generate`: print pictures from a checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lib_copier.border import events
from lib_copier.edge import Parser, guard, leave
from lib_copier.errors import InputError
from lib_copier.files.disk import has_types, read_json
from lib_copier.models.threads import prepare_environment, settle_threads
from lib_copier.txt2img.pictures import SETTINGS, LoraUse, PictureRequest, check_requests, lora_in


def main(argv: Sequence[str]) -> int:
    """Make the pictures that the command line asks for; 0 when all are written."""
    arguments = _parser().parse_args(argv)
    prepare_environment()
    if arguments.checkpoint is None:
        raise InputError("No checkpoint is given.", "Add --checkpoint FILE.")
    if arguments.requests is not None:
        requests, paths, walks = _told(arguments.requests)
    else:
        requests = _requests(arguments)
        paths, walks = _paths(arguments.out, len(requests)), []
    check_requests(requests, paths)
    from lib_copier.generate.session import ModelChoice, generate
    from lib_copier.generate.shelf import require_fit

    settle_threads()
    events.emit("loading")
    require_fit(arguments.checkpoint, [use.path for request in requests for use in request.loras])

    choice = ModelChoice(
        arguments.checkpoint, arguments.vae, arguments.prediction, arguments.device, arguments.precision
    )
    written = generate(choice, requests, paths, on_progress=_tell, walks=walks)
    events.emit("done", paths=[str(path) for path in written], seeds=[one.seed for one in requests])
    return 0


def _parser() -> Parser:
    parser = Parser(prog="run.py generate", description="Print pictures from a checkpoint, with LoRAs.")
    add = parser.add_argument
    add("--checkpoint", type=Path, metavar="FILE", help="SD1, SD2 or SDXL in one file")
    add("--vae", type=Path, metavar="FILE", help="a VAE in place of the checkpoint's own")
    add("--prediction", default="auto", choices=("auto", "epsilon", "v_prediction"))
    add(
        "--lora",
        action="append",
        default=[],
        metavar="FILE[:WEIGHT[:TE]]",
        help="a LoRA, or PEFT's folder; may be given several times",
    )
    add("--lora_dir", action="append", default=[], type=Path, metavar="DIR", help="where prompts' LoRAs lie")
    add("--prompt", action="append", metavar="TEXT", help="given several times: one picture for each")
    add("--seed", type=int, nargs="+", metavar="N", help="several: one picture for each; -1: drawn, and told")
    for name, setting in SETTINGS.items():
        default = getattr(PictureRequest, name)
        if name not in ("prompt", "seed"):
            told = ", ".join(setting.choices) or f"{setting.label} ({default})"
            add(f"--{name}", type=type(default), default=default, help=told)
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    add("--out", type=Path, default=Path("picture.png"), metavar="FILE", help="several pictures are numbered")
    add("--requests", type=Path, metavar="FILE", help="JSON with requests and paths, in place of the words")
    return parser


def _requests(arguments: argparse.Namespace) -> list[PictureRequest]:
    """Every prompt with every seed."""
    loras = tuple(LoraUse.parse(text) for text in arguments.lora)
    values = {name: getattr(arguments, name) for name in SETTINGS}
    return [
        PictureRequest(**values | {"prompt": prompt, "seed": seed, "loras": loras})
        .with_named_loras(partial(lora_in, arguments.lora_dir))
        .with_seed()
        for prompt in arguments.prompt or [""]
        for seed in arguments.seed or [0]
    ]


def _tell(done: int, total: int) -> None:
    events.emit("progress", step=done, total=total)


def _told(path: Path) -> tuple[list[PictureRequest], list[Path], list[Path]]:
    """What a file asks for: ``requests``, objects with `PictureRequest`'s fields, their ``paths``, and
    ``walks``, files for the ways to them, or none."""
    told = read_json(path, advice="Give a file with requests and paths.")
    if not has_types(told, {"requests": list, "paths": list}):
        raise InputError(f"{path} holds no lists requests and paths.", "Write both.")
    requests, paths = told["requests"], told["paths"]
    if not requests or not all(isinstance(one, dict) for one in requests):
        raise InputError(f"requests in {path} must be a list of objects.", "Write at least one.")
    if len(paths) != len(requests) or not _are_texts(paths):
        raise InputError(f"paths in {path} must name one file for each request.", "Write as many paths.")
    walks = told.get("walks", [])
    if not isinstance(walks, list) or (walks and len(walks) != len(requests)) or not _are_texts(walks):
        raise InputError(f"walks in {path} must name one file for each request.", "Write as many, or none.")
    found = [PictureRequest.from_mapping(request).with_seed() for request in requests]
    return found, [Path(one) for one in paths], [Path(one) for one in walks]


def _are_texts(values: Sequence[object]) -> bool:
    return all(isinstance(one, str) for one in values)


def _paths(out: Path, count: int) -> list[Path]:
    """`out` itself for one picture, else numbered; a folder gets ``picture.png`` in it."""
    if out.is_dir():
        out = out / "picture.png"
    if out.suffix.lower() != ".png":
        raise InputError(f"{out} is not a .png name.", "Save as .png: other formats hold no infotext.")
    if count == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{number:03d}{out.suffix}") for number in range(1, count + 1)]


if __name__ == "__main__":
    leave(guard(main, sys.argv[1:], emits_events=True))
