"""Pictures of every kind come in as plain sRGB, or are refused with a sentence."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from lib_copier.errors import CopierError, InputError
from lib_copier.image.files import MAX_PIXELS, crop_to_multiple, picture_size, read_picture, write_png

RED = (250, 10, 20)


def saved(image: Image.Image, picture_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a huge size and holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def rotated_jpeg() -> bytes:
    image = Image.new("RGB", (80, 64), (0, 0, 255))
    image.paste(RED, (0, 0, 40, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(image, "JPEG", exif=exif, quality=95)


KINDS = {
    "rgb": (saved(Image.new("RGB", (64, 64), RED)), RED, ""),
    "grey": (saved(Image.new("L", (64, 64), 77)), (77, 77, 77), ""),
    "bilevel": (saved(Image.new("1", (64, 64), 1)), (255, 255, 255), ""),
    "palette": (saved(Image.new("RGB", (64, 64), RED).quantize(4)), RED, "palette"),
    "alpha": (saved(Image.new("RGBA", (64, 64), (*RED, 0))), (255, 255, 255), "white"),
    "half alpha": (saved(Image.new("LA", (64, 64), (0, 128))), (127, 127, 127), "white"),
    "opaque alpha": (saved(Image.new("RGBA", (64, 64), (*RED, 255))), RED, ""),
    "key colour": (saved(Image.new("RGB", (64, 64), RED), transparency=RED), (255, 255, 255), "white"),
    "cmyk": (saved(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "TIFF"), (255, 0, 0), "CMYK"),
    "16 bit": (saved(Image.fromarray(np.full((64, 64), 32896, np.uint16))), (128, 128, 128), "16 to 8"),
    "16 bit with a key": (
        saved(Image.fromarray(np.full((64, 64), 32896, np.uint16)), transparency=32896),
        (255, 255, 255),
        "white",
    ),
    "inks as Adobe writes them": (
        saved(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG"),
        (255, 0, 0),
        "CMYK",
    ),
    "palette with a key": (
        saved(Image.new("RGBA", (64, 64), (*RED, 0)).quantize(4)),
        (255, 255, 255),
        "white",
    ),
    "avif": (saved(Image.new("RGB", (64, 64), (128, 128, 128)), "AVIF", quality=100), (128, 128, 128), ""),
    "float": (
        saved(Image.fromarray(np.full((64, 64), 0.5, np.float32)), "TIFF"),
        (128, 128, 128),
        "floating",
    ),
    "webp": (saved(Image.new("RGB", (64, 64), RED), "WEBP", lossless=True), RED, ""),
    "animated": (
        saved(
            Image.new("RGB", (64, 64), RED),
            "GIF",
            save_all=True,
            append_images=[Image.new("RGB", (64, 64), (0, 255, 0))],
        ),
        RED,
        "first frame",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_become_plain_rgb(kind):
    data, colour, note = KINDS[kind]
    opened = read_picture(data)
    assert opened.image.mode == "RGB" and opened.image.size == (64, 64)
    assert np.abs(np.asarray(opened.image, np.int16) - colour).max() <= 1
    assert "icc_profile" not in opened.image.info
    assert (note in " ".join(opened.notes)) if note else opened.notes == ()


def test_exif_rotation_is_applied_once():
    opened = read_picture(rotated_jpeg())
    assert opened.image.size == (64, 80)
    top, bottom = opened.image.getpixel((32, 10)), opened.image.getpixel((32, 70))
    assert top[0] > 200 and bottom[2] > 200
    assert "upright" in opened.notes[0] and opened.image.getexif().get(0x0112) is None


GOOD = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)))
BAD = {
    "empty": (b"", "empty"),
    "text": (b"hello, I am not a picture\n" * 9, "not a picture"),
    "truncated png": (GOOD[: len(GOOD) // 2], "damaged"),
    "truncated jpeg": (saved(Image.open(io.BytesIO(GOOD)), "JPEG")[:9000], "damaged"),
    "head only": (GOOD[:40], "damaged|not a picture"),
    "bomb": (bomb(60000, 60000), "million pixels"),
    "smaller bomb": (bomb(9000, 9000), "million pixels"),
    "just too large": (bomb(4096, 4097), "million pixels"),
    "large WebP": (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xfe\x3f\0" * 2,
        "million|not a picture",
    ),
    "lying size": (bomb(640, 640), "damaged"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "not a picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>", "not a picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_pictures_are_refused_in_words(kind, tmp_path):
    data, message = BAD[kind]
    with pytest.raises(InputError, match=message):
        read_picture(data)
    path = tmp_path / "p.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match="p.png"):
        read_picture(path)


ANIMATION = [Image.new("RGB", (64, 64), (value, 0, 99)) for value in (10, 200)]
NOISE = Image.open(io.BytesIO(GOOD))
SOUND = {
    "PNG": GOOD,
    "JPEG": saved(NOISE, "JPEG"),
    "progressive JPEG": saved(NOISE, "JPEG", progressive=True),
    "WEBP": saved(NOISE, "WEBP"),
    "animated WEBP": saved(ANIMATION[0], "WEBP", save_all=True, append_images=ANIMATION[1:]),
    "GIF": saved(NOISE, "GIF"),
    "animated GIF": saved(ANIMATION[0], "GIF", save_all=True, append_images=ANIMATION[1:]),
    "animated PNG": saved(ANIMATION[0], "PNG", save_all=True, append_images=ANIMATION[1:]),
    "TIFF": saved(NOISE, "TIFF"),
    "packed TIFF": saved(NOISE, "TIFF", compression="tiff_lzw"),
    "BMP": saved(NOISE, "BMP"),
    "AVIF": saved(NOISE, "AVIF"),
    "animated AVIF": saved(ANIMATION[0], "AVIF", save_all=True, append_images=ANIMATION[1:]),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_cut_or_scratched_file_is_read_or_refused_by_its_name(kind, tmp_path):
    data, random = SOUND[kind], np.random.default_rng(0)
    read_picture(data)
    path = tmp_path / "mine.png"
    for share in np.linspace(0.01, 0.99, 25):
        scratched = bytearray(data)
        for at in random.integers(0, len(data), 8):
            scratched[at] ^= 1 << int(random.integers(8))
        for broken in (data[: int(share * len(data))], bytes(scratched)):
            path.write_bytes(broken)
            for read in (read_picture, picture_size):
                try:
                    read(path)
                except InputError as error:
                    assert "mine.png" in str(error)


def test_a_picture_of_many_pixels_is_refused_before_any_is_decoded(monkeypatch):
    small_file = saved(Image.new("L", (8192, 8192)))
    assert len(small_file) < 130_000
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: pytest.fail("decoded"))
    for read in (read_picture, picture_size):
        with pytest.raises(InputError, match="of a friend \\(8192x8192\\) has more than 16.8 million pixels"):
            read(small_file, name="of a friend")


def test_a_large_photograph_is_decoded_smaller():
    data = saved(Image.new("RGB", (6000, 4000), RED), "JPEG")
    opened = read_picture(data)
    assert opened.image.size == picture_size(data) == (3000, 2000)
    assert opened.notes == ("It was read at 3000x2000 instead of 6000x4000.",)
    assert MAX_PIXELS < 6000 * 4000


def test_the_size_by_the_header_is_the_size_that_is_read(tmp_path):
    for data in (rotated_jpeg(), *SOUND.values(), KINDS["16 bit"][0]):
        path = tmp_path / "p"
        path.write_bytes(data)
        assert picture_size(path) == picture_size(data) == read_picture(data).image.size


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(InputError, match="not there"):
            read_picture(path)


def test_crop_says_what_goes():
    cropped, said = crop_to_multiple(Image.new("RGB", (101, 130)))
    assert cropped.size == (96, 128)
    assert "101x130" in said and "96x128" in said and "2 px left, 3 right, 1 top, 1 bottom" in said
    whole = Image.new("RGB", (64, 72))
    assert crop_to_multiple(whole) == (whole, "")
    with pytest.raises(InputError, match="too small"):
        crop_to_multiple(Image.new("RGB", (400, 63)))


def test_png_round_trip_keeps_text_and_leaves_no_scraps(tmp_path):
    path = tmp_path / "new" / "p.png"
    text = {"parameters": "赤い円, masterpiece\nSteps: 20", "other": "x"}
    write_png(Image.new("RGB", (64, 64), RED), path, text)
    write_png(Image.new("RGB", (64, 64), RED), path, text)
    opened = read_picture(path)
    assert dict(opened.text) == text and opened.image.getpixel((3, 3)) == RED
    assert [p.name for p in path.parent.iterdir()] == ["p.png"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "p.png"
    write_png(Image.new("RGB", (64, 64), RED), path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CopierError, match="No space"):
        write_png(Image.new("RGB", (64, 64)), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_text_chunk_bombs_are_refused():
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a" * 3_000_000, zip=True)
    with pytest.raises(InputError):
        read_picture(saved(Image.new("RGB", (64, 64)), pnginfo=info))
