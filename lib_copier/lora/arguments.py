"""The command lines of `lora`: sd-scripts' flag names, so that habits and scripts carry over."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from decimal import Decimal

from lib_copier.edge import Parser

PRECISIONS = ("float", "fp16", "bf16")
_SMALL_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)[eE][+-]?\d+")


def parse(argv: Sequence[str], prog: str = "run.py lora") -> argparse.Namespace:
    """Read a command line; `command` names what to do.

    Raises
    ------
    InputError
        Where it cannot be understood.
    """
    # argparse takes -1e-05 for an option; written out it is a number.
    plain = [f"{Decimal(word):f}" if _SMALL_NEGATIVE.fullmatch(word) else word for word in argv]
    return _parser(prog).parse_args(plain)


def finite(text: str) -> float:
    """A number as an argument; NaN and infinity are typing errors."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Combine, shrink and inspect LoRA files; every result is exact.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _merge(commands.add_parser("merge", help="LoRAs into one LoRA, or with --sd_model into a checkpoint"))
    _resize(commands.add_parser("resize", help="a LoRA at a lower rank"))
    _svd_merge(commands.add_parser("svd-merge", help="LoRAs into one LoRA of a chosen rank"))
    _extract(commands.add_parser("extract", help="a LoRA from the difference of two checkpoints"))
    info = commands.add_parser("info", help="what a file is: ranks, norms, metadata, recipe")
    info.add_argument("file", metavar="FILE")
    info.add_argument("--json", action="store_true", help="print one JSON object")
    verify = commands.add_parser("verify", help="check a LoRA file; exit code 1 with every fault")
    verify.add_argument("file", metavar="FILE")
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _saving(parser: argparse.ArgumentParser, default: str) -> None:
    """What all commands that write a file have in common."""
    parser.add_argument("--save_to", required=True, metavar="FILE", help="the .safetensors file to write")
    parser.add_argument(
        "--save_precision", choices=PRECISIONS, help=f"number format of the result; {default} if omitted"
    )
    parser.add_argument("--device", metavar="cpu|cuda", help="cpu if omitted, which is fast enough")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def _rank(parser: argparse.ArgumentParser, default: int | None) -> None:
    told = "" if default is None else f"; {default} if omitted"
    parser.add_argument("--new_rank", type=int, default=default, help=f"rank (dim) of the result{told}")
    parser.add_argument(
        "--new_conv_rank", type=int, help="rank of convolutions wider than 1x1; as --new_rank if omitted"
    )


def _inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        nargs="+",
        required=True,
        metavar="FILE",
        help="LoRA files of any kind, or PEFT's folders",
    )
    parser.add_argument(
        "--ratios", nargs="+", type=finite, metavar="NUMBER", help="one for each LoRA; 1 each if omitted"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float",
        help="accepted for sd-scripts' sake: computing is always exact, whatever is said here",
    )
    parser.add_argument(
        "--no_metadata", action="store_true", help="write only the metadata that the WebUI needs"
    )


def _leaving_out(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--allow_unmatched", action="store_true", help=f"go on without {what} (they are listed)"
    )


def _merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sd_model", metavar="FILE", help="a checkpoint to merge into; without it the result is a LoRA"
    )
    _inputs(parser)
    _saving(parser, "fp16 for a LoRA, each tensor's own for a checkpoint,")
    _rank(parser, None)
    _leaving_out(parser, "layers that have no weight in the checkpoint, or that no LoRA can hold")
    parser.add_argument("--v2", action="store_true", help="expect Stable Diffusion 2.x (found out anyway)")
    parser.add_argument(
        "--v_parameterization",
        action="store_true",
        help="the checkpoint predicts v, which the result tells (found out where markers or a yaml tell it)",
    )
    parser.add_argument(
        "--concat",
        action="store_true",
        help="accepted: merging LoRAs always concatenates, with the strength kept",
    )
    parser.add_argument(
        "--shuffle",
        action="store_true",
        help="accepted: would only reorder the ranks, which changes no picture; not done",
    )


def _resize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        required=True,
        metavar="FILE",
        help="the LoRA to resize; LoHa, LoKr, DoRA and others become an ordinary LoRA",
    )
    parser.add_argument(
        "--sd_model", metavar="FILE", help="the checkpoint, where a DoRA, (IA)3 or GLoRA depends on it"
    )
    _leaving_out(parser, "biases and norms, which no LoRA can hold")
    _saving(parser, "fp16")
    _rank(parser, 4)
    parser.add_argument(
        "--dynamic_method",
        choices=("sv_ratio", "sv_fro", "sv_cumulative"),
        help="let each layer's singular values choose its rank, up to --new_rank",
    )
    parser.add_argument("--dynamic_param", type=finite, help="how much the dynamic method keeps")
    parser.add_argument("--verbose", action="store_true", help="also list every layer")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the energy kept over the rank")


def _svd_merge(parser: argparse.ArgumentParser) -> None:
    _inputs(parser)
    _saving(parser, "fp16")
    _rank(parser, 4)
    _leaving_out(parser, "biases and norms, which no LoRA can hold")
    parser.add_argument(
        "--lbws",
        nargs="+",
        metavar="JSON",
        help="block weights, one list of 12, 17, 20 or 26 numbers for each LoRA",
    )


def _extract(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_org", required=True, metavar="FILE", help="the original checkpoint")
    parser.add_argument("--model_tuned", required=True, metavar="FILE", help="the changed checkpoint")
    _saving(parser, "fp16")
    parser.add_argument("--dim", type=int, default=4, help="rank of the result; 4 if omitted")
    parser.add_argument("--conv_dim", type=int, help="also extract 3x3 convolutions, at this rank")
    parser.add_argument(
        "--min_diff",
        type=finite,
        default=0.01,
        help="leave the text encoder out unless a weight of it differs by more; 0.01 if omitted",
    )
    parser.add_argument("--no_metadata", action="store_true", help="write only what the WebUI needs")
    parser.add_argument("--v2", action="store_true", help="expect Stable Diffusion 2.x (found out anyway)")
    parser.add_argument("--sdxl", action="store_true", help="expect Stable Diffusion XL (found out anyway)")
    parser.add_argument("--v_parameterization", action="store_true", help="note v-prediction in the metadata")
    for flag, meaning in (
        ("--load_precision", "weights are read as they are stored"),
        ("--clamp_quantile", "nothing is clamped: it would make the result weaker"),
        ("--load_original_model_to", "weights are streamed, no model is loaded"),
        ("--load_tuned_model_to", "weights are streamed, no model is loaded"),
    ):
        parser.add_argument(flag, metavar="VALUE", help=f"accepted, without effect: {meaning}")
