"""Makes one picture with the WebUI's own pipeline, undisturbed by other extensions' scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from lib_copier.errors import CancelledError, CopierError, InputError
from lib_copier.host.base import Generated, HostProgress
from lib_copier.txt2img.pictures import PictureRequest


def option(name: str, default: Any) -> Any:
    """A setting of the WebUI; the default where no such setting is registered."""
    from modules import shared

    return getattr(shared.opts, name, default)


def generate_one(request: PictureRequest) -> Generated:
    """One picture with no other extension's script in the way, so that it can be made again."""
    from modules import processing, scripts, shared

    values: dict[str, Any] = {
        "prompt": " ".join([request.prompt, *(lora.tag for lora in request.loras)]).strip(),
        "negative_prompt": request.negative_prompt,
        "seed": int(request.seed),
        "width": request.width,
        "height": request.height,
        "steps": request.steps,
        "cfg_scale": request.cfg_scale,
        "sampler_name": request.sampler,
        "scheduler": request.scheduler or None,
        "batch_size": 1,
        "n_iter": 1,
        "do_not_save_samples": True,
        "do_not_save_grid": True,
        "override_settings": overrides_for(request),
    }
    known = {field.name for field in fields(processing.StableDiffusionProcessingTxt2Img)}
    settings = {name: value for name, value in values.items() if name in known and value is not None}
    p = processing.StableDiffusionProcessingTxt2Img(**settings)
    # An empty runner, not None: reForge looks into it without asking.
    p.scripts = scripts.ScriptRunner()
    p.script_args = ()
    with closing(p):
        processed = processing.process_images(p)
    first = int(getattr(processed, "index_of_first_image", 0) or 0)
    if shared.state.interrupted or len(processed.images) <= first:
        raise CancelledError("The generation was interrupted.")
    text = processed.infotexts[first] if len(processed.infotexts) > first else str(processed.info)
    return Generated(processed.images[first].convert("RGB"), text, int(request.seed))


def sampling_progress() -> HostProgress:
    """How far the picture under way has come, with what the host's own preview would show of it."""
    from modules import shared

    state = shared.state
    # Decoded here and now, as the host's settings want it; where that fails the work goes on all the same.
    with suppress(Exception):
        state.set_current_image()
    total = int(getattr(state, "sampling_steps", 0) or 0)
    share = int(getattr(state, "sampling_step", 0) or 0) / total if total > 0 else 0.0
    return HostProgress(min(1.0, share), getattr(state, "current_image", None))


def overrides_for(request: PictureRequest) -> dict[str, Any]:
    """Settings for this picture alone; only those the host has, as it refuses others."""
    wanted: Mapping[str, Any] = {
        "CLIP_stop_at_last_layers": request.clip_skip,
        "sd_lora": "None",  # a user's default LoRA would be added in silence
    }
    return {
        name: value
        for name, value in wanted.items()
        if value is not None and option(name, None) not in (None, value)
    }


@contextmanager
def last_prompt_kept() -> Iterator[None]:
    """Generating overwrites the file behind the user's "last prompt" button: put it back."""
    from modules import paths_internal

    path = Path(paths_internal.data_path) / "params.txt"
    before = path.read_bytes() if path.is_file() else None
    try:
        yield
    finally:
        if before is not None:
            path.write_bytes(before)


def translated(error: Exception) -> CopierError:
    if type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error).lower():
        from modules import devices

        devices.torch_gc()
        return CopierError("The GPU ran out of memory.", "Lower the picture size, or close other programs.")
    if isinstance(error, FileNotFoundError) and "checkpoint" in str(error).lower():
        return InputError("The WebUI found no checkpoint.", "Put one into its models folder and refresh.")
    # One sentence, whatever threw it: what follows has words of its own on the page.
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    said = first_line.partition(". ")[0].rstrip(".")
    return CopierError(f"The WebUI failed: {said}.", "Its console has the whole story.")
