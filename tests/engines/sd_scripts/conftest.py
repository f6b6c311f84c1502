"""A stand-in for a checkout of sd-scripts: its options, recorded output, and files written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from lib_copier.engines.sd_scripts.checkout import Checkout
from lib_copier.engines.sd_scripts.engine import SdScriptsEngine
from lib_copier.settings.training import Picture, TrainTask

RECORDED = Path(__file__).parent / "recorded"
COMMIT = "0123456789abcdef0123456789abcdef01234567"

_SCRIPT = """
import argparse, json, os, pathlib, re, signal, sys, time
from library import train_util


def setup_parser():
    parser = argparse.ArgumentParser()
    train_util.add_arguments(parser)
    {own}
    return parser


def put(path):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((8).to_bytes(8, "little") + b"{{}}      ")


def look_at_pictures(config):
    for line in pathlib.Path(config).read_text(encoding="utf-8").splitlines():
        found = re.match("image_dir = (.*)", line)
        if found:
            names = sorted(path.suffix for path in pathlib.Path(json.loads(found[1])).iterdir())
            assert names == [".png", ".txt"], names


if __name__ == "__main__":
    arguments = vars(setup_parser().parse_args())
    mode = os.environ.get("STAND_IN", "")
    if arguments.get("dataset_config"):
        look_at_pictures(arguments["dataset_config"])
    sys.stderr.write(pathlib.Path({recorded!r}).read_text(encoding="utf-8"))
    if mode == "out of memory":
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "nothing":
        sys.exit(0)
    if arguments.get("sample_prompts"):
        json.loads(pathlib.Path(arguments["sample_prompts"]).read_text(encoding="utf-8"))
        folder = pathlib.Path(arguments["output_dir"]) / "sample"
        folder.mkdir(exist_ok=True)
        (folder / "t_000002_00.png").write_bytes(b"png")
        time.sleep(0.1)
        print("a line after the sample", flush=True)
    if arguments.get("output_dir"):
        put(pathlib.Path(arguments["output_dir"]) / (arguments["output_name"] + ".safetensors"))
    elif arguments.get("save_to"):
        put(arguments["save_to"])
    elif arguments.get("train_data_dir"):
        for path in pathlib.Path(arguments["train_data_dir"]).glob("*.png"):
            path.with_suffix(".txt").write_text("1girl, solo" + chr(10), encoding="utf-8")
"""


def recorded_options() -> dict[str, dict[str, list[str]]]:
    """Options of sd-scripts v0.10.1: script → kind (flags, values, lists) → names."""
    found = json.loads((RECORDED / "options.json").read_text(encoding="utf-8"))
    return {script: {kind: names.split() for kind, names in kinds.items()} for script, kinds in found.items()}


@pytest.fixture
def recorded() -> dict[str, dict[str, list[str]]]:
    return recorded_options()


def _additions(kinds: dict[str, list[str]]) -> list[str]:
    lines = [f'parser.add_argument("{name}", action="store_true")' for name in kinds["flags"]]
    lines += [f'parser.add_argument("{name}", type=str)' for name in kinds["values"]]
    return lines + [f'parser.add_argument("{name}", nargs="*")' for name in kinds["lists"]]


def write_checkout(folder: Path) -> None:
    """Scripts at the places and with the options of sd-scripts; half of the options come from its library."""
    options = recorded_options()
    (folder / "library").mkdir(parents=True)
    for script, kinds in options.items():
        path = folder / script
        path.parent.mkdir(exist_ok=True)
        module = f"options_{path.stem}"
        lines = _additions(kinds)
        shared, own = lines[::2], lines[1::2]
        body = "\n    ".join(shared)
        (folder / "library" / f"{module}.py").write_text(f"def add_arguments(parser):\n    {body}\n")
        text = _SCRIPT.format(own="\n    ".join(own), recorded=str(RECORDED / "train.stderr"))
        path.write_text(text.replace("import train_util", f"import {module} as train_util"), encoding="utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text(COMMIT + "\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "sd scripts 本家"
    write_checkout(folder)
    return Checkout(folder, Path(sys.executable))


@pytest.fixture
def engine(checkout: Checkout) -> SdScriptsEngine:
    return SdScriptsEngine(checkout)


MARKS = {
    "sd1": ("cond_stage_model.transformer.text_model.final_layer_norm.weight", 768),
    "sd2": ("cond_stage_model.model.ln_final.weight", 1024),
    "sdxl": ("conditioner.embedders.1.model.ln_final.weight", 2048),
}


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """A file with the few tensors that tell a checkpoint's family."""

    def make(
        family: str = "sd1", *, channels: int = 320, metadata: dict[str, str] | None = None, extra: str = ""
    ) -> Path:
        mark, width = MARKS[family]
        tensors = {
            "model.diffusion_model.input_blocks.0.0.weight": np.zeros((channels, 4, 3, 3), np.float16),
            "model.diffusion_model.input_blocks.1.1.attn2.to_k.weight": np.zeros((2, width), np.float16),
            mark: np.zeros(4, np.float16),
        }
        if extra:
            tensors[extra] = np.zeros(1, np.float16)
        path = tmp_path / "モデル" / f"{family} {channels} {extra}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file(tensors, path, metadata=metadata)
        return path

    return make


@pytest.fixture
def make_lora(tmp_path: Path) -> Callable[..., Path]:
    """A LoRA file with layers of the given ranks; `width` is what its cross-attention reads."""

    def make(
        name: str, ranks: dict[str, int], *, width: int = 768, alpha: float | None = 4.0, seed: int = 0
    ) -> Path:
        random = np.random.default_rng(seed)
        tensors = {}
        for layer, rank in ranks.items():
            tensors[f"{layer}.lora_down.weight"] = random.standard_normal((rank, width)).astype(np.float32)
            tensors[f"{layer}.lora_up.weight"] = random.standard_normal((12, rank)).astype(np.float32)
            if alpha is not None:
                tensors[f"{layer}.alpha"] = np.array(alpha, np.float32)
        path = tmp_path / "ロラ 1" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file(tensors, path)
        return path

    return make


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "元 画像.png"
    Image.new("RGB", (130, 96), (200, 10, 30)).save(path)
    return path


@pytest.fixture
def task(make_checkpoint: Callable[..., Path], picture: Path, tmp_path: Path) -> TrainTask:
    """The memo's copier."""
    return TrainTask(
        checkpoint=make_checkpoint(),
        output=tmp_path / "成果" / "copier.safetensors",
        pictures=(Picture(picture, "1girl, solo"),),
        device="cpu",
        state_every=0,
    )
