"""Reading any picture a person may hand over as plain sRGB, and writing PNG files safely."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from lib_copier.errors import InputError
from lib_copier.files.disk import write_bytes
from lib_copier.image.colour import claims_of, to_srgb

MAX_PIXELS = 4096 * 4096
"""What is decoded of one picture; the header tells before a single pixel is. As RGB these are 50 MB."""
MAX_PHOTO_PIXELS = 64 * 1024 * 1024
"""A JPEG up to this, which any camera's is, is decoded at a half or a quarter of its size."""
MAX_BYTES = 128 * 1024 * 1024
MIN_SIDE = 64
"""The smallest side, in pixels, that a model with an f8 VAE can be trained on."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "MPO", "AVIF")
"""Pillow's other readers are left out: some run programs (EPS), none is needed here."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of each EXIF orientation upright."""
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class OpenedPicture:
    """A picture as 8-bit sRGB, what had to be done to get there, and its PNG text chunks."""

    image: Image.Image
    notes: tuple[str, ...] = ()
    text: Mapping[str, str] = field(default_factory=dict)


def read_picture(source: Path | str | bytes, *, name: str = "") -> OpenedPicture:
    """Read a picture from a path or from the bytes of a file.

    The result is always mode RGB, 8 bits, upright, in sRGB, without alpha. Every change is a sentence
    in `notes`. `name` stands for the bytes in messages. Raises InputError where the file is no picture, is
    damaged, or is too large.
    """
    name = _name_of(source, name)
    data = _bytes_of(source, name)
    notes: list[str] = []
    with _opened(io.BytesIO(data), name) as image, _faults_named(name):
        if image.size != (whole := _whole_size(image)):
            notes.append(f"It was read at {image.width}x{image.height} instead of {whole[0]}x{whole[1]}.")
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notes.append("It is animated: only the first frame is used.")
        claims = tuple(claims_of(image, data))
        turn = _TURNS.get(_orientation(image))
        is_deep = ";16" in str(getattr(image, "tile", ()))
        image.load()
        text = {k: v for k, v in getattr(image, "text", {}).items() if isinstance(v, str)}
        colours, alpha = _eight_bits(image, is_deep, notes)
        plain = _on_white(to_srgb(colours, claims, notes), alpha, notes)
        if turn is not None:
            plain = plain.transpose(turn)
            notes.append("It was turned upright as its EXIF data says.")
    # No profile or EXIF of the source may travel on and be applied twice.
    plain.info.clear()
    return OpenedPicture(plain, tuple(notes), text)


def picture_size(source: Path | str | bytes, *, name: str = "") -> tuple[int, int]:
    """Width and height in pixels that `read_picture` would give, from the file's header alone.

    Raises InputError where the file is no picture or is too large; damage behind the header stays unseen.
    """
    name = _name_of(source, name)
    with contextlib.ExitStack() as stack:
        if isinstance(source, bytes):
            stream: Any = io.BytesIO(_bytes_of(source, name))
        else:
            stream = stack.enter_context(_checked_path(Path(source), name).open("rb"))
        image = stack.enter_context(_opened(stream, name))
        is_sideways = _orientation(image) in _SIDEWAYS
        return image.size[::-1] if is_sideways else image.size


def picture_text(path: Path) -> dict[str, str]:
    """A picture's text chunks, as far as they stand before its pixels: where the WebUI and we write them.

    Raises InputError where the file is no picture.
    """
    name = f"The picture {path}"
    with _checked_path(path, name).open("rb") as stream, _opened(stream, name) as image:
        return {str(key): value for key, value in image.info.items() if isinstance(value, str)}


def crop_to_multiple(image: Image.Image, multiple: int = 8) -> tuple[Image.Image, str]:
    """Crop evenly on both sides so that width and height divide by `multiple`; say what went.

    Returns the picture and a sentence (empty where nothing was cropped). Raises InputError for
    pictures smaller than `MIN_SIDE` on a side: nothing can be learned from them.
    """
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"The picture is {width}x{height} pixels, too small to learn from.",
            f"Use one of at least {MIN_SIDE} pixels on each side.",
        )
    new_width, new_height = width - width % multiple, height - height % multiple
    if (new_width, new_height) == (width, height):
        return image, ""
    left, top = (width - new_width) // 2, (height - new_height) // 2
    cropped = image.crop((left, top, left + new_width, top + new_height))
    return cropped, (
        f"Cropped from {width}x{height} to {new_width}x{new_height} (both sides must divide by {multiple}): "
        f"{left} px left, {width - new_width - left} right, {top} top, {height - new_height - top} bottom."
    )


def write_png(image: Image.Image, path: Path, text: Mapping[str, str] | None = None) -> None:
    """Write a PNG with its text chunks so that a reader sees the old file or the whole new one."""
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    write_bytes(path, encoded(image, "PNG", pnginfo=info))


def encoded(image: Image.Image, picture_format: str, **options: object) -> bytes:
    """The bytes of a picture file in one of Pillow's formats."""
    buffer = io.BytesIO()
    image.save(buffer, format=picture_format, **options)
    return buffer.getvalue()


def _name_of(source: Path | str | bytes, name: str) -> str:
    return f"The picture {name}".strip() if isinstance(source, bytes) else f"The picture {source}"


def _checked_path(path: Path, name: str) -> Path:
    if not path.is_file():
        raise InputError(f"{name} is not there or is not a file.", "Check the path.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{name} is larger than {MAX_BYTES >> 20} MiB.", "Save it as PNG or JPEG.")
    if size == 0:
        raise InputError(f"{name} is empty (0 bytes).", "Save it again from its source.")
    return path


def _bytes_of(source: Path | str | bytes, name: str) -> bytes:
    if not isinstance(source, bytes):
        return _checked_path(Path(source), name).read_bytes()
    if not source:
        raise InputError(f"{name} is empty (0 bytes).", "Save it again from its source.")
    return source


@contextlib.contextmanager
def _opened(stream: Any, name: str) -> Iterator[Image.Image]:
    """The picture of a stream, its header read and its size checked, nothing decoded."""
    with warnings.catch_warnings():
        # What is wrong becomes an error or a note of ours.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(stream, formats=_known_formats())
        except Image.DecompressionBombError as error:
            raise _too_large(name) from error
        except Exception as error:
            # Pillow's readers promise no class of error for damaged files, and raise a dozen.
            raise InputError(
                f"{name} is not a picture that can be read.", "Save it as PNG, JPEG or WebP and try again."
            ) from error
        with image:
            _fit(image, name)
            yield image


@contextlib.contextmanager
def _faults_named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # As in `_opened`; MemoryError is what a lying size in a file comes to.
        raise InputError(
            f"{name} is damaged or cut off ({error or type(error).__name__}).",
            "Save it again from its source, as PNG.",
        ) from error


def _known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow can read; naming another would be an error in some versions."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _fit(image: Image.Image, name: str) -> None:
    """Let a large photograph be decoded smaller; refuse other pictures that are too large."""
    width, height = image.size
    if width * height <= MAX_PIXELS:
        return
    if image.format in ("JPEG", "MPO") and width * height <= MAX_PHOTO_PIXELS:
        smaller = next(by for by in (2, 4) if (width // by + 1) * (height // by + 1) <= MAX_PIXELS)
        image.info["size"] = image.size
        image.draft(None, (width // smaller, height // smaller))
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(f"{name} ({width}x{height})")


def _whole_size(image: Image.Image) -> tuple[int, int]:
    found: tuple[int, int] = image.info.get("size", image.size)
    return found


def _too_large(name: str) -> InputError:
    return InputError(
        f"{name} has more than {MAX_PIXELS / 1e6:.1f} million pixels.",
        "Scale it down, to 4096x4096 at most, before using it.",
    )


def _orientation(image: Image.Image) -> int:
    """What EXIF says; 1 where it says nothing or cannot be read, which is no reason to refuse the picture."""
    try:
        found = image.getexif().get(0x0112)
    except Exception:  # as in `_opened`
        return 1
    return found if isinstance(found, int) else 1


def _eight_bits(
    image: Image.Image, is_deep: bool, notes: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    """The colours, mode L, RGB, CMYK or LAB with 8 bits a channel, and the alpha, mode L, or None."""
    mode, key = image.mode, image.info.get("transparency")
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image)
        notes.append("It was reduced from 16 to 8 bits a channel.")
        grey = (values.clip(0, 65535).astype(np.uint32) * 255 + 32767) // 65535
        alpha = None if not isinstance(key, int) else Image.fromarray((values != key).astype(np.uint8) * 255)
        return Image.fromarray(grey.astype(np.uint8)), alpha
    if mode == "F":
        floats = np.nan_to_num(np.asarray(image, dtype=np.float32))
        full = 1.0 if float(floats.max(initial=0.0)) <= 1.0 else 255.0
        notes.append("It was reduced from floating point to 8 bits a channel.")
        return Image.fromarray((floats.clip(0, full) * (255.0 / full) + 0.5).astype(np.uint8)), None
    if is_deep:
        notes.append("It was reduced from 16 to 8 bits a channel.")
        if isinstance(key, tuple):
            image.info["transparency"] = tuple(value >> 8 for value in key)
    if mode == "P":
        notes.append("Its palette was turned into full colours.")
    has_alpha = key is not None and mode in ("1", "L", "P", "RGB")
    plain = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}
    target = plain.get(mode, mode)
    if has_alpha:
        target = "RGBA"
    image = image if target == mode else image.convert(target)
    if target in ("LA", "RGBA"):
        return image.convert(target[:-1]), image.getchannel("A")
    return image, None


def _on_white(image: Image.Image, alpha: Image.Image | None, notes: list[str]) -> Image.Image:
    """Lay a picture with transparency on white."""
    if alpha is None or alpha.getextrema() == (255, 255):
        return image
    flat = Image.new("RGB", image.size, (255, 255, 255))
    flat.paste(image, mask=alpha)
    notes.append("Its transparent parts were laid on white.")
    return flat
