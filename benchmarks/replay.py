"""Runs a script of sd-scripts with given draws: `replay.py DRAWS RECORD SCRIPT ARGUMENTS`.

Draws are latents, noise and time steps. It runs in the Python of sd-scripts, outside its checkout, and
changes nothing there: one function of its library is replaced in memory, so that a step starts from the
same draws as ours. The losses go to RECORD.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any


def main(draws_path: str, record_path: str, script: str, *arguments: str) -> None:
    """Replace the drawing, then run the script as if it had been called."""
    from library import train_util
    from safetensors.torch import load_file

    draws = load_file(draws_path)
    latents, noises, timesteps = draws["latents"], draws["noise"], draws["timesteps"]
    losses: list[float] = []
    record = Path(record_path)

    def drawn(_options: Any, scheduler: Any, own_latents: Any) -> tuple[Any, Any, Any]:
        step = len(losses)
        if step == 0:
            gap = float((own_latents - latents).norm() / latents.norm())
            record.with_suffix(".latents.json").write_text(json.dumps({"gap": gap}), encoding="utf-8")
        noise, timestep = noises[step], timesteps[step]
        noisy = scheduler.add_noise(latents, noise, timestep)
        scheduler.alphas_cumprod = scheduler.alphas_cumprod.cpu()
        return noise, noisy, timestep

    add = train_util.LossRecorder.add

    def recorded(self: Any, *, epoch: int, step: int, loss: float) -> None:
        losses.append(float(loss))
        record.write_text(json.dumps(losses), encoding="utf-8")
        add(self, epoch=epoch, step=step, loss=loss)

    train_util.get_noise_noisy_latents_and_timesteps = drawn
    train_util.LossRecorder.add = recorded
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
