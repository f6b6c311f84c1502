"""`python -m lib_copier.measure JOB.json`: measurements in a child process.

The job file is one JSON object; paths are absolute. Jobs with a model take ``checkpoint`` and, optional,
``vae``, ``prediction``, ``device``, ``precision`` (as the trainer). Jobs that generate take ``prompts``
([{"prompt", "seed"}, …]: ones no training saw), ``sampling`` ({"width", "height", "negative_prompt", "steps",
"cfg_scale", "clip_skip", "sampler"}; width and height default to the origin's) and ``base_loras``
([{"path", "weight"}, …]: always on). Every job writes ``result.json`` into its ``output`` folder, and its
``done`` event carries the same object.

``copier-check``  ``origin`` PATH, ``base_loras`` (the copier): see `copier_check.check_copier`
``sweep``         ``lora`` PATH, ``weights``, ``chain`` (the edits; [] for the user's own),
                  ``pairs`` ([{"origin", "edited"}, …]: what it was learned from), optional ``plain``
                  (the files of the pictures at weight 0): see `sweep.sweep`
``vae-survival``  ``origin``, ``edited``: see `vae.survival`
``report``        see `report.write_report`; makes no pictures and loads no model
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from lib_copier import edge, events
from lib_copier.disk import read_json, write_json
from lib_copier.errors import FaultsError, InputError
from lib_copier.image.effect import Chain, EffectUse
from lib_copier.image.effects import chain_faults
from lib_copier.image.files import crop_to_multiple, read_picture
from lib_copier.measure.analysis import Edit
from lib_copier.measure.copier_check import check_copier
from lib_copier.measure.generation import (
    PromptSeed,
    Sampling,
    WeightedFile,
    open_checkpoint,
    open_generator,
)
from lib_copier.measure.report import write_report
from lib_copier.measure.sweep import sweep
from lib_copier.measure.vae import round_trip, survival
from lib_copier.models.threads import prepare_environment

Job = Mapping[str, Any]
NEEDED = {
    "copier-check": ("checkpoint", "origin", "base_loras", "prompts", "output"),
    "sweep": ("checkpoint", "lora", "weights", "chain", "pairs", "prompts", "output"),
    "vae-survival": ("checkpoint", "origin", "edited", "output"),
    "report": ("output", "edits"),
}
"""Entries each job cannot do without."""


def run_copier_check(job: Job) -> dict[str, Any]:
    """Print unseen prompts with the copier on and compare with the origin."""
    origin = _picture(job["origin"])
    checkpoint = open_checkpoint(job)
    return check_copier(
        open_generator(checkpoint),
        origin=origin,
        round_trip=round_trip(checkpoint.vae, origin),
        loras=_loras(job),
        prompts=_prompts(job),
        sampling=_sampling(job, origin),
        output=Path(job["output"]),
        progress=_tell,
    )


def run_sweep(job: Job) -> dict[str, Any]:
    """Generate and measure one LoRA over weights."""
    pairs = tuple((_picture(pair["origin"]), _picture(pair["edited"])) for pair in job["pairs"])
    plain = [_picture(path) for path in job.get("plain") or ()]
    if plain and len(plain) != len(job["prompts"]):
        raise InputError(
            f"There are {len(plain)} plain pictures for {len(job['prompts'])} prompts.", "Give one a prompt."
        )
    checkpoint = open_checkpoint(job)
    return sweep(
        open_generator(checkpoint),
        lora=Path(job["lora"]),
        weights=job["weights"],
        prompts=_prompts(job),
        sampling=_sampling(job, pairs[0][0]),
        edit=Edit(_links(job), pairs),
        output=Path(job["output"]),
        progress=_tell,
        base_loras=_loras(job),
        through_vae=partial(round_trip, checkpoint.vae),
        plain=plain,
    )


def run_vae_survival(job: Job) -> dict[str, Any]:
    """Measure how much of an edit the VAE keeps."""
    origin, edited = _picture(job["origin"]), _picture(job["edited"])
    if origin.size != edited.size:
        raise InputError(f"The origin is {origin.size}, the edited picture {edited.size}.", "Scale it back.")
    vae = open_checkpoint(job, parts=("vae",)).vae
    return survival(origin, edited, round_trip(vae, origin), round_trip(vae, edited))


JOBS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "copier-check": run_copier_check,
    "sweep": run_sweep,
    "vae-survival": run_vae_survival,
    "report": write_report,
}


def read_job(path: Path) -> Job:
    """The job's object; raises with every fault that can be seen before work starts."""
    job = read_json(path)
    if not isinstance(job, dict) or job.get("job") not in JOBS:
        raise InputError(f"The job file {path} names none of the jobs {', '.join(JOBS)}.", 'Set "job".')
    faults = [f"{name!r} is missing" for name in NEEDED[job["job"]] if name not in job]
    faults += [f"{name!r} is empty" for name in ("prompts", "pairs", "weights") if job.get(name) == []]
    # A report describes its checkpoint and its origin; every other job names them as files.
    names = () if job["job"] == "report" else ("checkpoint", "vae", "lora", "origin", "edited")
    files = [job[name] for name in names if job.get(name)]
    faults += [f"{file} is not there" for file in files if not Path(str(file)).exists()]
    faults += chain_faults(_links(job))
    if faults:
        raise FaultsError(f"The job file {path}", faults)
    return job


def _links(job: Job) -> Chain:
    return tuple(EffectUse.from_json(link) for link in job.get("chain") or ())


def _picture(path: str) -> Image.Image:
    return crop_to_multiple(read_picture(Path(path)).image)[0]


def _prompts(job: Job) -> list[PromptSeed]:
    return [PromptSeed(str(pair["prompt"]), int(pair["seed"])) for pair in job["prompts"]]


def _loras(job: Job) -> list[WeightedFile]:
    return [(Path(lora["path"]), float(lora.get("weight", 1.0))) for lora in job.get("base_loras") or ()]


def _sampling(job: Job, origin: Image.Image) -> Sampling:
    size = {"width": origin.width, "height": origin.height}
    return Sampling.from_json(size | dict(job.get("sampling") or {}))


def _tell(done: int, total: int) -> None:
    events.emit("progress", step=done, total=total)


def main(argv: Sequence[str]) -> int:
    """Run one job, write its result and tell it as the ``done`` event."""
    if len(argv) != 1:
        raise InputError("usage: python -m lib_copier.measure JOB.json", "Name one job file.")
    job = read_job(Path(argv[0]))
    prepare_environment()
    started = time.monotonic()
    result = JOBS[job["job"]](job)
    result["seconds"] = round(time.monotonic() - started, 2)
    write_json(Path(job["output"]) / "result.json", result)
    events.emit("done", **result)
    return 0


if __name__ == "__main__":
    sys.exit(edge.guard(main, sys.argv[1:], emits_events=True))
