"""What a checkpoint is, told by its header, by what lies beside it, and by the user."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks.shapes import SD15, SD21, SDXL_BASE, checkpoint_shapes
from lib_copier.errors import InputError
from lib_copier.model_file.checkpoint import SUGGESTED_KEY, facts_of, known_facts
from lib_copier.model_file.keys import UNET_PREFIX
from lib_copier.model_file.pickle_header import pickled_shapes

SIZES = {sizes.family.name: sizes for sizes in (SD15, SD21, SDXL_BASE)}
SMALL = {
    "first": (f"{UNET_PREFIX}input_blocks.0.0.weight", (32, 4, 3, 3)),
    "text": ("cond_stage_model.transformer.text_model.final_layer_norm.weight", (8,)),
}


@pytest.fixture
def make(tmp_path: Path):
    """A file of a family's real size that holds a header and, as a hole, its tensors."""

    def write(family="sd1", *markers, metadata=None, only="", name="model.safetensors") -> Path:
        shapes = {
            key: shape for key, shape in checkpoint_shapes(SIZES[family]).items() if key.startswith(only)
        }
        header, at = {"__metadata__": metadata or {}}, 0
        for key, shape in {**shapes, **dict.fromkeys(markers, (0,))}.items():
            size = 2 * torch.Size(shape).numel()
            header[key] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        with (tmp_path / name).open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + at)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("family", "resolution", "prediction"),
    [("sd1", 512, "epsilon"), ("sd2", 768, None), ("sdxl", 1024, "epsilon")],
)
def test_each_family(make, family, resolution, prediction):
    facts = facts_of(make(family))
    assert (facts.family.name, facts.resolution, facts.prediction) == (family, resolution, prediction)
    assert facts.unet_width == 320 and facts.has_vae and facts.has_text_encoders
    assert not facts.zero_terminal_snr and facts.suggested == {}
    bare = facts_of(make(family, only=UNET_PREFIX, name="bare.safetensors"))
    assert bare.family is facts.family and not bare.has_vae and not bare.has_text_encoders


def test_the_user_comes_before_markers_metadata_and_yaml(make):
    path = make()
    yaml = path.with_suffix(".yaml")
    assert facts_of(path).prediction == "epsilon"
    yaml.write_text("model:\n  params:\n    parameterization: 'v'  # velocity\n")
    assert facts_of(path).prediction == "v_prediction"
    make(metadata={"modelspec.prediction_type": "epsilon"})
    assert facts_of(path).prediction == "epsilon"
    make("sd1", "v_pred", "ztsnr", metadata={"modelspec.prediction_type": "epsilon"})
    yaml.unlink()
    marked = facts_of(path)
    assert marked.prediction == "v_prediction" and marked.zero_terminal_snr
    assert facts_of(path, "epsilon").prediction == "epsilon"
    with pytest.raises(InputError, match="velocity"):
        facts_of(path, "velocity")


def test_sd2_base_starts_at_its_own_size(make):
    path = make("sd2", metadata={"modelspec.prediction_type": "epsilon"})
    assert facts_of(path).resolution == 512
    assert facts_of(make("sd2", "v_pred")).resolution == 768


def test_a_file_beside_it_suggests_before_the_file_itself(make):
    path = make(metadata={SUGGESTED_KEY: '{"origin.steps": 9}'})
    assert facts_of(path).suggested == {"origin.steps": 9}
    beside = path.with_name("model.copier-lora.json")
    beside.write_text('{"origin.steps": 7}')
    assert facts_of(path).suggested == {"origin.steps": 7}
    for broken in ("[1]", "{", "[" * 100_000, '{"a": "' + "x" * 100_000 + '"}'):
        beside.write_text(broken)
        assert facts_of(path).suggested == {}


def test_no_file_is_no_fact(tmp_path):
    assert known_facts("") is None and known_facts(tmp_path / "none.safetensors") is None
    with pytest.raises(InputError, match="no such file"):
        facts_of(tmp_path / "none.safetensors")


def small_state() -> dict[str, torch.Tensor]:
    return {name: torch.zeros(shape) for name, shape in SMALL.values()}


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("is_nested", [True, False])
def test_a_pickle_is_read_without_running_it(tmp_path, is_zip, is_nested):
    path = tmp_path / "model.ckpt"
    state = small_state() | {"v_pred": torch.zeros(0)}
    content = {"state_dict": state, "callbacks": {Trap: Trap()}, "epoch": 3} if is_nested else state
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    facts = facts_of(path)
    assert (facts.family.name, facts.unet_width, facts.prediction) == ("sd1", 32, "v_prediction")
    module = torch.nn.ParameterDict({"a": torch.nn.Parameter(torch.zeros(2, 3))})
    torch.save(module.state_dict(), path)
    assert pickled_shapes(path) == {"a": (2, 3)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle at all",
        pickle.dumps({"weights": 1}),
        b"\x80\x02}r\xff\xff\xff\x7f.",
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_other_pickles_are_refused(tmp_path, content, is_zip):
    path = tmp_path / "other.ckpt"
    if is_zip:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=path.name):
        facts_of(path)
