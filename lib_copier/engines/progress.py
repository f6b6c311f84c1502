"""What a child's output line means: our JSON events, or what other programs tell in words of their own."""

from __future__ import annotations

import re
from typing import Any

from lib_copier.border import events

_BAR = re.compile(
    r"^(?P<what>[^|%\r\n]{0,60}?):?\s*(?P<percent>\d{1,3})%\|[^|]*\|\s*"
    r"(?P<step>\d+)/(?P<total>\d+)\s*\[(?P<spent>[\d:]+)<(?P<left>[\d:?]+)(?P<tail>[^\]]*)\]?"
)
_DEVICE = re.compile(r"accelerator device: (?P<kind>[a-z]+)")
_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>it/s|s/it)")
_LOSS = re.compile(r"(?:avr_loss|loss(?:/average)?)=(?P<loss>-?\d+(?:\.\d+)?(?:e-?\d+)?|nan)")


def event_of(line: str) -> dict[str, Any] | None:
    """The event that a line tells, or None where it is just text."""
    return events.parse(line) or _bar_event(line) or _device_event(line)


def _bar_event(line: str) -> dict[str, Any] | None:
    """A tqdm bar as a ``progress`` event: ``steps:  10%|█| 307/3072 [01:02<09:20, 4.93it/s, avr_loss=0.01]``.

    Its label is in ``bar``: a program may draw further bars for other work (reading files, caching).
    """
    found = _BAR.match(line.strip())
    if not found:
        return None
    event: dict[str, Any] = {"event": "progress", "step": int(found["step"]), "total": int(found["total"])}
    event["bar"] = found["what"].strip()
    rate = _RATE.search(found["tail"])
    if rate and float(rate["number"]) > 0:
        number = float(rate["number"])
        event["s_per_step"] = number if rate["unit"] == "s/it" else 1.0 / number
    if "?" not in found["left"]:
        event["eta"] = _seconds(found["left"])
    loss = _LOSS.search(found["tail"])
    if loss:
        event["loss"] = float(loss["loss"])
    return event


def _device_event(line: str) -> dict[str, Any] | None:
    """The device that accelerate has chosen for sd-scripts: ``cpu``, ``cuda``, ``mps``."""
    found = _DEVICE.match(line)
    return {"event": "device", "kind": found["kind"].upper()} if found else None


def _seconds(clock: str) -> float:
    """``1:02:03`` or ``02:03`` in seconds."""
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part or 0)
    return float(total)
