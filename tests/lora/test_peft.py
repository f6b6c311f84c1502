"""Strength from settings beside the tensors: PEFT's configuration and diffusers' metadata, never trusted.

Folders that PEFT 0.21.2 wrote (LoRA, rslora, patterns, DoRA, LoHa, LoKr) give its own merged weights to 1e-6.
"""

from __future__ import annotations

import json
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora.file import read_adapter, read_lora
from lib_copier.lora.peft import Patterns

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
OTHER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"
NAME = "lora_unet_" + LAYER.replace(".", "_")
CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 16, "alpha_pattern": {}, "rank_pattern": {}}


@pytest.fixture
def make_folder(tmp_path):
    """A folder as PEFT writes it: rank 4 (or others by layer), every number 0.1."""

    def make(config=None, ranks=None, *, extra=None, **changes):
        tensors = {}
        for layer, rank in (ranks or {LAYER: 4}).items():
            tensors[f"base_model.model.{layer}.lora_A.weight"] = np.full((rank, 64), 0.1, np.float32)
            tensors[f"base_model.model.{layer}.lora_B.weight"] = np.full((64, rank), 0.1, np.float32)
        save_file({**tensors, **(extra or {})}, tmp_path / "adapter_model.safetensors")
        content = config if isinstance(config, str) else json.dumps({**CONFIG, **changes})
        (tmp_path / "adapter_config.json").write_text(content)
        return tmp_path

    return make


def norm_of(path):
    return np.sqrt(sum((layer.delta() ** 2).sum() for layer in read_lora(path).layers.values()))


def test_alpha_stands_in_the_configuration(make_folder):
    folder = make_folder()
    # |B A| = 64 · 4 · 0.01 = 2.56, and alpha / r = 4.
    assert norm_of(folder) == pytest.approx(10.24)
    assert norm_of(folder / "adapter_model.safetensors") == pytest.approx(10.24)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"use_dora": True}, "no magnitudes"),
    ],
)
def test_factors_that_are_not_the_whole_change_are_refused(make_folder, changes, word):
    with pytest.raises(InputError, match=word):
        read_lora(make_folder(**changes))


def test_factors_begun_in_a_way_that_leaves_the_base_alone_are_read(make_folder):
    assert norm_of(make_folder(init_lora_weights="gaussian")) == pytest.approx(10.24)


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({"use_rslora": True}, 8.0),
        ({"alpha_pattern": {"attn1.to_q": 2}}, 0.5),
        ({"alpha_pattern": {"to_q": 2, "attn1.to_q": 8}}, 0.5),
        ({"alpha_pattern": {"o_q": 2}}, 4.0),
        ({"alpha_pattern": {r"down_blocks\.\d+\..*\.to_(q|k)": 2}}, 0.5),
        ({"alpha_pattern": {".*attn2.*": 2}}, 4.0),
        ({"r": 8, "rank_pattern": {"attn1.*": 4}, "lora_alpha": 4}, 1.0),
        ({"lora_alpha": 0}, 0.0),
    ],
)
def test_settings_are_read_as_peft_reads_them(make_folder, changes, scale):
    assert read_lora(make_folder(**changes)).layers[NAME].scale == scale


@given(st.text("ab.", min_size=1, max_size=6), st.text("ab.", min_size=1, max_size=12))
def test_plain_patterns_match_as_the_expression_does(pattern, module):
    """`peft.utils.get_pattern_key`: re.match(rf"(.*\\.)?({key})$", module)."""
    found = Patterns({pattern: 1.0}).find(module, None)
    assert (found is not None) == (re.match(rf"(.*\.)?({pattern})$", module) is not None)


@settings(deadline=None)
@given(
    st.sampled_from(["a*", "a|b", "(a|b)+", "[ab]\\.b", ".*b", "a.b|a"]),
    st.text("ab.", min_size=1, max_size=9),
)
def test_expressions_match_whole_names(pattern, module):
    found = Patterns({pattern: 1.0}).find(module, None)
    assert (found is not None) == (re.match(rf"(.*\.)?({pattern})$", module) is not None)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(a", "no sound one"),
        ("((((a|a)+)+)+)+$|" + "x" * 60, "too long|no sound"),
        ("(" * 90 + "_" + ")+" * 90 + "!", "nested"),
        ("(.*.*.*.*.*.*.*.*.*.*.*)+!", "too long|no sound"),
        ("(a{999}){999}", "too often"),
        ("a" * 500, "too long"),
    ],
)
def test_hostile_patterns_end_soon(make_folder, pattern, told):
    folder = make_folder(alpha_pattern={pattern: 2})
    started = time.monotonic()
    try:
        read_lora(folder)
    except InputError as error:
        assert re.search(told, str(error)), error
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("[" * 100_000, "no sound JSON"),
        ('{"r": 1' + "0" * 400 + "}", "too long"),
        ("[]", "no JSON object"),
        ('{"lora_alpha": "x"}', "no number"),
        ('{"lora_alpha": true}', "no number"),
        ('{"lora_alpha": 1e999}', "JSON"),
        ('{"alpha_pattern": [1]}', "no JSON object"),
        ('{"peft_type": "VERA"}', "VERA adapters"),
        ('{"fan_in_fan_out": true}', "fan_in_fan_out"),
        ('{"r": 8, "lora_alpha": 8}', "rank 4, but the settings say 8"),
        (json.dumps({"alpha_pattern": {f"x{n}": 1 for n in range(3000)}}), "too many"),
        (" " * 2_000_000, "more than"),
    ],
)
def test_unsound_configurations_are_one_clear_line(make_folder, config, told):
    with pytest.raises(InputError, match=told) as caught:
        read_lora(make_folder(config))
    assert "\n" not in str(caught.value)


def test_what_peft_keeps_beside_the_lora_is_refused_by_name(make_folder):
    whole = {"base_model.model.conv_in.modules_to_save.weight": np.ones((4, 4), np.float32)}
    with pytest.raises(InputError, match="modules_to_save"):
        read_adapter(make_folder(extra=whole))
    bias = {f"base_model.model.{OTHER}.bias": np.ones(4, np.float32)}
    with pytest.raises(InputError, match="trained biases"):
        read_adapter(make_folder(extra=bias))


def test_ranks_and_alphas_by_layer(make_folder):
    lora = read_lora(
        make_folder(ranks={LAYER: 4, OTHER: 2}, rank_pattern={"to_out.0": 2}, alpha_pattern={"to_out.0": 1})
    )
    assert {layer.rank: layer.scale for layer in lora.layers.values()} == {4: 4.0, 2: 0.5}


def test_dora_of_peft_sets_the_length_of_each_output(make_folder):
    random = np.random.default_rng(0)
    magnitude, weight = 1 + random.random(64), random.standard_normal((64, 64)).astype(np.float32)
    vector = {f"base_model.model.{LAYER}.lora_magnitude_vector": magnitude.astype(np.float32)}
    change = read_adapter(make_folder(use_dora=True, extra=vector)).layers[NAME]
    whole = weight + 4 * 0.04
    expected = whole * (magnitude / np.linalg.norm(whole, axis=1))[:, None] - weight
    assert np.allclose(change.on(weight).rows(0, 64), expected, atol=1e-5)


def test_settings_in_the_header_are_by_part(tmp_path):
    text = "text_encoder.encoder.layers.0.self_attn.q_proj"
    tensors = {
        f"{head}.lora_{half}.weight": np.full(shape, 0.1, np.float32)
        for head in (f"unet.{LAYER}", text)
        for half, shape in (("A", (4, 64)), ("B", (64, 4)))
    }
    table = {
        "unet.lora_alpha": 16,
        "unet.r": 4,
        "unet.alpha_pattern": {r".*\.to_[qk]": 2},
        "text_encoder.lora_alpha": 12,
    }
    save_file(tensors, tmp_path / "a.safetensors", {"lora_adapter_metadata": json.dumps(table)})
    layers = read_lora(tmp_path / "a.safetensors").layers
    assert layers[NAME].scale == 0.5
    assert layers["lora_te_text_model_encoder_layers_0_self_attn_q_proj"].scale == 3.0


def test_a_folder_without_weights_is_told(tmp_path):
    with pytest.raises(InputError, match=r"folder without adapter_model\.safetensors"):
        read_lora(tmp_path)


def test_halves_that_are_missing_are_told(make_folder):
    folder = make_folder()
    save_file(
        {f"base_model.model.{LAYER}.lora_A.weight": np.ones((4, 8), np.float32)},
        folder / "adapter_model.safetensors",
    )
    with pytest.raises(FaultsError, match="no up matrix"):
        read_lora(folder)
