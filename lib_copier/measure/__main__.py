"""`python -m lib_copier.measure JOB.json`: measurements in a child process.

The job file is one JSON object; paths are absolute. Jobs with a model take ``checkpoint`` and, optional,
``vae``, ``prediction``, ``device``, ``precision`` (as the trainer). Jobs that generate take ``prompts``
([{"prompt", "seed", …}, …]: ones no training saw), ``sampling`` (what they have in common) – both with the
names of `PictureRequest`; width and height default to the origin's – and ``base_loras``
([{"path", "weight"}, …]: always on). Every job writes ``result.json`` into its ``output`` folder, and its
``done`` event carries the same object.

``copier-check``  ``origin`` PATH, ``base_loras`` (the copier): see `copier_check.check_copier`
``sweep``         ``lora`` PATH, ``weights``, ``chain`` (the edits; [] for the user's own),
                  ``pairs`` ([{"origin", "edited"}, …]: what it was learned from), optional ``plain``
                  (the files of the pictures at weight 0) and ``rule`` (the file of the pairs' rule, which
                  counts where it is true): see `sweep.sweep`
``calibrate``     ``lora``, ``chain``, ``pairs``, ``rule`` as a sweep's, ``sign`` (−1 where plus takes the
                  edit away), ``most_leak``; writes the LoRA at its gain as ``lora.safetensors``: see
                  `calibration.calibrate`
``vae-survival``  ``origin``, ``edited``: see `vae.survival`
``rule``          ``pairs`` ([{"origin", "edited"}, …]: retouched by hand); writes the rule behind them as
                  ``rule.safetensors``, and ``sheet.png`` (origins, retouched copies, copies by the rule): see
                  `find_rule.find_rule`; loads no model
``pairs``         ``pictures`` (drawn ones), ``chain`` or ``rule`` (applied to them), ``origins`` and
                  ``edited`` (those that have a copy already), ``names`` (of all), ``apart`` (whether these
                  cannot be learned beside drawn ones); writes the edited copies of the drawn ones as
                  NAME.png, and ``sheet.png``: see `pairs.judge`; loads no model
``report``        see `report.read_report`; makes no pictures and loads no model
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from lib_copier import edge
from lib_copier.border import events
from lib_copier.border.job import Entries, Job, read_job
from lib_copier.errors import FaultsError, InputError
from lib_copier.files.disk import is_there, write_json
from lib_copier.image.effects import read_chain
from lib_copier.image.files import crop_to_multiple, read_picture, write_png
from lib_copier.lora.file import read_lora, write_lora
from lib_copier.lora.gain import scale, stored_precision
from lib_copier.measure.calibration import calibrate
from lib_copier.measure.copier_check import check_copier
from lib_copier.measure.direction import Edit
from lib_copier.measure.find_rule import find_rule, shrunk
from lib_copier.measure.floor import write_random_like
from lib_copier.measure.generation import job_pictures, open_checkpoint, open_generator
from lib_copier.measure.pairs import Pair, judge, pairs_sheet
from lib_copier.measure.report_page import write_report
from lib_copier.measure.rule import Rule
from lib_copier.measure.sheet import contact_sheet
from lib_copier.measure.sweep import sweep
from lib_copier.measure.vae import round_trip, survival
from lib_copier.models.threads import prepare_environment

_GENERATES = {"checkpoint": str, "vae?": str, "prompts": list, "sampling?": dict, "output": str}
KINDS: dict[str, Entries] = {
    "copier-check": {**_GENERATES, "origin": str, "base_loras": list},
    "sweep": {
        **_GENERATES,
        **{"lora": str, "weights": list, "chain": list, "pairs": list, "plain?": list, "base_loras?": list},
        "rule?": str,
    },
    "calibrate": {
        **_GENERATES,
        **{"lora": str, "chain": list, "pairs": list, "base_loras?": list, "sign": int, "most_leak": float},
        "rule?": str,
    },
    "rule": {"pairs": list, "output": str},
    "pairs": {
        **{"pictures": list, "chain": list, "origins": list, "edited": list, "names": list, "output": str},
        **{"rule?": str, "apart?": bool},
    },
    "vae-survival": {"checkpoint": str, "vae?": str, "origin": str, "edited": str, "output": str},
    "report": {"output": str, "edits": list},
}
"""What each job's entries are."""
_APART = (
    "Your own pairs are not learned beside those of their rule: "
    "not all of their origins were drawn here, and in one way."
)
_SHEET = "sheet.png"


def run_copier_check(job: Job) -> dict[str, Any]:
    """Print unseen prompts with the copier on and compare with the origin."""
    origin = _picture(job["origin"])
    requests = job_pictures(job, origin)
    checkpoint = open_checkpoint(job)
    return check_copier(
        open_generator(checkpoint),
        origin=origin,
        round_trip=round_trip(checkpoint.vae, origin),
        requests=requests,
        output=Path(job["output"]),
        progress=_tell,
    )


def run_sweep(job: Job) -> dict[str, Any]:
    """Generate and measure one LoRA over weights."""
    edit = _edit(job)
    plain = [_picture(path) for path in job.get("plain") or ()]
    if plain and len(plain) != len(job["prompts"]):
        raise InputError(
            f"There are {len(plain)} plain pictures for {len(job['prompts'])} prompts.", "Give one a prompt."
        )
    requests = job_pictures(job, edit.pairs[0][0])
    checkpoint = open_checkpoint(job)
    with TemporaryDirectory() as scratch:
        return sweep(
            open_generator(checkpoint),
            lora=Path(job["lora"]),
            weights=job["weights"],
            requests=requests,
            edit=edit,
            output=Path(job["output"]),
            progress=_tell,
            through_vae=partial(round_trip, checkpoint.vae),
            plain=plain,
            random_lora=write_random_like(Path(job["lora"]), Path(scratch)) if edit.can_be_applied else None,
        )


def run_calibrate(job: Job) -> dict[str, Any]:
    """Find the gain at which weight 1 is the edit, and write the LoRA so."""
    edit, output, lora = _edit(job), Path(job["output"]), read_lora(job["lora"])
    requests = job_pictures(job, edit.pairs[0][0])
    found = calibrate(
        open_generator(open_checkpoint(job)),
        lora=Path(job["lora"]),
        requests=requests,
        edit=edit,
        sign=job["sign"],
        most_leak=float(job["most_leak"]),
        output=output,
        progress=_tell,
    )
    write_lora(scale(lora, float(found["gain"])), output / "lora.safetensors", stored_precision(lora))
    return found


def _edit(job: Job) -> Edit:
    return Edit(read_chain(job["chain"]), _pairs(job), _rule(job))


def _pairs(job: Job) -> tuple[tuple[Image.Image, Image.Image], ...]:
    return tuple((_picture(pair["origin"]), _picture(pair["edited"])) for pair in job["pairs"])


def _rule(job: Job) -> Rule | None:
    """The rule that the job names, where it is one to go by."""
    found = Rule.read(Path(job["rule"])) if job.get("rule") else None
    return found if found is not None and found.is_true else None


def run_vae_survival(job: Job) -> dict[str, Any]:
    """Measure how much of an edit the VAE keeps."""
    origin, edited = _picture(job["origin"]), _picture(job["edited"])
    if origin.size != edited.size:
        raise InputError(f"The origin is {origin.size}, the edited picture {edited.size}.", "Scale it back.")
    vae = open_checkpoint(job, parts=("vae",)).vae
    return survival(origin, edited, round_trip(vae, origin), round_trip(vae, edited))


def run_rule(job: Job) -> dict[str, Any]:
    """Find the rule behind retouched pairs, and show what it makes of their origins."""
    pairs, output = _pairs(job), Path(job["output"])
    events.emit("device", kind="CPU")
    found = find_rule(pairs, _tell)
    found.write(output / "rule.safetensors")
    shown = [tuple(shrunk(one) for one in pair) for pair in pairs]
    rows = [*zip(*shown, strict=True), [found.apply(origin) for origin, _ in shown]]
    write_png(contact_sheet(rows), output / _SHEET)
    return {**found.told(), "sheet": _SHEET}


def run_pairs(job: Job) -> dict[str, Any]:
    """Edit the drawn pictures, and tell which pairs are worth learning from."""
    output, edit = Path(job["output"]), Edit(read_chain(job["chain"]), pairs=(), rule=_rule(job))
    drawn, origins, edited = (list(map(_picture, job[name])) for name in ("pictures", "origins", "edited"))
    names, notes = job["names"], list[str]()
    made = [Pair(name, one, edit.applied(one)) for name, one in zip(names[: len(drawn)], drawn, strict=True)]
    by_hand = zip(names[len(drawn) :], origins, edited, strict=True)
    given = [Pair(*one, is_by_hand=True) for one in by_hand]
    for pair in made:
        write_png(pair.edited, output / f"{pair.name}.png")
    if edit.rule is not None and job.get("apart"):
        given, notes = [], [_APART]
    pairs = [*(made if edit.can_be_applied else ()), *given]
    write_png(pairs_sheet(pairs), output / _SHEET)
    judged = judge(pairs)
    return {**judged, "notes": [*notes, *judged["notes"]], "count": len(pairs), "sheet": _SHEET}


JOBS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "copier-check": run_copier_check,
    "sweep": run_sweep,
    "calibrate": run_calibrate,
    "rule": run_rule,
    "pairs": run_pairs,
    "vae-survival": run_vae_survival,
    "report": write_report,
}


def checked_job(path: Path) -> Job:
    """The job's object; raises with every fault that can be seen before work starts."""
    job = read_job(path, KINDS)
    faults = [f"{name!r} is empty" for name in ("prompts", "pairs", "weights") if job.get(name) == []]
    # A report describes its checkpoint and its origin; every other job names them as files.
    is_described = job["job"] in ("report", "pairs")
    names = () if is_described else ("checkpoint", "vae", "lora", "origin", "edited", "rule")
    files = [job[name] for name in names if job.get(name)]
    faults += [f"{file} is not there" for file in files if not is_there(Path(file))]
    try:
        read_chain(job.get("chain", []))
    except FaultsError as error:
        faults += error.faults
    if job["job"] == "pairs" and len(job["names"]) != len(job["pictures"]) + len(job["origins"]):
        faults.append("'names' must be one for each of 'pictures' and 'origins'")
    if faults:
        raise FaultsError(f"The job file {path}", faults)
    return job


def _picture(path: str) -> Image.Image:
    return crop_to_multiple(read_picture(Path(path)).image)[0]


def _tell(done: int, total: int) -> None:
    events.emit("progress", step=done, total=total)


def main(argv: Sequence[str]) -> int:
    """Run one job, write its result and tell it, with the time that it took, as the ``done`` event."""
    if len(argv) != 1:
        raise InputError("usage: python -m lib_copier.measure JOB.json", "Name one job file.")
    job = checked_job(Path(argv[0]))
    prepare_environment()
    started = time.monotonic()
    result = JOBS[job["job"]](job)
    # Without the time: equal work leaves equal files.
    write_json(Path(job["output"]) / "result.json", result)
    events.emit("done", **result, seconds=round(time.monotonic() - started, 2))
    return 0


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:], emits_events=True))
