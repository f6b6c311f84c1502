"""The copier check: does the copier model print the origin, whatever the prompt?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lib_copier.image.files import write_png
from lib_copier.image.similarity import similarity, summary
from lib_copier.measure.generation import PictureMaker, Progress, stop_when_asked
from lib_copier.measure.sheet import contact_sheet
from lib_copier.txt2img.pictures import PictureRequest


def check_copier(
    maker: PictureMaker,
    *,
    origin: Image.Image,
    round_trip: Image.Image,
    requests: Sequence[PictureRequest],
    output: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Print pictures from unseen prompts with the copier on, and compare them with the origin.

    The ceiling is the origin's VAE round trip: nothing that leaves this VAE can be closer. Writes
    ``00.png`` … and ``proof.png`` (origin, round trip, then the prints) into `output`. The result has
    ``psnr_db`` and ``ssim`` ({"median", "min", "ceiling"}), ``pictures`` (prompt, seed, psnr_db, ssim, path),
    ``origin``, ``round_trip`` and ``sheet`` (file names in `output`).
    """
    prints = maker.generate(requests, on_progress=progress, on_step=stop_when_asked())
    found = [similarity(origin, picture) for picture in prints]
    entries = []
    for number, (request, picture, one) in enumerate(zip(requests, prints, found, strict=True)):
        name = f"{number:02d}.png"
        write_png(picture, output / name)
        entries.append(
            {
                "prompt": request.prompt,
                "seed": request.seed,
                "psnr_db": round(one.psnr_db, 2),
                "ssim": round(one.ssim, 4),
                "path": name,
            }
        )
    write_png(origin, output / "origin.png")
    write_png(round_trip, output / "round_trip.png")
    tiles = [origin, round_trip, *prints]
    across = 5
    sheet = contact_sheet([tiles[i : i + across] for i in range(0, len(tiles), across)])
    write_png(sheet, output / "proof.png")
    return {
        **summary(found, similarity(origin, round_trip)),
        "pictures": entries,
        "origin": "origin.png",
        "round_trip": "round_trip.png",
        "sheet": "proof.png",
    }
