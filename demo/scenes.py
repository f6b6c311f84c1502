"""Draws the demo checkpoint's training pictures: 128 px cartoon scenes with a caption of comma tags.

Most scenes keep one default look (thin dark outlines, soft shading). A third vary the way real picture
collections vary: line width, flat or strong shading, contrast, saturation, number of tones, JPEG noise,
grain. So the model knows these directions, as a model trained on the world's pictures does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

SIZE = 128
"""Side of a scene, px."""
_SCALE = 3  # drawn larger and averaged down: smooth edges at any line width

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "orange": (240, 140, 40),
    "yellow": (248, 214, 66),
    "green": (66, 168, 80),
    "cyan": (70, 200, 210),
    "blue": (58, 100, 208),
    "purple": (134, 72, 184),
    "pink": (244, 140, 178),
    "brown": (142, 92, 54),
    "white": (240, 240, 236),
    "gray": (140, 144, 150),
    "black": (52, 52, 58),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "diamond", "moon",
          "flower", "tree", "house", "mushroom", "cloud", "fish")  # fmt: skip
_GROUNDS = {"grass": (104, 178, 84), "sand": (226, 196, 136), "snow": (232, 238, 246)}
_SKIES = {
    "blue sky": ((96, 168, 236), (196, 226, 248)),
    "sunset sky": ((126, 84, 160), (252, 170, 104)),
    "night sky": ((24, 28, 66), (70, 74, 128)),
}


@dataclass(frozen=True)
class Look:
    """How a scene is rendered."""

    line_width: float
    """Outline, px at 128 px."""
    shading: float
    """0 flat … 1.2 strong."""
    contrast: float = 1.0
    saturation: float = 1.0
    tones: int = 0
    """Levels per channel; 0 leaves the picture as it is."""
    jpeg_quality: int = 0
    """0: none."""
    grain: float = 0.0
    """Standard deviation, grey levels of 255."""
    tags: tuple[str, ...] = field(default=())


USUAL = {"soft": (1.6, (0.6, 0.8)), "shaded": (0.8, (1.1, 1.3))}
"""What untagged scenes look like: line width in px, and the range of their shading."""


def draw_scene(rng: np.random.Generator, usual: str = "soft") -> tuple[np.ndarray, list[str]]:
    """One scene: an RGB picture, (128, 128, 3) uint8, and its tags in no particular order."""
    look = _draw_look(rng, *USUAL[usual])
    canvas, tags = _background(rng, look)
    for centre, place in _places(rng):
        shape = str(rng.choice(SHAPES))
        colour = str(rng.choice(list(COLOURS)))
        radius = float(rng.uniform(15, 33)) if place != "alone" else float(rng.uniform(22, 44))
        _draw_object(canvas, shape, colour, centre, radius, look, rng)
        tags.append(_object_tag(rng, shape, colour, radius, place))
    picture = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    tags.extend(tag for tag in look.tags if rng.random() < 0.7)
    return _finish(picture, look, rng), tags


def _draw_look(rng: np.random.Generator, line_width: float, shading: tuple[float, float]) -> Look:
    if rng.random() < 0.62:
        return Look(line_width=float(rng.normal(line_width, 0.12)), shading=float(rng.uniform(*shading)))
    values: dict[str, float | int] = {"line_width": line_width, "shading": sum(shading) / 2}
    tags: list[str] = []
    if rng.random() < 0.4:
        width = values["line_width"] = float(rng.choice([0.0, rng.uniform(0.3, 1.2), rng.uniform(2.2, 5.0)]))
        tags += (
            ["no outline"] * (width == 0)
            + ["thin outline"] * (0 < width < 1.2)
            + ["bold outline"] * (width > 2.2)
        )
    if rng.random() < 0.4:
        depth = values["shading"] = float(rng.choice([0.0, rng.uniform(0, 0.5), rng.uniform(0.9, 1.3)]))
        tags += ["flat colors"] * (depth < 0.2) + ["strong shading"] * (depth > 0.9)
    if rng.random() < 0.3:
        contrast = values["contrast"] = float(np.exp(rng.uniform(-0.7, 0.6)))
        tags += ["low contrast"] * (contrast < 0.8) + ["high contrast"] * (contrast > 1.25)
    if rng.random() < 0.2:
        values["saturation"] = float(rng.uniform(0.3, 1.5))
    if rng.random() < 0.25:
        values["tones"] = int(rng.integers(3, 7))
        tags.append("posterized")
    if rng.random() < 0.3:
        values["jpeg_quality"] = int(rng.integers(5, 40))
        tags.append("jpeg artifacts")
    if rng.random() < 0.15:
        values["grain"] = float(rng.uniform(3, 12))
        tags.append("grain")
    return Look(**values, tags=tuple(tags))  # type: ignore[arg-type]


def _background(rng: np.random.Generator, look: Look) -> tuple[np.ndarray, list[str]]:
    side = SIZE * _SCALE
    fall = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    if rng.random() < 0.6:
        name = str(rng.choice(list(COLOURS)))
        base = np.asarray(COLOURS[name], np.float32) * 0.72 + 255 * 0.28 * (name != "black")
        depth = 0.38 * look.shading
        canvas = np.broadcast_to(base * (1 + depth * (0.4 - fall)), (side, side, 3))
        return np.ascontiguousarray(np.clip(canvas, 0, 255)), [f"{name} background"]
    sky, ground = str(rng.choice(list(_SKIES))), str(rng.choice(list(_GROUNDS)))
    top, low = (np.asarray(c, np.float32) for c in _SKIES[sky])
    mix = fall if look.shading > 0.2 else np.full_like(fall, 0.5)
    canvas = np.ascontiguousarray(np.broadcast_to(top * (1 - mix) + low * mix, (side, side, 3)))
    horizon = int(side * rng.uniform(0.58, 0.76))
    soil = np.asarray(_GROUNDS[ground], np.float32) * (0.45 if sky == "night sky" else 1.0)
    canvas[horizon:] = np.clip(soil * (1 + 0.3 * look.shading * (0.5 - fall[horizon:])), 0, 255)
    if look.line_width > 0:
        line = max(1, round(look.line_width * _SCALE))
        cv2.line(canvas, (0, horizon), (side, horizon), (30, 28, 34), line, cv2.LINE_AA)
    return canvas, [sky, ground]


def _places(rng: np.random.Generator) -> list[tuple[tuple[float, float], str]]:
    """Centres (px) of one to three objects that hardly overlap, with the word for each place."""
    count = int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
    jitter = lambda x, y: (x + float(rng.normal(0, 3.5)), y + float(rng.normal(0, 3.5)))  # noqa: E731
    if count == 1:
        return [(jitter(64, 66), "alone")]
    if count == 2 and rng.random() < 0.3:
        return [(jitter(64, 35), "at the top"), (jitter(64, 95), "at the bottom")]
    if count == 2:
        return [(jitter(35, 66), "on the left"), (jitter(94, 66), "on the right")]
    spots = [((32, 88), "on the left"), ((96, 88), "on the right"), ((64, 36), "at the top")]
    return [(jitter(*spot), word) for spot, word in spots]


def _object_tag(rng: np.random.Generator, shape: str, colour: str, radius: float, place: str) -> str:
    size = "big " if radius > 34 or (place != "alone" and radius > 28) else "small " if radius < 20 else ""
    size = size if rng.random() < 0.5 else ""
    where = f" {place}" if place != "alone" and rng.random() < 0.6 else ""
    return f"{size}{colour} {shape}{where}"


# ---- shapes: points around 0,0 with radius 1 ----


def _round(
    x: float, y: float, rx: float, ry: float | None = None, start: float = 0, stop: float = 360
) -> np.ndarray:
    angle = np.radians(np.linspace(start, stop, 48, endpoint=stop - start < 360))
    return np.stack([x + rx * np.cos(angle), y + (rx if ry is None else ry) * np.sin(angle)], 1)


def _polygon(*points: tuple[float, float]) -> np.ndarray:
    return np.asarray(points, float)


def _star(points: int = 5, inner: float = 0.45) -> np.ndarray:
    angle = np.radians(-90 + np.arange(2 * points) * 180 / points)
    radius = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return np.stack([np.sin(t) ** 3, y], 1)


def _moon() -> np.ndarray:
    outer = _round(0, 0, 1, None, 50, 310)
    return np.concatenate([outer, _round(0.38, 0, 0.82, None, 310 - 14, 50 + 14)])


_CREAM, _WOOD, _DARK, _GOLD = (244, 228, 196), (128, 82, 48), (60, 50, 60), (250, 206, 70)


def _parts(shape: str) -> list[tuple[np.ndarray | list[np.ndarray], tuple[int, int, int] | None]]:
    """Parts from back to front: one loop of points, or several where there is a hole; colour or None."""
    match shape:
        case "circle":
            return [(_round(0, 0, 1), None)]
        case "square":
            return [(_polygon((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)), None)]
        case "triangle":
            return [(_polygon((0, -1), (1, 0.82), (-1, 0.82)), None)]
        case "star":
            return [(_star(), None)]
        case "heart":
            return [(_heart(), None)]
        case "ring":
            return [([_round(0, 0, 1), _round(0, 0, 0.5)], None)]
        case "diamond":
            return [(_polygon((0, -1), (0.72, 0), (0, 1), (-0.72, 0)), None)]
        case "moon":
            return [(_moon(), None)]
        case "flower":
            petals = [
                (_round(0.58 * np.cos(a), 0.58 * np.sin(a), 0.42), None)
                for a in np.radians(np.arange(0, 360, 60))
            ]
            return [*petals, (_round(0, 0, 0.36), _GOLD)]
        case "tree":
            return [
                (_polygon((-0.16, 0.3), (0.16, 0.3), (0.2, 1), (-0.2, 1)), _WOOD),
                (_round(0, -0.3, 0.72, 0.68), None),
            ]
        case "house":
            walls = _polygon((-0.7, -0.1), (0.7, -0.1), (0.7, 0.9), (-0.7, 0.9))
            door = _polygon((-0.18, 0.35), (0.18, 0.35), (0.18, 0.9), (-0.18, 0.9))
            return [(walls, None), (_polygon((0, -1), (0.95, -0.1), (-0.95, -0.1)), _DARK), (door, _CREAM)]
        case "mushroom":
            stem = _polygon((-0.28, 0), (0.28, 0), (0.36, 0.95), (-0.36, 0.95))
            return [(stem, _CREAM), (_round(0, 0.08, 1, 0.95, 180, 360), None)]
        case "cloud":
            blobs = [
                (-0.55, 0.2, 0.42),
                (0.55, 0.2, 0.42),
                (-0.15, -0.15, 0.52),
                (0.3, -0.05, 0.42),
                (0, 0.28, 0.4),
            ]
            return [(_union(blobs), None)]
        case "fish":
            return [
                (_polygon((0.45, 0), (1, -0.5), (1, 0.5)), None),
                (_round(-0.2, 0, 0.75, 0.5), None),
                (_round(-0.55, -0.1, 0.09), _DARK),
            ]
    raise ValueError(shape)


def _union(blobs: list[tuple[float, float, float]]) -> np.ndarray:
    """Outline of overlapping discs, traced on a small grid."""
    grid = np.zeros((200, 200), np.uint8)
    for x, y, r in blobs:
        cv2.circle(grid, (round(100 + 90 * x), round(100 + 90 * y)), round(90 * r), 1, -1)
    contour = max(cv2.findContours(grid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    return (contour[::3, 0].astype(float) - 100) / 90


def _draw_object(
    canvas: np.ndarray,
    shape: str,
    colour: str,
    centre: tuple[float, float],
    radius: float,
    look: Look,
    rng: np.random.Generator,
) -> None:
    turn = np.radians(rng.normal(0, 6))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    for points, own in _parts(shape):
        loops = points if isinstance(points, list) else [points]
        placed = [(loop @ rotation.T * radius + np.asarray(centre)) * _SCALE for loop in loops]
        _draw_part(canvas, placed, COLOURS[colour] if own is None else own, look)


def _draw_part(canvas: np.ndarray, loops: list[np.ndarray], colour: tuple[int, int, int], look: Look) -> None:
    side = canvas.shape[0]
    outlines = [np.round(loop).astype(np.int32) for loop in loops]
    outline = outlines[0]  # the outer one
    margin = 8 * _SCALE
    x0, y0 = np.maximum(outline.min(0) - margin, 0)
    x1, y1 = np.minimum(outline.max(0) + margin, side)
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    local = [loop - (x0, y0) for loop in outlines]
    cv2.fillPoly(mask, local, 255, cv2.LINE_AA)
    low, high = outline.min(0) - (x0, y0), outline.max(0) - (x0, y0)
    span = np.maximum(high - low, 1).astype(np.float32)
    u = (np.arange(x1 - x0, dtype=np.float32) - low[0]) / span[0] - 0.5
    v = (np.arange(y1 - y0, dtype=np.float32) - low[1]) / span[1] - 0.5
    slope = -(u[None, :] * 0.55 + v[:, None] * 0.85)
    shine = np.exp(-(((u + 0.2)[None, :] ** 2 + (v + 0.25)[:, None] ** 2) / 0.03))
    light = (1 + look.shading * 0.75 * slope)[..., None]
    fill = np.asarray(colour, np.float32) * light + 90 * look.shading * shine[..., None]
    cover = (mask.astype(np.float32) / 255)[..., None]
    region = canvas[y0:y1, x0:x1]
    region[:] = region * (1 - cover) + np.clip(fill, 0, 255) * cover
    if look.line_width > 0.15:
        width = max(1, round(look.line_width * _SCALE))
        cv2.polylines(region, local, True, (30, 28, 34), width, cv2.LINE_AA)


def _finish(picture: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Tone, grain and compression, in the order in which a picture meets them."""
    out = picture.astype(np.float32)
    if look.saturation != 1:
        grey = out.mean(2, keepdims=True)
        out = grey + (out - grey) * look.saturation
    if look.contrast != 1:
        out = 127.5 + (out - 127.5) * look.contrast
    if look.grain:
        out = out + rng.normal(0, look.grain, (SIZE, SIZE, 1))
    out = np.clip(out, 0, 255)
    if look.tones:
        step = 255 / (look.tones - 1)
        out = np.round(out / step) * step
    result = np.clip(np.round(out), 0, 255).astype(np.uint8)
    if look.jpeg_quality:
        _, data = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality])
        result = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return result
