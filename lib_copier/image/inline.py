"""Pictures inside a page, as its own data."""

from __future__ import annotations

import base64
from pathlib import Path

from PIL import Image

from lib_copier.image.files import encoded, read_picture
from lib_copier.markup.html import Html, tag

LARGEST = 512


def picture(path: Path, alt: str, largest: int = LARGEST) -> Html:
    """An image element with the picture inside; small ones without loss."""
    image = read_picture(path).image
    if max(image.size) > largest:
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    options = {"lossless": True} if max(image.size) <= 256 else {"quality": 88}
    data = base64.b64encode(encoded(image, "WEBP", method=4, **options)).decode("ascii")
    return tag("img", src=f"data:image/webp;base64,{data}", width=image.width, height=image.height, alt=alt)


def figure(path: Path, caption: str, alt: str = "") -> Html:
    """The picture with a line below it."""
    return tag("figure", picture(path, alt or caption), tag("figcaption", caption))
