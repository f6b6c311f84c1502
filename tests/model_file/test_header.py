"""Headers are believed in nothing, and hashes are those of sd-scripts."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save, save_file

from lib_copier.errors import InputError
from lib_copier.model_file import header
from lib_copier.model_file.header import (
    file_sha256,
    legacy_hash,
    model_hash,
    old_webui_hash,
    read_header,
    replace_metadata,
)

METADATA = {"ss_ü": 'a"b\n', "note": "x"}


def tensors():
    random = np.random.default_rng(0)
    return {
        "b": random.standard_normal((700, 1000)).astype(np.float16),
        "a.alpha": np.asarray(3, np.float32),
        "c": random.standard_normal((40, 3)).astype(np.float64),
        "empty": np.zeros((0, 3), np.float16),
    }


@pytest.fixture
def path(tmp_path):
    save_file(tensors(), tmp_path / "a.safetensors", METADATA)
    return tmp_path / "a.safetensors"


def test_reads_what_the_library_wrote(path):
    header = read_header(path)
    assert header.metadata == METADATA
    assert header.shapes == {name: array.shape for name, array in tensors().items()}


def test_hashes_are_those_of_sd_scripts(path):
    content = save(tensors(), {key: value for key, value in METADATA.items() if key.startswith("ss_")})
    start = 8 + int.from_bytes(content[:8], "little")
    assert model_hash(path) == hashlib.sha256(content[start:]).hexdigest()
    assert legacy_hash(path) == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
    whole = path.read_bytes()
    assert file_sha256(path) == hashlib.sha256(whole).hexdigest()
    assert old_webui_hash(path) == hashlib.sha256(whole[0x100000:0x110000]).hexdigest()[:8]


def test_replaced_metadata_leave_tensors_bit_for_bit(path):
    before = model_hash(path)
    replace_metadata(path, {"z": "ü"})
    assert read_header(path).metadata == {"z": "ü"}
    assert model_hash(path) == before
    assert np.array_equal(load_file(path)["b"], tensors()["b"])


def lying(entry):
    text = json.dumps({"a": entry}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(16)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 bytes long"),
        (b"\xff" * 8, "claims"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "claims"),
        (b"\x03" + bytes(7) + b"{{}", "no sound JSON"),
        (b"\x02" + bytes(7) + b"[]", "no JSON object"),
        (b"\x02" + bytes(7) + b"{}xx", "belong to no tensor"),
        (lying({"dtype": "F16", "shape": [8], "data_offsets": [0, 15]}), "needs 16"),
        (lying({"dtype": "F16", "shape": [1 << 40], "data_offsets": [0, 1 << 41]}), "truncated"),
        (lying({"dtype": "F16", "shape": [4], "data_offsets": [8, 16]}), "is expected"),
        (lying({"dtype": "F16", "shape": [-8], "data_offsets": [0, 16]}), "no proper shape"),
        (lying({"dtype": "F16", "shape": [8.0], "data_offsets": [0, 16]}), "no proper shape"),
        (lying({"dtype": "X9", "shape": [8], "data_offsets": [0, 16]}), "unknown dtype"),
        (lying({"dtype": "F16", "shape": [8], "data_offsets": [0]}), "no proper data_offsets"),
        (lying([1]), "is not dtype"),
        (b"PK\x03\x04" + bytes(9), "pickle"),
        (b"\x80\x02}q\x00(X\x01", "pickle"),
        (b"GGUF\x03\x00\x00\x00\x01", "GGUF"),
        (b"version https://git-lfs", "LFS"),
        (b"<!DOCTYPE html>", "web page"),
    ],
)
def test_lies_are_one_clear_line(tmp_path, content, told):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told) as caught:
        read_header(path)
    assert "\n" not in str(caught.value)


def test_a_sound_file_may_begin_like_a_pickle(tmp_path):
    """The header's length is any number: 640 begins with the bytes of a pickle."""
    text = b'{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}'.ljust(640)
    path = tmp_path / "a.safetensors"
    path.write_bytes((640).to_bytes(8, "little") + text + bytes(8))
    assert path.read_bytes().startswith(b"\x80\x02")
    assert read_header(path).shapes == {"a": (4,)}


def test_a_header_beyond_all_real_ones_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write((45 << 20).to_bytes(8, "little") + b"{")
        file.truncate((45 << 20) + 8)
    monkeypatch.setattr(header, "parse_json", None)
    with pytest.raises(InputError, match="no model's has more"):
        read_header(path)


@pytest.mark.parametrize(
    "text", [b'{"a":' + b"[" * 9_000_000, b'{"a":[' + b"[]," * 5_000_000, b'{"a":' + b"9" * 9_000_000]
)
def test_hostile_headers_take_little_memory(tmp_path, text):
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="no sound JSON"):
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 120e6
    finally:
        tracemalloc.stop()


def test_a_name_that_stands_twice_is_refused(tmp_path):
    entry = '{"dtype":"F16","shape":[8],"data_offsets":[0,16]}'
    text = f'{{"a":{entry},"a":{entry}}}'.encode()
    path = tmp_path / "twice.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
    with pytest.raises(InputError, match="twice"):
        read_header(path)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_broken_files_never_crash_the_reader(tmp_path_factory, data):
    content = bytearray(save({"a": np.ones(4, np.float16), "b": np.ones((2, 3), np.float32)}, {"k": "v"}))
    for _ in range(data.draw(st.integers(1, 6))):
        index = data.draw(st.integers(0, len(content) - 1))
        content[index] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path_factory.mktemp("fuzz") / "f.safetensors"
    path.write_bytes(bytes(content[:cut]) if data.draw(st.booleans()) else bytes(content))
    try:
        header = read_header(path)
    except InputError:
        return
    end = max((info.end for info in header.tensors.values()), default=0)
    assert header.data_start + end == path.stat().st_size
    assert io.BytesIO(path.read_bytes()).read(8) == content[:8]


def test_replaced_metadata_take_their_legacy_hash_along(path):
    before = legacy_hash(path)
    replace_metadata(path, {**METADATA, "sshs_legacy_hash": before, "other": "y"})
    assert read_header(path).metadata["sshs_legacy_hash"] == before
    # A longer header of ss_ entries shifts what the hash covers.
    replace_metadata(path, {"ss_note": "z" * 999, "sshs_legacy_hash": before})
    assert read_header(path).metadata["sshs_legacy_hash"] == legacy_hash(path) != before
