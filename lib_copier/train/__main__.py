"""``python -m lib_copier.train CONFIG.json``: train one LoRA, telling its progress as JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lib_copier import edge
from lib_copier.border import events
from lib_copier.errors import CopierError, InputError
from lib_copier.models.threads import prepare_environment, settle_threads
from lib_copier.train.config import RULES, read_config
from lib_copier.train.control import StopRequests


def main(argv: Sequence[str]) -> int:
    """Train as a configuration file says; ends with a ``done`` event."""
    if list(argv) in (["-h"], ["--help"]):
        print(f"usage: train CONFIG.json\n\nOptions of the configuration: {', '.join(RULES)}.")
        return 0
    if len(argv) != 1 or argv[0].startswith("-"):
        raise InputError("One argument is needed: a JSON configuration.", "Usage: train CONFIG.json")
    began = time.monotonic()
    config = read_config(Path(argv[0]))
    prepare_environment()
    stop = StopRequests.from_environment()
    with stop.listening():
        from lib_copier.train.loop import train

        settle_threads()
        events.emit("loading")
        try:
            result = train(config, stop=stop, log=lambda text: events.emit("log", text=text))
        except RuntimeError as error:
            raise _out_of_memory(error) from error
    events.emit(
        "done",
        output=str(result.output),
        steps=result.steps,
        ended=result.ended,
        loss=result.final_loss,
        peak_device_mib=_peak_device_memory(),
        seconds=round(result.seconds, 3),
        total_seconds=round(time.monotonic() - began, 3),
        **result.course,
    )
    return 0


def _peak_device_memory() -> int | None:
    """MiB that were held on the GPU at most, besides what the driver takes for itself."""
    import torch

    return torch.cuda.max_memory_reserved() >> 20 if torch.cuda.is_available() else None


def _out_of_memory(error: RuntimeError) -> Exception:
    """Advice where torch ran out of memory; any other error stays as it is."""
    from lib_copier.models.device import is_out_of_memory

    if not is_out_of_memory(error):
        return error
    return CopierError(
        "Out of memory while training.",
        "Set gradient_checkpointing to true, lower batch_size or rank, use bf16, take a smaller picture, "
        "or close other programs that use the device.",
    )


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:], emits_events=True))
