"""Identities of sums, differences and resizes, to the tolerance that each number format allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora.blockweight import block_of, layer_weights
from lib_copier.lora.combine import combine
from lib_copier.lora.layer import Layer, Lora
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.resize import resize

# Relative Frobenius error that storing both factors in a format may add.
TOLERANCE = {"float": 3e-7, "fp16": 1.5e-3, "bf16": 1.2e-2}
NAMES = ("lora_unet_mid_block_attentions_0_proj_in", "lora_unet_down_blocks_0_resnets_0_conv1")


def random_lora(seed, *, ranks=(3, 2), alpha=4.0):
    random = np.random.default_rng(seed)
    shapes = (((10, ranks[0]), (ranks[0], 14)), ((9, ranks[1], 1, 1), (ranks[1], 4, 3, 3)))
    layers = {
        name: Layer(*(random.standard_normal(shape).astype(np.float32) for shape in pair), alpha=alpha)
        for name, pair in zip(NAMES, shapes, strict=True)
    }
    return Lora(layers)


def deltas(lora):
    return {name: layer.delta() for name, layer in lora.layers.items()}


def close(found, expected, precision="float"):
    for name, delta in expected.items():
        scale = np.linalg.norm(delta) + 1e-30
        assert np.linalg.norm(found[name] - delta) <= TOLERANCE[precision] * scale, name
    return True


seeds = st.integers(0, 1000)
ratios = st.floats(-2, 2).filter(lambda ratio: abs(ratio) > 1e-3)


@settings(deadline=None, max_examples=40)
@given(seeds, seeds, ratios, ratios, st.sampled_from(sorted(TOLERANCE)))
def test_merge_is_linear(seed, other, ratio, second, precision):
    a, b = random_lora(seed), random_lora(other + 2000, ranks=(2, 4), alpha=None)
    merged, report = combine([(a, ratio), (b, second)], save_precision=precision)
    expected = {name: ratio * a.layers[name].delta() + second * b.layers[name].delta() for name in NAMES}
    for name in NAMES:
        bound = abs(ratio) * np.linalg.norm(deltas(a)[name]) + abs(second) * np.linalg.norm(deltas(b)[name])
        assert np.linalg.norm(merged.layers[name].delta() - expected[name]) <= TOLERANCE[precision] * bound
    true = np.sqrt(sum(np.linalg.norm(merged.layers[n].delta() - expected[n]) ** 2 for n in NAMES))
    whole = np.sqrt(sum(np.linalg.norm(expected[n]) ** 2 for n in NAMES))
    assert report.error == pytest.approx(true / whole, rel=0.05, abs=2e-7)


@pytest.mark.parametrize(("alpha", "ratio"), [(4.0, 1e300), (1e308, 1.0), (1e38, 1e38), (float("inf"), 1.0)])
def test_a_weight_larger_than_any_change_is_refused(alpha, ratio):
    with pytest.raises(InputError, match="would act"):
        combine([(random_lora(0, alpha=alpha), ratio)])


@settings(deadline=None, max_examples=20)
@given(seeds, ratios)
def test_a_lora_minus_itself_is_exactly_zero(seed, ratio):
    lora = random_lora(seed)
    merged, report = combine([(lora, ratio), (lora, -ratio)])
    assert all(not layer.delta().any() for layer in merged.layers.values())
    assert report.error == 0.0


@settings(deadline=None, max_examples=20)
@given(seeds, seeds)
def test_difference_plus_base_is_the_target(seed, other):
    target, base = random_lora(seed), random_lora(other + 2000)
    change, _ = combine([(target, 1.0), (base, -1.0)], save_precision="float")
    again, _ = combine([(change, 1.0), (base, 1.0)], save_precision="float")
    for name in NAMES:
        scale = np.linalg.norm(deltas(target)[name]) + np.linalg.norm(deltas(base)[name])
        assert np.linalg.norm(again.layers[name].delta() - deltas(target)[name]) <= 1e-6 * scale


def test_equal_weights_change_no_bit():
    a, b = random_lora(1), random_lora(2)
    merged, report = combine([(a, 1.0), (b, -1.0)], save_precision="float")
    layer = merged.layers[NAMES[0]]
    assert np.array_equal(layer.up, np.concatenate([a.layers[NAMES[0]].up, -b.layers[NAMES[0]].up], 1))
    assert np.array_equal(layer.down, np.concatenate([a.layers[NAMES[0]].down, b.layers[NAMES[0]].down]))
    assert layer.scale == a.layers[NAMES[0]].scale
    assert report.error == 0.0


def test_the_least_rank_that_holds_the_sum():
    a = random_lora(1)
    merged, _ = combine([(a, 1.0), (a, 0.5)], save_precision="float")
    assert [layer.rank for layer in merged.layers.values()] == [3, 2]
    assert close(deltas(merged), {name: 1.5 * delta for name, delta in deltas(a).items()})


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 6), st.sampled_from(sorted(TOLERANCE)))
def test_resize_is_the_optimum_and_keeps_the_strength(seed, rank, precision):
    lora = random_lora(seed, ranks=(6, 5))
    small, report = resize(lora, RankPolicy(rank), save_precision=precision)
    for result in report.layers:
        before, after = lora.layers[result.name], small.layers[result.name]
        assert after.rank <= min(rank, before.rank)
        assert after.scale == pytest.approx(before.scale)
        dense = before.delta().reshape(before.size)
        best = np.sqrt((np.linalg.svd(dense, compute_uv=False)[rank:] ** 2).sum())
        error = np.linalg.norm(dense - after.delta().reshape(before.size))
        assert error <= best * (1 + 1e-4) + TOLERANCE[precision] * np.linalg.norm(dense)
        assert result.error * np.linalg.norm(dense) == pytest.approx(error, rel=1e-3, abs=1e-6)


def test_error_never_rises_with_the_rank():
    lora = random_lora(5, ranks=(8, 8))
    errors = [resize(lora, RankPolicy(rank), save_precision="float")[1].error for rank in range(1, 9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0.0


def test_a_low_enough_rank_keeps_its_very_factors():
    lora = random_lora(6)
    same, report = resize(lora, RankPolicy(9), save_precision="float")
    assert np.array_equal(same.layers[NAMES[0]].up, lora.layers[NAMES[0]].up)
    assert "nothing was lowered" in report.remarks[0]


@pytest.mark.parametrize(
    ("method", "param", "rank"),
    [
        ("sv_ratio", 2.0, 1),  # 4, 2, 1: only 4 is above 4 / 2
        ("sv_ratio", 2.1, 2),
        ("sv_cumulative", 0.85, 2),  # 4, 6, 7 of 7
        ("sv_cumulative", 1.0, 3),
        ("sv_fro", 0.97, 2),  # 16, 20, 21 of 21: sqrt(16/21) = 0.873, sqrt(20/21) = 0.976
        ("sv_fro", 0.5, 1),
    ],
)
def test_dynamic_methods(method, param, rank):
    up, down = np.diag([4.0, 2.0, 1.0]), np.eye(3)
    lora = Lora({NAMES[0]: Layer(up, down, alpha=3.0)})
    small, _ = resize(lora, RankPolicy(3, method=method, param=param), save_precision="float")
    assert small.layers[NAMES[0]].rank == rank
    limited, _ = resize(lora, RankPolicy(1, method=method, param=param), save_precision="float")
    assert limited.layers[NAMES[0]].rank == 1


def test_conv_rank_is_separate():
    small, _ = resize(random_lora(7, ranks=(6, 5)), RankPolicy(2, 4))
    assert [layer.rank for layer in small.layers.values()] == [2, 4]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"rank": 0}, "--new_rank is 0"),
        ({"rank": 4, "conv_rank": 0}, "--new_conv_rank is 0"),
        ({"rank": 4, "method": "sv_ratio"}, "--dynamic_param"),
        ({"rank": 4, "method": "sv_ratio", "param": 0.5}, "above 1"),
        ({"rank": 4, "method": "sv_fro", "param": 1.5}, "between 0 and 1"),
    ],
)
def test_impossible_ranks(arguments, told):
    with pytest.raises(InputError, match=told):
        RankPolicy(**arguments)


def test_a_rank_that_no_layer_can_have():
    with pytest.raises(InputError, match="above the size of every layer"):
        resize(random_lora(1), RankPolicy(11))


def test_shapes_and_families_must_fit(make_lora):
    with pytest.raises(InputError, match="different models"):
        combine([(make_lora("sd1"), 1.0), (make_lora("sdxl"), 1.0)])
    other = Lora({NAMES[0]: Layer(np.ones((3, 1)), np.ones((1, 3)))})
    with pytest.raises(FaultsError, match="elsewhere"):
        combine([(random_lora(1), 1.0), (other, 1.0)])


def test_block_weights_reach_their_blocks():
    weights = layer_weights(["[0,1,1,1,1,1,0.5,1,1,1,1,1]"], 1)
    assert weights(0, "lora_te1_text_model_encoder_layers_0_mlp_fc1") == 0
    assert weights(0, "lora_unet_middle_block_1_proj_in") == 1
    assert weights(0, "lora_unet_output_blocks_0_1_proj_in") == 0.5
    assert block_of("lora_unet_down_blocks_1_attentions_0_proj_in") == 5
    assert block_of("lora_unet_input_blocks_4_1_proj_in") == 5
    assert block_of("lora_unet_up_blocks_3_attentions_2_proj_in") == 25
    with pytest.raises(InputError, match="12, 17, 20 or 26"):
        layer_weights(["[1]"], 1)
