"""What a picture was made from, in the words that the WebUI writes into PNG files and reads back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_copier import __version__
from lib_copier.txt2img.pictures import SAMPLERS, SETTINGS, PictureRequest

PNG_KEY = "parameters"
_SHORT_MODEL_HASH = 10
_SHORT_LORA_HASH = 12
_PAIR = re.compile(r'\s*(\w[\w \-/]{1,40}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_NUMBERS = {"seed": "Seed", "steps": "Steps", "cfg_scale": "CFG scale", "clip_skip": "Clip skip"}
_NEGATIVE = "Negative prompt:"


def write_infotext(request: PictureRequest, model: str, sha256: str, lora_hashes: Mapping[Path, str]) -> str:
    """The WebUI's infotext: prompts, then ``Name: value`` pairs in one line.

    LoRAs stand as tags in the prompt, as they would be typed there; those of weight 0 did not act.

    Parameters
    ----------
    model, sha256:
        The checkpoint's name without suffix, and its digest; empty: whichever is loaded.
    lora_hashes:
        `sshs_model_hash` of every LoRA in the request.
    """
    used = [use for use in request.loras if use.weight or use.text_weight]
    lines = [" ".join([request.prompt, *(use.tag for use in used)]).strip()]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    sampler = SAMPLERS[request.sampler]
    hashes = [f"{use.path.stem}: {lora_hashes[use.path][:_SHORT_LORA_HASH]}" for use in used]
    pairs = {
        "Steps": request.steps,
        "Sampler": sampler.name,
        "Schedule type": sampler.schedule or None,
        "CFG scale": f"{request.cfg_scale:g}",
        "Seed": request.seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": sha256[:_SHORT_MODEL_HASH] or None,
        "Model": model or None,
        "Clip skip": request.clip_skip if request.clip_skip > 1 else None,
        "Lora hashes": ", ".join(hashes) or None,
        "Version": f"Copier LoRA {__version__}",
    }
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in pairs.items() if value is not None))
    return "\n".join(lines)


def _quoted(value: object) -> str:
    """A value as the WebUI's reader expects it: in quotes where it would end early."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,:\n"]', text) else text


def read_infotext(text: str) -> dict[str, Any]:
    """The settings that an infotext of the WebUI's or ours tells, by `PictureRequest`'s names.

    Only what is told and within its range; a sampler that is not in `SAMPLERS` is left out.
    """
    *lines, last = text.strip().split("\n")
    pairs = dict(_PAIR.findall(last))
    if len(pairs) < 3:
        lines, pairs = [*lines, last], {}
    cut = next((place for place, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    told = {"prompt": "\n".join(lines[:cut]).strip()}
    told["negative_prompt"] = "\n".join(lines[cut:]).removeprefix(_NEGATIVE).strip()
    width, _, height = pairs.get("Size", "").partition("x")
    numbers = {"width": width, "height": height}
    numbers |= {name: pairs.get(label, "") for name, label in _NUMBERS.items()}
    found: dict[str, Any] = {name: value for name, value in told.items() if value}
    for name, digits in numbers.items():
        setting = SETTINGS[name]
        kind = type(getattr(PictureRequest, name))
        is_number = re.fullmatch(r"\d{1,16}" if kind is int else r"\d{1,9}(?:\.\d{1,9})?", digits)
        if is_number and setting.holds(kind(digits)):
            found[name] = kind(digits)
    told_sampler, schedule = pairs.get("Sampler"), pairs.get("Schedule type", "")
    for ours, sampler in SAMPLERS.items():
        is_told = told_sampler == sampler.name and schedule in (sampler.schedule, "Automatic")
        if is_told or (told_sampler == ours and not schedule):
            found["sampler"] = ours
    return found
