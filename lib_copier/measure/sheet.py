"""Contact sheets: labelled grids of pictures as one PNG."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from lib_copier.txt2img.pictures import PictureRequest

PAPER, INK, QUIET = (250, 249, 246), (32, 33, 36), (110, 112, 118)
GAP, LINE = 6, 18


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    *,
    columns: Sequence[str] = (),
    captions: Sequence[str] = (),
    tile: int = 160,
) -> Image.Image:
    """A grid with a heading over every column and a caption under every row.

    Pictures are scaled to `tile` pixels on their longer side; rows may differ in length.
    """
    font = ImageFont.load_default()
    count = max(len(row) for row in rows)
    first = rows[0][0]
    shrink = tile / max(first.size)
    width, height = max(1, round(first.width * shrink)), max(1, round(first.height * shrink))
    head = LINE if columns else 0
    foot = LINE if captions else 0
    step = height + foot + GAP
    sheet = Image.new("RGB", (count * (width + GAP) + GAP, head + len(rows) * step + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, text in enumerate(columns):
        draw.text((GAP + index * (width + GAP), 4), text, fill=INK, font=font)
    resample = Image.Resampling.NEAREST if shrink > 1.0 else Image.Resampling.LANCZOS
    for number, row in enumerate(rows):
        top = GAP + head + number * step
        for index, picture in enumerate(row):
            scaled = picture.convert("RGB").resize((width, height), resample)
            sheet.paste(scaled, (GAP + index * (width + GAP), top))
        if number < len(captions):
            text = _fitting(captions[number], sheet.width - 2 * GAP, font)
            draw.text((GAP, top + height + 2), text, fill=QUIET, font=font)
    return sheet


def weights_sheet(
    rows: Sequence[Sequence[Image.Image]], weights: Sequence[float], requests: Sequence[PictureRequest]
) -> Image.Image:
    """Pictures by request, then by weight: how a slider acts, at a glance."""
    return contact_sheet(
        rows,
        columns=[f"{weight:+g}" if weight else "0" for weight in weights],
        captions=[f"{request.prompt} (seed {request.seed})" for request in requests],
        tile=128,
    )


def _fitting(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """The text cut to a width; letters that the built-in font lacks become question marks."""
    text = text.encode("latin-1", "replace").decode("latin-1")
    while text and font.getlength(text) > width:
        text = text[:-2]
    return text
