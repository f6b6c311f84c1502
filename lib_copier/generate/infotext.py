"""What a picture was made from, in the words that the WebUI writes into PNG files and reads back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, PngImagePlugin

from lib_copier import __version__
from lib_copier.disk import replacing
from lib_copier.generate.request import LoraUse, Request
from lib_copier.generate.samplers import SAMPLERS

PNG_KEY = "parameters"
_SHORT_MODEL_HASH = 10
_SHORT_LORA_HASH = 12


def infotext(request: Request, checkpoint: Path, sha256: str, lora_hashes: Mapping[Path, str]) -> str:
    """The WebUI's infotext: prompts, then ``Name: value`` pairs in one line.

    LoRAs stand as tags in the prompt, as they would be typed there.

    Parameters
    ----------
    sha256:
        The checkpoint's digest.
    lora_hashes:
        `sshs_model_hash` of every LoRA in the request.
    """
    used = [use for use in request.loras if use.weight or use.text_weight]
    lines = [" ".join([request.prompt, *map(_tag, used)]).strip()]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    sampler = SAMPLERS[request.sampler]
    hashes = [f"{use.path.stem}: {lora_hashes[use.path][:_SHORT_LORA_HASH]}" for use in used]
    pairs = {
        "Steps": request.steps,
        "Sampler": sampler.name,
        "Schedule type": sampler.schedule_type or None,
        "CFG scale": f"{request.cfg_scale:g}",
        "Seed": request.seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": sha256[:_SHORT_MODEL_HASH],
        "Model": checkpoint.stem,
        "Clip skip": request.clip_skip if request.clip_skip > 1 else None,
        "Lora hashes": ", ".join(hashes) or None,
        "Version": f"Copier LoRA {__version__}",
    }
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in pairs.items() if value is not None))
    return "\n".join(lines)


def save_png(picture: Image.Image, path: Path, text: str) -> None:
    """Write a PNG with an infotext, atomically."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text(PNG_KEY, text)
    with replacing(path) as file:
        picture.save(file, format="PNG", pnginfo=notes)


def _tag(use: LoraUse) -> str:
    name = use.path.stem
    if use.te_weight is None or use.te_weight == use.weight:
        return f"<lora:{name}:{use.weight:g}>"
    return f"<lora:{name}:{use.te_weight:g}:{use.weight:g}>"


def _quoted(value: object) -> str:
    """A value as the WebUI's reader expects it: in quotes where it would end early."""
    text = str(value)
    if not re.search(r'[,:\n"]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
