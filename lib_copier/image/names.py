"""What a sweep's pictures are called: the step that reads them and the child that makes them must agree."""


def sweep_picture(row: int, weight: float) -> str:
    """The file of a prompt's picture at a weight."""
    return f"{row:02d}_{weight:+.2f}.png"
