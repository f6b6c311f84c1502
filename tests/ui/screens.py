"""Pictures of every panel: `python -m tests.ui.screens --projects DIR --project NAME --out docs/screens`.

Opens a project that has been run, in a headless browser, and saves one picture a panel; with ``--width`` and
``--dark`` other looks, with ``--missed EDIT`` also the preview of an edit that did not reach its goal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from lib_copier.ui.view import PANELS
from tests.ui.browsing import Wizard, browser
from tests.ui.servers import ROOT, free_port, serve_arguments, serving


def main() -> None:
    """Serve the projects and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=Path, default=ROOT / "projects")
    parser.add_argument("--project", required=True, help="name of a project that has been run")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screens")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--language", default="en")
    parser.add_argument("--missed", default="", metavar="EDIT")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    port = free_port()
    demo = ROOT / "demo" / "copier-demo.safetensors"
    command = [*serve_arguments(port, arguments.projects, demo), "--language", arguments.language]
    with serving(Path(sys.executable), command, port=port) as address, browser() as opened:
        theme = "dark" if arguments.dark else "light"
        window = {"viewport": {"width": arguments.width, "height": 900}}
        wizard = Wizard(opened, f"{address}?__theme={theme}", **window).ready()
        _save(wizard, arguments.out / "start.png")
        wizard.act("open_project", name=arguments.project)
        for number, panel in enumerate(PANELS, start=1):
            wizard.go(panel)
            _save(wizard, arguments.out / f"{number:02d}-{panel.replace('_', '-')}.png")
        if arguments.missed:
            wizard.go("preview")
            wizard.page.click(f'#copier_lora [data-go-edit="{arguments.missed}"]')
            wizard.page.wait_for_selector("#copier_lora main .cl-head .cl-is-missed")
            _save(wizard, arguments.out / "missed.png")


def _save(wizard: Wizard, path: Path) -> None:
    """A picture of the whole panel, once its own pictures are there; few colours, as it is read on a page."""
    wizard.page.wait_for_timeout(1500)
    wizard.page.screenshot(path=str(path), full_page=True)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
