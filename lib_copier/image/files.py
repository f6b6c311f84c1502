"""Reading any picture a person may hand over as plain sRGB, and writing PNG files safely."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from lib_copier.errors import InputError

MAX_PIXELS = 64 * 1024 * 1024
"""Larger pictures are refused before a single pixel is decoded (64 megapixels: 192 MB as RGB)."""
MAX_BYTES = 256 * 1024 * 1024
MIN_SIDE = 64
"""The smallest side, in pixels, that a model with an f8 VAE can be trained on."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "MPO", "AVIF")
"""Pillow's other readers are left out: some run programs (EPS), none is needed here."""

_BROKEN = (OSError, SyntaxError, ValueError, struct.error, EOFError, IndexError, KeyError, TypeError)
"""What Pillow's readers raise on damaged files, over the versions in use."""


@dataclass(frozen=True)
class OpenedPicture:
    """A picture as 8-bit sRGB, what had to be done to get there, and its PNG text chunks."""

    image: Image.Image
    notes: tuple[str, ...] = ()
    text: Mapping[str, str] = field(default_factory=dict)


def read_picture(source: Path | str | bytes, *, max_pixels: int = MAX_PIXELS) -> OpenedPicture:
    """Read a picture from a path or from the bytes of a file.

    The result is always mode RGB, 8 bits, upright, in sRGB, without alpha. Every change is a sentence
    in `notes`. Raises InputError where the file is no picture, is damaged, or is too large.
    """
    name = "The picture" if isinstance(source, bytes) else f"The picture {source}"
    data = _bytes_of(source, name)
    notes: list[str] = []
    with warnings.catch_warnings():
        # Our own limit, checked below before decoding, takes the place of Pillow's warning.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(data), formats=_known_formats())
        except Image.DecompressionBombError as error:
            raise _too_large(name, max_pixels) from error
        except _BROKEN as error:
            raise InputError(
                f"{name} is not a picture that can be read.", "Save it as PNG, JPEG or WebP and try again."
            ) from error
        width, height = image.size
        if width * height > max_pixels:
            raise _too_large(f"{name} ({width}x{height})", max_pixels)
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notes.append("It is animated: only the first frame is used.")
        try:
            image.load()
            text = {k: v for k, v in getattr(image, "text", {}).items() if isinstance(v, str)}
            upright = _upright(image, notes)
            plain = _to_srgb(_flatten(_to_eight_bits(upright, notes), notes), notes)
        except _BROKEN as error:
            raise InputError(
                f"{name} is damaged or cut off ({error}).", "Save it again from its source, as PNG."
            ) from error
    return OpenedPicture(plain, tuple(notes), text)


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


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: temporary name in the same folder, flush to disk, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _umask() -> int:
    """The process's file mask; the temporary file is made private, the finished one is as any other."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _bytes_of(source: Path | str | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        path = Path(source)
        if not path.is_file():
            raise InputError(f"{name} is not there or is not a file.", "Check the path.")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{name} is larger than {MAX_BYTES >> 20} MiB.", "Save it as PNG or JPEG.")
        data = path.read_bytes()
    if not data:
        raise InputError(f"{name} is empty (0 bytes).", "Save it again from its source.")
    return data


def _known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow can read; naming another would be an error in some versions."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _too_large(name: str, max_pixels: int) -> InputError:
    return InputError(
        f"{name} has more than {max_pixels / 1e6:.0f} million pixels.", "Scale it down before using it."
    )


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    """Turn the picture as its EXIF orientation asks."""
    if image.getexif().get(0x0112, 1) in (None, 0, 1):
        return image
    icc = image.info.get("icc_profile")
    turned = ImageOps.exif_transpose(image)
    if icc is not None:
        turned.info["icc_profile"] = icc
    notes.append("It was turned upright as its EXIF data says.")
    return turned


def _to_eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """Deep grey modes and bilevel to 8-bit grey; palettes to colours."""
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        notes.append("It was reduced from 16 to 8 bits a channel.")
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        full = 1.0 if float(values.max(initial=0.0)) <= 1.0 else 255.0
        notes.append("It was reduced from floating point to 8 bits a channel.")
        return Image.fromarray((values.clip(0, full) * (255.0 / full) + 0.5).astype(np.uint8))
    if mode == "P":
        notes.append("Its palette was turned into full colours.")
        return _keeping_profile(image, "RGBA" if "transparency" in image.info else "RGB")
    if mode == "PA":
        return _keeping_profile(image, "RGBA")
    if mode == "1":
        return _keeping_profile(image, "L")
    return image


def _flatten(image: Image.Image, notes: list[str]) -> Image.Image:
    """Lay a picture with transparency on white."""
    if "transparency" in image.info and image.mode in ("L", "RGB"):
        image = _keeping_profile(image, "RGBA")
    elif image.mode in ("RGBa", "La"):
        image = _keeping_profile(image, "RGBA" if image.mode == "RGBa" else "LA")
    if image.mode not in ("RGBA", "LA"):
        return image
    alpha = image.getchannel("A")
    colours = _keeping_profile(image, image.mode[:-1])
    colours.info.pop("transparency", None)
    if alpha.getextrema() == (255, 255):
        return colours
    flat = Image.new(colours.mode, image.size, 255 if colours.mode == "L" else (255, 255, 255))
    flat.paste(colours, mask=alpha)
    flat.info.update(colours.info)
    notes.append("Its transparent parts were laid on white.")
    return flat


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Convert by the embedded colour profile where there is one, then to RGB."""
    profile = image.info.get("icc_profile")
    if profile:
        converted = _by_profile(image, profile, notes)
        if converted is not None:
            return converted
    elif image.mode == "CMYK":
        notes.append("It was converted from CMYK without a colour profile: colours may differ.")
    plain = image if image.mode == "RGB" else image.convert("RGB")
    # A fresh picture: no profile, EXIF or frame of the source may travel on and be applied twice.
    return Image.fromarray(np.array(plain))


def _by_profile(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image | None:
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        description = ImageCms.getProfileDescription(source).strip()
        if image.mode == "RGB" and "srgb" in description.lower():
            return None
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImportError, OSError, ValueError, TypeError, KeyError, ImageCms.PyCMSError):
        notes.append("Its colour profile could not be used and was ignored: colours may differ.")
        return None
    notes.append(f"It was converted from its colour profile ({description or 'unnamed'}) to sRGB.")
    return Image.fromarray(np.array(converted))


def _keeping_profile(image: Image.Image, mode: str) -> Image.Image:
    """Convert the mode; the colour profile stays attached as long as it still fits."""
    converted = image.convert(mode)
    if "icc_profile" in image.info:
        converted.info["icc_profile"] = image.info["icc_profile"]
    return converted
