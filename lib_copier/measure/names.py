"""What a sweep's pictures are called: known without loading what makes them."""


def picture_name(row: int, weight: float) -> str:
    """The file of a prompt's picture at a weight, in the sweep's folder."""
    return f"{row:02d}_{weight:+.2f}.png"
