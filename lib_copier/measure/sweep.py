"""The sweep: one LoRA at many weights on pictures it never saw, as pictures and as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lib_copier.image.files import write_png
from lib_copier.measure.analysis import analyse
from lib_copier.measure.direction import Edit
from lib_copier.measure.floor import FLOOR_PICTURES
from lib_copier.measure.generation import PictureMaker, Progress, counted, stop_when_asked, with_lora
from lib_copier.measure.sheet import weights_sheet
from lib_copier.txt2img.pictures import PictureRequest, sweep_picture


def complete_weights(weights: Sequence[float]) -> list[float]:
    """The weights in rising order, with 0 and 1, which every number is relative to."""
    return sorted({round(float(weight), 4) + 0.0 for weight in weights} | {0.0, 1.0})


def sweep(
    maker: PictureMaker,
    *,
    lora: Path,
    weights: Sequence[float],
    requests: Sequence[PictureRequest],
    edit: Edit,
    output: Path,
    progress: Progress,
    through_vae: Callable[[Image.Image], Image.Image] | None = None,
    plain: Sequence[Image.Image] = (),
    random_lora: Path | None = None,
) -> dict[str, Any]:
    """Generate the pictures of `requests` with the LoRA at every weight, write them and measure them.

    Files in `output`: ``PP_W.png`` (``00_+0.50.png`` …), ``PP_edit.png`` (the edit applied to the weight-0
    picture, where it can be), ``sheet.png``. The result holds what `analysis.analyse` gives, and ``pictures``
    (rows of file names by prompt, then weight), ``direct`` (file names), ``prompts``, ``sheet``.
    `plain` are the pictures at weight 0, by prompt, where another sweep of the same prompts has made them.
    With `random_lora` the first few are made with it too, as a floor (`measure.floor`); they are not kept.
    """
    steps = complete_weights(weights)
    wanted = [weight for weight in steps if weight]
    asked = [with_lora(request, lora, weight) for request in requests for weight in wanted]
    if random_lora is not None:
        asked += [with_lora(request, random_lora, 1.0) for request in requests[:FLOOR_PICTURES]]
    before = 0 if plain else len(requests)
    total = before + len(asked)
    if not plain:
        # In a call of their own: they are the same for every LoRA that is tried on these prompts.
        tell = counted(progress, 0, before, total)
        plain = maker.generate(requests, on_progress=tell, on_step=stop_when_asked())
    tell = counted(progress, before, len(asked), total)
    made = iter(maker.generate(asked, on_progress=tell, on_step=stop_when_asked()))
    grid = [[next(made) if weight else unchanged for weight in steps] for unchanged in plain]
    names = [[sweep_picture(row, weight) for weight in steps] for row in range(len(requests))]
    for row_names, row_pictures in zip(names, grid, strict=True):
        for name, picture in zip(row_names, row_pictures, strict=True):
            write_png(picture, output / name)
    direct = []
    if edit.can_be_applied:
        at_zero = steps.index(0.0)
        for row, pictures in enumerate(grid):
            direct.append(f"{row:02d}_edit.png")
            write_png(edit.applied(pictures[at_zero]), output / direct[-1])
    write_png(weights_sheet(grid, steps, requests), output / "sheet.png")
    return {
        **analyse(grid, steps, edit, through_vae, list(made)),
        "prompts": [{"prompt": request.prompt, "seed": request.seed} for request in requests],
        "pictures": names,
        "direct": direct,
        "sheet": "sheet.png",
    }
