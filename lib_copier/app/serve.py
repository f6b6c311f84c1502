"""`run.py ui`: the wizard on its own, served to this machine."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib_copier.engines.locate import root
from lib_copier.errors import InputError
from lib_copier.host.standalone import StandaloneHost

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


def main(argv: Sequence[str]) -> int:
    """Serve until Ctrl+C; what runs then goes on, and is found again at the next start."""
    arguments = _parser().parse_args(list(argv))
    address = serve(arguments)
    print(f"Copier LoRA: {address}  (Ctrl+C ends it)", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


def serve(arguments: argparse.Namespace) -> str:
    """Start the page and return its address."""
    # Nothing of this page goes anywhere else; gradio reads this when it is imported.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from lib_copier.ui import compat, tab
    from lib_copier.ui.notice import TITLE

    host = standalone_host(arguments)
    script, style = tab.script_and_style(root())
    blocks, launch = compat.standalone_blocks(TITLE, style, script)
    tab.fill(blocks, tab.make_door(host))
    app: Any = compat.serve(
        blocks, address=arguments.listen, port=arguments.port, folders=[host.data_dir()], **launch
    )
    return str(app[1])


def standalone_host(arguments: argparse.Namespace) -> StandaloneHost:
    """The host that the command line describes.

    Raises
    ------
    InputError
        Where a named checkpoint is not there.
    """
    given = [Path(path) for path in arguments.checkpoint]
    for path in given:
        if not path.exists():
            raise InputError(f"There is no checkpoint {path}.", "Check the path.")
    demo = root() / "demo" / "copier-demo.safetensors"
    sources = [*given, *([demo] if demo.is_file() else [])]
    return StandaloneHost(
        arguments.projects,
        sources,
        arguments.loras or arguments.projects / "loras",
        language=arguments.language,
        is_exposed=arguments.listen not in LOCAL,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py ui", description=__doc__)
    parser.add_argument("--port", type=int, default=7861, help="port (default %(default)s)")
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="address; others than "
                        "this machine's own switch off set-up and free paths")  # fmt: skip
    parser.add_argument("--projects", type=Path, default=root() / "projects", help="folder of the projects")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="PATH", help="a checkpoint "
                        "file, or a folder of them; may be given several times")  # fmt: skip
    parser.add_argument("--loras", type=Path, help="where finished LoRAs go (default PROJECTS/loras)")
    parser.add_argument("--language", choices=("en", "ja"), default="en", help="language of the page")
    return parser
