"""Checkpoints as people have them: with buffers, averages and leftovers, in other spellings, cut or pickled.

Whatever a file holds beside its weights, the same modules come out of it.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lib_copier.errors import InputError
from lib_copier.model_file.families import FAMILIES, SDXL, detect_family
from lib_copier.model_file.keys import UNET_PREFIX, averaged_name, known_names
from lib_copier.models import sizes
from lib_copier.models.build import Placement, build_text_encoders, build_unet, build_vae
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.save import joined_shape, original_keys
from lib_copier.models.text import encode_prompts
from lib_copier.models.tiny import REAL, random_modules

ID_TYPES = (torch.int64, torch.int32, torch.float32, torch.float16, torch.bfloat16)
SCHEDULE = ("betas", "alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_mean_coef1")


def with_position_ids(stored, dtype=torch.int64):
    """CLIP's buffer of numbers, which nearly every SD1 file has."""
    ids = torch.arange(77)[None].to(dtype)
    tops = {name.partition(".text_model.")[0] for name in stored if ".text_model." in name}
    return stored | {f"{top}.text_model.embeddings.position_ids": ids.clone() for top in tops}


def with_schedule(stored):
    return stored | {name: torch.ones(1000) for name in SCHEDULE}


def with_clip_s_training(stored):
    tops = {name.rpartition("token_embedding")[0] for name in stored if "token_embedding" in name}
    odds = {f"{top}logit_scale": torch.tensor(4.6) for top in tops if ".model." in top}
    clip = {top.partition("text_model.")[0] for top in tops if "text_model." in top}
    odds |= {f"{top}text_projection.weight": torch.zeros(64, 64) for top in clip}
    return stored | odds | {"cond_stage_model.logit_scale": torch.tensor(4.6)}


def with_vae_s_training(stored):
    loss = "first_stage_model.loss."
    return stored | {
        f"{loss}logvar": torch.zeros(()),
        f"{loss}discriminator.main.0.weight": torch.zeros(4, 3, 4, 4),
        f"{loss}perceptual_loss.net.slice1.0.weight": torch.zeros(2, 3, 3, 3),
        "first_stage_model.model_ema.decay": torch.tensor(0.999),
    }


def averaged(stored, prefix="model_ema.diffusion_model"):
    """The U-Net's weights under the names of their averages."""
    own = {name: tensor for name, tensor in stored.items() if name.startswith(UNET_PREFIX)}
    return {prefix + name.removeprefix(UNET_PREFIX).replace(".", ""): tensor for name, tensor in own.items()}


def with_averages_beside(stored):
    zeros = {name: torch.zeros_like(tensor) for name, tensor in averaged(stored).items()}
    counts = {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
    return stored | zeros | counts


def with_averages_alone(stored, prefix="model_ema.diffusion_model"):
    rest = {name: tensor for name, tensor in stored.items() if not name.startswith(UNET_PREFIX)}
    return rest | averaged(stored, prefix) | {"model_ema.num_updates": torch.tensor(7)}


def with_old_names_of_averages(stored):
    return with_averages_alone(stored, "model_ema.")


def with_old_clip_names(stored):
    return {name.replace(".transformer.text_model.", ".transformer."): x for name, x in stored.items()}


DRESSES = (with_position_ids, with_schedule, with_clip_s_training, with_vae_s_training, with_averages_beside,
           with_averages_alone, with_old_names_of_averages, with_old_clip_names)  # fmt: skip


def assert_same_modules(path, expected):
    found = load_checkpoint(path)
    pairs = [(found.unet, expected.unet), (found.vae, expected.vae)]
    pairs += zip(found.text_encoders, expected.text_encoders, strict=True)
    for ours, theirs in pairs:
        own, other = ours.state_dict(), theirs.state_dict()
        assert own.keys() == other.keys()
        assert all(torch.equal(own[name], other[name]) for name in own)
    numbers = found.text_encoders[0].text_model.embeddings.position_ids
    assert torch.equal(numbers, torch.arange(77)[None])


def write_dressed(path, stored):
    """A safetensors file, or a pickle as trainers left it behind."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous().clone() for name, tensor in stored.items()}, path)
        return path
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1, momentum=0.9)
    torch.save({"state_dict": stored, "optimizer_states": [optimizer.state_dict()], "epoch": 3}, path)
    return path


@pytest.mark.parametrize(("family", "name"), [("sd1", "old.ckpt"), ("sdxl", "new.safetensors")])
def test_all_dresses_at_once_give_the_same_modules(checkpoint_path, loaded, tmp_path, family, name):
    stored = load_file(checkpoint_path(family))
    for dress in DRESSES:
        stored = dress(stored)
    assert_same_modules(write_dressed(tmp_path / name, stored), loaded(family))


@pytest.mark.slow
@given(
    family=st.sampled_from(tuple(FAMILIES)),
    dresses=st.lists(st.sampled_from(DRESSES), unique=True, max_size=len(DRESSES)),
    id_type=st.sampled_from(ID_TYPES),
    suffix=st.sampled_from(("safetensors", "ckpt")),
)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_dress_gives_the_same_modules(
    checkpoint_path, loaded, tmp_path, family, dresses, id_type, suffix
):
    stored = load_file(checkpoint_path(family))
    for dress in dresses:
        stored = dress(stored, id_type) if dress is with_position_ids else dress(stored)
    assert_same_modules(write_dressed(tmp_path / f"dressed.{suffix}", stored), loaded(family))


@pytest.mark.parametrize("dress", DRESSES, ids=lambda dress: dress.__name__)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_dress_is_known_by_its_keys(checkpoint_path, family, dress):
    stored = load_file(checkpoint_path(family))
    dressed = dress(stored)
    assert set(known_names(stored)) == set(known_names(dressed)) - set(SCHEDULE) - {
        "cond_stage_model.logit_scale"
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in dressed.items()}
    assert detect_family(shapes).family is FAMILIES[family]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_types_hold_the_same_weights(checkpoint_path, loaded, tmp_path, dtype):
    stored = {name: tensor.to(dtype) for name, tensor in load_file(checkpoint_path()).items()}
    save_file(stored, tmp_path / "cast.safetensors")
    found = load_checkpoint(tmp_path / "cast.safetensors", parts=("unet",)).unet.conv_in.weight
    assert torch.equal(found, loaded().unet.conv_in.weight.to(dtype).float())


def test_fp8_is_read_as_the_numbers_that_it_stands_for(checkpoint_path, tmp_path):
    plain, scaled, meant = (
        {},
        {"model.diffusion_model.scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)},
        {},
    )
    for name, tensor in load_file(checkpoint_path()).items():
        is_matrix = name.startswith(UNET_PREFIX) and name.endswith(".weight") and tensor.ndim == 2
        scale = tensor.float().abs().max() / 448 if is_matrix else torch.ones(())
        short = (tensor.float() / scale).to(torch.float8_e4m3fn) if is_matrix else tensor
        plain[name] = tensor.to(torch.float8_e4m3fn) if is_matrix else tensor
        scaled[name], meant[name] = short, short.float() * scale if is_matrix else tensor
        if is_matrix:
            scaled[name.removesuffix("weight") + "scale_weight"] = scale
    save_file(scaled, tmp_path / "scaled.safetensors")
    save_file(plain, tmp_path / "plain.safetensors")
    save_file(meant, tmp_path / "meant.safetensors")
    assert_same_modules(tmp_path / "scaled.safetensors", load_checkpoint(tmp_path / "meant.safetensors"))
    save_file({name: tensor.float() for name, tensor in plain.items()}, tmp_path / "wide.safetensors")
    assert_same_modules(tmp_path / "plain.safetensors", load_checkpoint(tmp_path / "wide.safetensors"))


class TestSdxlWithoutItsLastLayers:
    """The U-Net reads the last layer but one; the WebUI takes zeros for what is not there."""

    @pytest.fixture(autouse=True)
    def tiny_depths(self, monkeypatch):
        monkeypatch.setattr(sizes, "TEXT_LAYERS", {**sizes.TEXT_LAYERS, 64: 2, 128: 2})

    @pytest.mark.parametrize("last", ["text_model.encoder.layers.1.", "text_model.encoder.layers.1.mlp"])
    def test_clip_l_gives_the_same(self, checkpoint_path, loaded, tmp_path, last):
        stored = load_file(checkpoint_path("sdxl"))
        ends = (last, "embedders.0.transformer.text_model.final_layer_norm")
        save_file(
            {n: t for n, t in stored.items() if not any(end in n for end in ends)}, tmp_path / "c.safetensors"
        )
        cut = load_checkpoint(tmp_path / "c.safetensors", parts=("text",))
        ours, whole = encode_prompts(cut, ["a cat"]), encode_prompts(loaded("sdxl"), ["a cat"])
        assert torch.equal(ours.hidden, whole.hidden) and torch.equal(ours.pooled, whole.pooled)

    @pytest.mark.parametrize("lost", [("transformer.resblocks.1.", "ln_final", "text_projection"),
                                      ("text_projection",)])  # fmt: skip
    def test_what_the_pooled_text_lacks_is_said(self, checkpoint_path, tmp_path, capsys, lost):
        prefix = SDXL.text_encoders[1].key_prefix
        ends, whole = tuple(prefix + end for end in lost), load_file(checkpoint_path("sdxl"))
        save_file({n: t for n, t in whole.items() if not n.startswith(ends)}, tmp_path / "c.safetensors")
        load_checkpoint(tmp_path / "c.safetensors", parts=("text",))
        assert "pooled text" in capsys.readouterr().out
        load_checkpoint(checkpoint_path("sdxl"), parts=("text",))
        assert capsys.readouterr().out == ""

    def test_open_clip_gives_the_same_but_for_the_pooled_text(self, checkpoint_path, loaded, tmp_path):
        stored = load_file(checkpoint_path("sdxl"))
        prefix = SDXL.text_encoders[1].key_prefix
        ends = tuple(prefix + end for end in ("transformer.resblocks.1.", "ln_final", "text_projection"))
        save_file({n: t for n, t in stored.items() if not n.startswith(ends)}, tmp_path / "c.safetensors")
        cut = load_checkpoint(tmp_path / "c.safetensors", parts=("text", "unet"))
        found = encode_prompts(cut, ["a cat"])
        assert torch.equal(found.hidden, encode_prompts(loaded("sdxl"), ["a cat"]).hidden)
        assert not found.pooled.any()

    def test_a_layer_within_may_not_be_missing(self, checkpoint_path, tmp_path):
        stored = load_file(checkpoint_path("sdxl"))
        save_file({n: t for n, t in stored.items() if ".layers.0.mlp" not in n}, tmp_path / "c.safetensors")
        with pytest.raises(InputError, match=r"layers\.0\.mlp.* is missing"):
            load_checkpoint(tmp_path / "c.safetensors", parts=("text",))


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.input_blocks.1.0.gate.weight",
        "model.diffusion_model.extra.weight",
        "first_stage_model.refiner.weight",
        "cond_stage_model.transformer.text_model.adapter.weight",
    ],
)
def test_what_may_matter_stays_an_error(checkpoint_path, tmp_path, key):
    save_file(load_file(checkpoint_path()) | {key: torch.zeros(2, 2)}, tmp_path / "more.safetensors")
    with pytest.raises(InputError, match="is not part of a"):
        load_checkpoint(tmp_path / "more.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_keys_of_real_sizes_are_all_known(family):
    """The keys of a real file in every dress at once, without its numbers."""
    of = FAMILIES[family]
    dressed = {}
    for part, module in random_modules(of, REAL[family]).items():
        for key, pieces in original_keys(part, module.state_dict(), of).items():
            dressed[key] = torch.empty(joined_shape(pieces), device="meta")
    for dress in DRESSES:
        dressed = dress(dressed)
    known = {usual: dressed[name] for usual, name in known_names(dressed).items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in known.items()}
    unet = {name: tensor for name, tensor in known.items() if name.startswith(UNET_PREFIX)}
    vae = {name: tensor for name, tensor in known.items() if name.startswith("first_stage_model.")}
    placement = Placement(torch.device("meta"), torch.float16)
    assert build_unet(unet, shapes, of, placement).config.block_out_channels == REAL[family].channels
    build_vae(vae, of, placement)
    assert len(build_text_encoders(known, of, placement)) == len(of.text_encoders)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_names_of_averages_tell_what_they_average(checkpoint_path, family):
    for name in load_file(checkpoint_path(family)):
        if name.startswith(UNET_PREFIX):
            for prefix in ("model_ema.diffusion_model", "model_ema."):
                assert averaged_name(prefix + name.removeprefix(UNET_PREFIX).replace(".", "")) == name
    assert averaged_name("model_ema.decay") is None
