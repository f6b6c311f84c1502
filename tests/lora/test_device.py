"""The same algebra on torch tensors: on any machine with torch's CPU, and on a GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from lib_copier.errors import InputError
from lib_copier.lora.bake import merge_into_checkpoint
from lib_copier.lora.combine import combine
from lib_copier.lora.device import CPU, Device, choose_device
from lib_copier.lora.extract import extract
from lib_copier.lora.match import plan_merge
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.resize import resize
from lib_copier.lora.stream import TensorFile

torch = pytest.importorskip("torch")

# Both compute in float64 (extraction in float32); what differs is the order of sums.
TOLERANCE = 2e-6


@pytest.fixture(params=[pytest.param("cpu:0", id="torch"), pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return Device(request.param, torch)


def assert_same(one, other):
    assert one.layers.keys() == other.layers.keys()
    for name, layer in one.layers.items():
        delta = layer.delta()
        assert np.linalg.norm(delta - other.layers[name].delta()) <= TOLERANCE * np.linalg.norm(delta) + 1e-9


@pytest.mark.parametrize("policy", [None, RankPolicy(3)], ids=["exact", "rank 3"])
def test_sums(make_lora, device, policy):
    loras = [(make_lora("sd1", seed=1, conv=True), 1.0), (make_lora("sd1", seed=2, conv=True), -0.5)]
    ours, report = combine(loras, policy, save_precision="float")
    theirs, other = combine(loras, policy, save_precision="float", device=device)
    assert_same(ours, theirs)
    assert report.error == pytest.approx(other.error, rel=1e-3, abs=1e-6)


def test_resize(make_lora, device):
    lora = make_lora("sdxl", rank=6)
    assert_same(
        resize(lora, RankPolicy(2), save_precision="float")[0],
        resize(lora, RankPolicy(2), save_precision="float", device=device)[0],
    )


def test_merge_and_extract(tmp_path, make_checkpoint, make_lora, device):
    path = make_checkpoint("sd2", dtype=np.float32)
    with TensorFile(path) as source:
        plan = plan_merge(source, [(make_lora("sd2", rank=3), 1.0)])
        for name, where in (("a", CPU), ("b", device)):
            merge_into_checkpoint(source, plan, tmp_path / f"{name}.safetensors", device=where)
    with (
        TensorFile(path) as source,
        TensorFile(tmp_path / "a.safetensors") as ours,
        TensorFile(tmp_path / "b.safetensors") as theirs,
    ):
        for name in source.header.tensors:
            assert np.allclose(ours.read(name), theirs.read(name), atol=1e-5), name
        found = [
            extract(source, ours, RankPolicy(4), save_precision="float", device=where)[0]
            for where in (CPU, device)
        ]
    for name, layer in found[0].layers.items():
        delta = layer.delta()
        assert np.linalg.norm(delta - found[1].layers[name].delta()) <= 1e-4 * np.linalg.norm(delta)


def test_the_range_finder_too(device, monkeypatch):
    from lib_copier.lora import rangefinder
    from lib_copier.lora.rangefinder import leading_part

    monkeypatch.setattr(rangefinder, "exact_part", lambda *_: pytest.fail("the exact route was taken"))
    matrix = np.random.default_rng(0).standard_normal((300, 260)).astype(np.float32)
    ours = leading_part(matrix, 8, np)
    theirs = leading_part(device.put(matrix), 8, torch)
    assert np.allclose(ours.values, theirs.values, rtol=1e-4)


def test_names_of_devices():
    assert choose_device(None) is CPU
    assert choose_device("auto") is CPU
    with pytest.raises(InputError, match="Unknown device"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="No CUDA device"):
            choose_device("cuda")
