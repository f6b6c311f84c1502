"""Every kind of adapter against its definition in plain numpy, alone, merged and made an ordinary LoRA.

The same files give LyCORIS' own changes (lycoris-lora 4.1.3, its modules' forward pass) to 1e-6.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora import kinds
from lib_copier.lora.bake import merge_into_checkpoint
from lib_copier.lora.file import read_adapter, read_lora
from lib_copier.lora.match import plan_merge, weights_for
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.resize import resize
from lib_copier.lora.stream import TensorFile

LINEAR = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
CONVOLUTION = "lora_unet_down_blocks_0_resnets_0_conv1"


def unit(weight, magnitude, axes):
    """The weight with the length along `axes` set to `magnitude`: what DoRA says."""
    return weight * magnitude / np.sqrt((weight**2).sum(axes, keepdims=True))


def example(kind, shape, random):
    """Tensors of one layer by their endings, and the change of `weight` that the kind's paper defines."""
    out, width, *kernel = shape
    flat, r = width * int(np.prod(kernel)), 3

    def normal(*size):
        return random.standard_normal(size).astype(np.float32)

    down, up = normal(r, width, *kernel), normal(out, r, *[1] * len(kernel))
    product = np.einsum("or,ri...->oi...", up.reshape(out, r), down)
    if kind == "LoRA":
        return {"lora_up.weight": up, "lora_down.weight": down, "alpha": np.float32(6)}, lambda _: 2 * product
    if kind.startswith("DoRA"):
        is_on_input = kind.endswith("input")
        axes = (0, *range(2, len(shape))) if is_on_input else tuple(range(1, len(shape)))
        magnitude = 1 + random.random([1 if n in axes else length for n, length in enumerate(shape)])
        tensors = {"lora_up.weight": up, "lora_down.weight": down, "dora_scale": magnitude.astype(np.float32)}
        return tensors, lambda weight: unit(weight + product, magnitude, axes) - weight
    if kind == "LoHa":
        ups, downs = [normal(out, r) for _ in "12"], [normal(r, flat) for _ in "12"]
        tensors = {
            f"hada_w{n}_{x}": m
            for n, *pair in zip("12", ups, downs, strict=True)
            for x, m in zip("ab", pair, strict=True)
        }
        change = (ups[0] @ downs[0]) * (ups[1] @ downs[1]) / r
        return {**tensors, "alpha": np.float32(1)}, lambda _: change.reshape(shape)
    if kind == "LoHa in cores":
        parts = [(normal(r, r, *kernel), normal(r, out), normal(r, width)) for _ in "12"]
        tensors = {
            f"hada_{x}": m
            for n, part in zip("12", parts, strict=True)
            for x, m in zip((f"t{n}", f"w{n}_a", f"w{n}_b"), part, strict=True)
        }
        one, two = (np.einsum("ijkl,io,jn->onkl", *part) for part in parts)
        return tensors, lambda _: one * two
    if kind == "LoKr":
        one, up, down = normal(2, 4), normal(out // 2, r), normal(r, flat // 4)
        two = (up @ down).reshape(out // 2, width // 4, *kernel)
        change = np.kron(one.reshape(2, 4, *[1] * len(kernel)), two) * 5 / r
        return {"lokr_w1": one, "lokr_w2_a": up, "lokr_w2_b": down, "alpha": np.float32(5)}, lambda _: change
    if kind == "LoKr, whole":
        one, two = normal(2, 4), normal(out // 2, width // 4, *kernel)
        change = np.kron(one.reshape(2, 4, *[1] * len(kernel)), two)
        return {"lokr_w1": one, "lokr_w2": two, "alpha": np.float32(5)}, lambda _: change
    if kind == "LoKr in cores":
        one, core, up, down = normal(2, 4), normal(r, r, *kernel), normal(r, out // 2), normal(r, width // 4)
        two = np.einsum("ijkl,io,jn->onkl", core, up, down)
        change = np.kron(one.reshape(2, 4, 1, 1), two)
        return {"lokr_w1": one, "lokr_t2": core, "lokr_w2_a": up, "lokr_w2_b": down}, lambda _: change
    if kind == "full difference":
        change = normal(*shape)
        return {"diff": change}, lambda _: change
    if kind == "(IA)3":
        factor = normal(out) if not kernel else normal(1, out, 1, 1)
        column = factor.reshape(out, *[1] * (len(shape) - 1))
        return {"weight": factor, "on_input": np.float32(0)}, lambda weight: weight * column
    if kind == "(IA)3 of inputs":
        factor = normal(width) if not kernel else normal(1, width, 1, 1)
        return {
            "weight": factor,
            "on_input": np.float32(1),
        }, lambda weight: weight * factor.reshape(1, width, *[1] * len(kernel))
    assert kind == "GLoRA"
    a1, a2, b1, b2 = normal(width, r), normal(r, width), normal(out, r), normal(r, flat)
    tensors = {"a1.weight": a1, "a2.weight": a2, "b1.weight": b1, "b2.weight": b2, "alpha": np.float32(2 * r)}
    outer = (b1 @ b2).reshape(shape)
    return tensors, lambda weight: 2 * (np.einsum("oi...,ij->oj...", weight, a1 @ a2) + outer)


KINDS = (
    *("LoRA", "DoRA", "DoRA of the input", "LoHa", "LoKr", "LoKr, whole", "full difference"),
    *("(IA)3", "(IA)3 of inputs", "GLoRA"),
)
IN_CORES = ("LoHa in cores", "LoKr in cores")
CASES = [
    *[(kind, name) for kind in KINDS for name in (LINEAR, CONVOLUTION)],
    *[(kind, CONVOLUTION) for kind in IN_CORES],
]


def write(path, name, tensors):
    save_file(
        {f"{name}.{ending}": np.ascontiguousarray(array) for ending, array in tensors.items()},
        path,
        {"ss_base_model_version": "sd_v1"},
    )
    return path


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@settings(deadline=None, max_examples=60)
@given(
    case=st.sampled_from(CASES), seed=st.integers(0, 99), first=st.integers(0, 11), length=st.integers(1, 12)
)
def test_each_kind_is_what_it_is_defined_as(tmp_path_factory, case, seed, first, length):
    kind, name = case
    random = np.random.default_rng(seed)
    shape = (12, 8) if name == LINEAR else (12, 8, 3, 3)
    tensors, change_of = example(kind, shape, random)
    weight = random.standard_normal(shape).astype(np.float32)
    adapter = read_adapter(write(tmp_path_factory.mktemp("k") / "a.safetensors", name, tensors))
    change = adapter.layers[name].on(weight.reshape(12, -1))
    expected = change_of(weight)
    assert change.weight_shape == shape
    assert relative(change.delta(), expected) < 1e-5
    last = min(12, first + length)
    assert np.allclose(change.rows(first, last), expected.reshape(12, -1)[first:last], atol=1e-4)
    up, down = change.factors()
    assert up.shape[1] == down.shape[0] == change.rank


def layer_of(family):
    """A linear layer and a convolution, and their keys in the tiny checkpoint of a family."""
    head = (
        "model.diffusion_model.input_blocks.4" if family == "sdxl" else "model.diffusion_model.input_blocks.1"
    )
    name = "lora_unet_input_blocks_4" if family == "sdxl" else "lora_unet_input_blocks_1"
    return (
        (f"{name}_1_transformer_blocks_0_attn1_to_q", f"{head}.1.transformer_blocks.0.attn1.to_q.weight"),
        (f"{name}_0_in_layers_2", f"{head}.0.in_layers.2.weight"),
    )


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("kind", [*KINDS, *IN_CORES])
def test_merged_and_made_an_ordinary_lora(tmp_path, make_checkpoint, family, kind):
    path = make_checkpoint(family, dtype=np.float32)
    before, random = load_file(path), np.random.default_rng(3)
    tensors, expected = {}, {}
    for name, key in layer_of(family):
        if kind in IN_CORES and before[key].ndim == 2:
            continue
        made, change_of = example(kind, before[key].shape, random)
        tensors |= {f"{name}.{ending}": np.ascontiguousarray(array) for ending, array in made.items()}
        expected[key] = change_of(before[key])
    save_file(
        tensors,
        tmp_path / "a.safetensors",
        {"ss_base_model_version": {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl"}[family]},
    )
    adapter = read_adapter(tmp_path / "a.safetensors")
    with TensorFile(path) as source:
        plan = plan_merge(source, [(adapter, 0.5)])
        merge_into_checkpoint(source, plan, tmp_path / "merged.safetensors")
        ordinary, report = resize(
            adapter, RankPolicy(16, 16), weights=weights_for(source, adapter), save_precision="float"
        )
        terms = plan_merge(source, [(ordinary, 1.0)]).terms
    after = load_file(tmp_path / "merged.safetensors")
    for key, change in expected.items():
        assert relative(after[key] - before[key], 0.5 * change) < 1e-4
        [(_, _, term)] = terms[key]
        # 16 directions hold the whole of every change here, but of those that have the full rank.
        values = np.linalg.svd(change.reshape(len(change), -1), compute_uv=False)
        best = np.sqrt((values[16:] ** 2).sum() / (values**2).sum())
        found = relative(term.layer.delta().reshape(change.shape), change)
        assert found <= 1.01 * best + 1e-5
        assert report.error <= 1.0
    unchanged = [key for key in before if key not in expected]
    assert all(np.array_equal(before[key], after[key]) for key in unchanged)


def test_openclip_thirds_and_turned_weights_get_their_part(tmp_path, make_checkpoint):
    path, random = make_checkpoint("sdxl", dtype=np.float32), np.random.default_rng(4)
    before = load_file(path)
    head = "conditioner.embedders.1.model."
    joined, turned = f"{head}transformer.resblocks.0.attn.in_proj_weight", f"{head}text_projection"
    width = before[joined].shape[1]
    change = random.standard_normal((width, width)).astype(np.float32)
    other = random.standard_normal(before[turned].T.shape).astype(np.float32)
    save_file(
        {
            "lora_te2_text_model_encoder_layers_0_self_attn_k_proj.diff": change,
            "lora_te2_text_projection.diff": other,
        },
        tmp_path / "a.safetensors",
    )
    with TensorFile(path) as source:
        plan = plan_merge(source, [(read_adapter(tmp_path / "a.safetensors"), 1.0)])
        merge_into_checkpoint(source, plan, tmp_path / "out.safetensors")
    after = load_file(tmp_path / "out.safetensors")
    assert np.allclose((after[joined] - before[joined])[width : 2 * width], change, atol=1e-5)
    assert np.array_equal(after[joined][:width], before[joined][:width])
    assert np.allclose((after[turned] - before[turned]).T, other, atol=1e-5)


def test_biases_and_norms_are_merged_and_never_lost_silently(tmp_path, make_checkpoint):
    path, random = make_checkpoint("sd1", dtype=np.float32), np.random.default_rng(5)
    before = load_file(path)
    block = "model.diffusion_model.input_blocks.1.1."
    norm, out = f"{block}transformer_blocks.0.norm1", f"{block}transformer_blocks.0.attn1.to_out.0"
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0"
    shapes = {
        key: before[key].shape for key in (f"{norm}.weight", f"{norm}.bias", f"{out}.weight", f"{out}.bias")
    }
    new = {key: random.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}
    save_file(
        {
            f"{name}_norm1.w_norm": new[f"{norm}.weight"],
            f"{name}_norm1.b_norm": new[f"{norm}.bias"],
            f"{name}_attn1_to_out_0.diff": new[f"{out}.weight"],
            f"{name}_attn1_to_out_0.diff_b": new[f"{out}.bias"],
        },
        tmp_path / "a.safetensors",
    )
    adapter = read_adapter(tmp_path / "a.safetensors")
    with TensorFile(path) as source:
        merge_into_checkpoint(source, plan_merge(source, [(adapter, 2.0)]), tmp_path / "out.safetensors")
    after = load_file(tmp_path / "out.safetensors")
    assert all(np.allclose(after[key], before[key] + 2 * change, atol=1e-5) for key, change in new.items())
    with pytest.raises(InputError, match="3 biases and norms .* no LoRA can hold"):
        resize(adapter, RankPolicy(4))
    found, report = resize(adapter, RankPolicy(4), may_leave_out=True)
    assert list(found.layers) == [f"{name}_attn1_to_out_0"]
    assert "left out" in report.remarks[0]


@pytest.mark.parametrize("kind", ["DoRA", "(IA)3", "GLoRA"])
def test_what_depends_on_the_weight_asks_for_the_checkpoint(tmp_path, kind):
    tensors, _ = example(kind, (12, 8), np.random.default_rng(0))
    adapter = read_adapter(write(tmp_path / "a.safetensors", LINEAR, tensors))
    with pytest.raises(InputError, match="lora resize --sd_model"):
        resize(adapter, RankPolicy(4))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "LoRA"])
def test_training_on_top_is_refused_with_what_to_do(tmp_path, kind):
    tensors, _ = example(kind, (12, 8), np.random.default_rng(0))
    path = write(tmp_path / "a.safetensors", LINEAR, tensors)
    with pytest.raises(InputError, match=r"no plain LoRA.*lora resize --model") as caught:
        read_lora(path)
    assert kind.split(",")[0].split(" of ")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "ending", "shape", "told"),
    [
        ("LoHa", "hada_w1_b", (4, 8), "do not fit together"),
        ("LoHa", "hada_w2_a", (11, 3), "do not fit together"),
        ("LoHa", "hada_w2_b", None, "has no hada_w2_b"),
        ("LoKr", "lokr_w2_a", (6, 2), "do not fit together"),
        ("LoKr", "lokr_w2_b", None, "has no lokr_w2"),
        ("LoKr, whole", "lokr_w2", (1 << 6, 1 << 5), "as large as"),
        ("GLoRA", "a2.weight", (3, 9), "do not fit together"),
        ("(IA)3", "on_input", (2,), "more than one number"),
        ("(IA)3", "on_input", None, "has no on_input"),
        ("full difference", "diff", (0, 4), "size 0"),
    ],
)
def test_broken_files_are_told(tmp_path, monkeypatch, kind, ending, shape, told):
    # Files beyond the real limit are half a gigabyte.
    monkeypatch.setattr(kinds, "_MOST_ELEMENTS", 1 << 13)
    tensors, _ = example(kind, (12, 8), np.random.default_rng(0))
    if shape is None:
        del tensors[ending]
    else:
        tensors[ending] = np.zeros(shape, np.float16)
    with pytest.raises(FaultsError, match=told):
        read_adapter(write(tmp_path / "a.safetensors", LINEAR, tensors))


def test_glora_of_older_files_is_the_same(tmp_path):
    """They call the two factors of each product the other way round."""
    tensors, change_of = example("GLoRA", (12, 8), np.random.default_rng(0))
    turned = {"a1": "a2", "a2": "a1", "b1": "b2", "b2": "b1"}
    older = {"alpha": tensors["alpha"]} | {
        f"{new}.weight": tensors[f"{old}.weight"] for old, new in turned.items()
    }
    weight = np.random.default_rng(1).standard_normal((12, 8)).astype(np.float32)
    change = read_adapter(write(tmp_path / "a.safetensors", LINEAR, older)).layers[LINEAR].on(weight)
    assert relative(change.delta(), change_of(weight)) < 1e-5
