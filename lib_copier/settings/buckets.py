"""The size at which a picture of any size is learned: both engines and the checks ask this one rule."""

from __future__ import annotations

import math

_STEP = 64


def bucket_of(size: tuple[int, int], resolution: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """A picture's bucket, and the size to scale it to before its middle is cut out; each (width, height).

    The rule of sd-scripts with ``bucket_no_upscale``: an area of at most `resolution` squared, sides that
    64 divides, the picture's aspect kept, and nothing scaled up.

    Raises
    ------
    ValueError
        Where the picture is so narrow that a side of its bucket would be nothing.
    """
    width, height = size
    if width * height > resolution * resolution:
        aspect = width / height
        wide = math.sqrt(resolution * resolution * aspect)
        by_width, by_height = _rounded(wide), _rounded(resolution * resolution / wide)
        own_height, own_width = _rounded(by_width / aspect), _rounded(by_height * aspect)
        if not (by_width and by_height and own_width and own_height):
            raise ValueError(
                f"{width}x{height} is too narrow to be scaled down to {resolution} pixels squared"
            )
        if abs(by_width / own_height - aspect) < abs(own_width / by_height - aspect):
            width, height = by_width, int(by_width / aspect + 0.5)
        else:
            width, height = int(by_height * aspect + 0.5), by_height
    bucket = (width - width % _STEP, height - height % _STEP)
    if not all(bucket):
        raise ValueError(f"{width}x{height} has a side of less than {_STEP} pixels")
    return bucket, (width, height)


def _rounded(side: float) -> int:
    """Down to a whole number of bucket steps, after rounding to a pixel."""
    pixels = int(side + 0.5)
    return pixels - pixels % _STEP
