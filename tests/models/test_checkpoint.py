"""Checkpoints of every family load from one file, and what is no such file is refused in words."""

from __future__ import annotations

import hashlib

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from lib_copier.errors import InputError
from lib_copier.lora.inspect import find_all_faults
from lib_copier.model_file.families import FAMILIES, SD1
from lib_copier.models import checkpoint as module
from lib_copier.models.checkpoint import load_checkpoint
from lib_copier.models.tiny import ModelSize, _Text, random_checkpoint


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_of_the_file_is_in_the_modules(family, loaded, checkpoint_path):
    checkpoint = loaded(family)
    stored = load_file(checkpoint_path(family))
    assert checkpoint.family is FAMILIES[family]
    own = stored["model.diffusion_model.input_blocks.1.0.in_layers.2.weight"]
    assert torch.equal(checkpoint.unet.down_blocks[0].resnets[0].conv1.weight, own.float())
    own = stored["model.diffusion_model.output_blocks.0.0.in_layers.2.weight"]
    assert torch.equal(checkpoint.unet.up_blocks[0].resnets[0].conv1.weight, own.float())
    unet = sum(tensor.numel() for name, tensor in stored.items() if name.startswith("model.diffusion_model."))
    assert unet == sum(parameter.numel() for parameter in checkpoint.unet.parameters())
    vae = sum(tensor.numel() for name, tensor in stored.items() if name.startswith("first_stage_model."))
    assert vae == sum(parameter.numel() for parameter in checkpoint.vae.parameters())


def test_heads_follow_the_family(loaded):
    sd1 = loaded("sd1").unet
    assert {block.attn1.heads for block in _transformer_blocks(sd1)} == {8}
    for family in ("sd2", "sdxl"):
        blocks = _transformer_blocks(loaded(family).unet)
        assert {block.attn1.to_q.weight.shape[0] // block.attn1.heads for block in blocks} == {64}


def test_text_encoders_are_of_the_family_s_kinds(loaded):
    assert [type(encoder) for encoder in loaded("sd1").text_encoders] == [CLIPTextModel]
    assert [type(encoder) for encoder in loaded("sd2").text_encoders] == [CLIPTextModel]
    assert [type(encoder) for encoder in loaded("sdxl").text_encoders] == [
        CLIPTextModel,
        CLIPTextModelWithProjection,
    ]
    assert loaded("sd1").text_encoders[0].config.hidden_act == "quick_gelu"
    assert loaded("sd2").text_encoders[0].config.hidden_act == "gelu"


def test_sd2_leaves_out_the_block_that_is_never_run(loaded, checkpoint_path, tmp_path):
    stored = load_file(checkpoint_path("sd2"))
    assert "cond_stage_model.model.transformer.resblocks.2.ln_1.weight" in stored
    assert loaded("sd2").text_encoders[0].config.num_hidden_layers == 2
    # Files converted from diffusers come without that block and without the projection.
    cut = {
        name: tensor
        for name, tensor in stored.items()
        if "resblocks.2." not in name and not name.endswith("text_projection")
    }
    path = tmp_path / "converted.safetensors"
    save_file(cut, path)
    again = load_checkpoint(path, parts=("text",))
    _assert_same(again.text_encoders[0], loaded("sd2").text_encoders[0])


def test_parts_load_alone(checkpoint_path):
    only_unet = load_checkpoint(checkpoint_path(), parts=("unet",))
    assert only_unet.vae is None and only_unet.text_encoders == () and only_unet.unet is not None
    only_text = load_checkpoint(checkpoint_path("sdxl"), parts=("text",))
    assert only_text.unet is None and len(only_text.text_encoders) == 2


def test_precision_is_the_u_net_s_and_never_the_vae_s(checkpoint_path):
    checkpoint = load_checkpoint(checkpoint_path(), dtype=torch.bfloat16)
    assert {p.dtype for p in checkpoint.unet.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in checkpoint.text_encoders[0].parameters()} == {torch.bfloat16}
    assert {p.dtype for p in checkpoint.vae.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in checkpoint.unet.parameters())


def test_other_sizes_load_by_the_same_code(tmp_path):
    size = ModelSize((32, 96, 128), (1, 2, 0), 1, (_Text(128, 3),), (32, 64), 2)
    path = random_checkpoint(tmp_path / "odd.safetensors", SD1, size=size)
    checkpoint = load_checkpoint(path)
    assert tuple(checkpoint.unet.config.block_out_channels) == (32, 96, 128)
    assert checkpoint.latent_factor == 2
    assert len(checkpoint.unet.down_blocks[1].attentions[0].transformer_blocks) == 2
    assert checkpoint.text_encoders[0].config.num_attention_heads == 2


def test_a_pickled_checkpoint_gives_the_same_modules(checkpoint_path, loaded, tmp_path):
    path = tmp_path / "old.ckpt"
    torch.save({"state_dict": load_file(checkpoint_path()), "global_step": 840000}, path)
    _assert_same(load_checkpoint(path, parts=("unet",)).unet, loaded().unet)


def test_a_separate_vae_takes_the_place_of_the_own_one(checkpoint_path, tmp_path):
    other = load_file(random_checkpoint(tmp_path / "other.safetensors", SD1, seed=5))
    prefix = "first_stage_model."
    bare = {name[len(prefix) :]: tensor for name, tensor in other.items() if name.startswith(prefix)}
    save_file(bare, tmp_path / "vae.safetensors")
    replaced = load_checkpoint(checkpoint_path(), vae=tmp_path / "vae.safetensors", parts=("vae",)).vae
    _assert_same(replaced, load_checkpoint(tmp_path / "other.safetensors", parts=("vae",)).vae)


def test_ema_weights_are_used_only_where_there_are_no_others(checkpoint_path, loaded, tmp_path):
    stored = load_file(checkpoint_path())
    averaged = {
        "model_ema." + name.removeprefix("model.").replace(".", "")
        if name.startswith("model.")
        else name: tensor
        for name, tensor in stored.items()
    }
    save_file(averaged, tmp_path / "ema.safetensors")
    _assert_same(load_checkpoint(tmp_path / "ema.safetensors", parts=("unet",)).unet, loaded().unet)
    both = stored | {name: torch.zeros_like(tensor) for name, tensor in averaged.items() if "ema" in name}
    save_file(both, tmp_path / "both.safetensors")
    _assert_same(load_checkpoint(tmp_path / "both.safetensors", parts=("unet",)).unet, loaded().unet)


def test_old_clip_names_without_text_model_load(checkpoint_path, loaded, tmp_path):
    old = {name.replace(".text_model.", "."): tensor for name, tensor in load_file(checkpoint_path()).items()}
    save_file(old, tmp_path / "old.safetensors")
    checkpoint = load_checkpoint(tmp_path / "old.safetensors", parts=("text",))
    _assert_same(checkpoint.text_encoders[0], loaded().text_encoders[0])


def test_prediction_comes_from_markers_metadata_yaml_or_the_user(checkpoint_path, tmp_path):
    assert load_checkpoint(checkpoint_path("sdxl"), parts=("text",)).prediction_type == "epsilon"
    marked = load_checkpoint(checkpoint_path("sdxl", "v_pred", "ztsnr"), parts=("text",))
    assert marked.prediction_type == "v_prediction" and marked.zero_terminal_snr
    assert marked.schedule().alphas_cumprod[-1] == 0.0
    told = load_checkpoint(checkpoint_path("sdxl", "v_pred", "ztsnr"), prediction="epsilon", parts=("text",))
    assert told.prediction_type == "epsilon"
    beside = random_checkpoint(tmp_path / "m.safetensors", SD1)
    beside.with_suffix(".yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert load_checkpoint(beside, parts=("text",)).prediction_type == "v_prediction"
    with pytest.raises(InputError, match="prediction"):
        load_checkpoint(beside, prediction="velocity")


def test_sd2_is_asked_what_it_predicts(checkpoint_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "asked_prediction", lambda unet: asked.append(unet) or "v_prediction")
    assert load_checkpoint(checkpoint_path("sd2"), parts=("unet",)).prediction_type == "v_prediction"
    assert load_checkpoint(checkpoint_path("sd1"), parts=("unet",)).prediction_type == "epsilon"
    assert len(asked) == 1


def test_sha256_is_the_file_s(loaded, checkpoint_path):
    assert loaded().sha256 == hashlib.sha256(checkpoint_path().read_bytes()).hexdigest()


def test_loading_again_after_the_file_is_gone_is_not_needed(checkpoint_path, tmp_path):
    """Weights are copies, not a map of the file, in the file's own precision as well."""
    path = tmp_path / "gone.safetensors"
    path.write_bytes(checkpoint_path().read_bytes())
    checkpoint = load_checkpoint(path, parts=("unet",), dtype=torch.float16)
    before = checkpoint.unet.conv_in.weight.clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(checkpoint.unet.conv_in.weight, before)


class TestRefusals:
    def test_a_lora(self, tmp_path):
        save_file({"lora_unet_x.lora_down.weight": torch.zeros(1, 2)}, tmp_path / "lora.safetensors")
        with pytest.raises(InputError, match="LoRA"):
            load_checkpoint(tmp_path / "lora.safetensors")

    def test_a_diffusers_folder(self, tmp_path):
        (tmp_path / "model_index.json").write_text("{}")
        with pytest.raises(InputError, match=r"folder.*diffusers"):
            load_checkpoint(tmp_path)

    def test_a_truncated_file(self, checkpoint_path, tmp_path):
        whole = checkpoint_path().read_bytes()
        (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match="truncated"):
            load_checkpoint(tmp_path / "cut.safetensors")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            load_checkpoint(tmp_path / "none.safetensors")

    def test_a_file_without_vae(self, checkpoint_path, tmp_path):
        stored = {n: t for n, t in load_file(checkpoint_path()).items() if not n.startswith("first_stage")}
        save_file(stored, tmp_path / "bare.safetensors")
        with pytest.raises(InputError, match=r"no VAE.*--vae"):
            load_checkpoint(tmp_path / "bare.safetensors")

    def test_a_checkpoint_as_vae_in_diffusers_layout(self, checkpoint_path, tmp_path):
        save_file(
            {"encoder.down_blocks.0.resnets.0.conv1.weight": torch.zeros(1)}, tmp_path / "v.safetensors"
        )
        with pytest.raises(InputError, match="diffusers layout"):
            load_checkpoint(checkpoint_path(), vae=tmp_path / "v.safetensors")

    def test_an_inpainting_model(self, checkpoint_path, tmp_path):
        stored = load_file(checkpoint_path())
        stored["model.diffusion_model.input_blocks.0.0.weight"] = torch.zeros(32, 9, 3, 3)
        save_file(stored, tmp_path / "inpaint.safetensors")
        with pytest.raises(InputError, match="inpainting"):
            load_checkpoint(tmp_path / "inpaint.safetensors")

    def test_a_u_net_with_a_hole(self, checkpoint_path, tmp_path):
        stored = load_file(checkpoint_path())
        del stored["model.diffusion_model.middle_block.0.in_layers.0.weight"]
        save_file(stored, tmp_path / "hole.safetensors")
        with pytest.raises(InputError, match="missing"):
            load_checkpoint(tmp_path / "hole.safetensors")


def _transformer_blocks(unet):
    return [part for part in unet.modules() if type(part).__name__ == "BasicTransformerBlock"]


def _assert_same(first: torch.nn.Module, second: torch.nn.Module) -> None:
    own, other = first.state_dict(), second.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


@pytest.mark.parametrize(("number", "dtype"), [(torch.nan, torch.float32), (torch.inf, torch.float16)])
@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("model.diffusion_model.out.2.weight", "unet"),
        ("first_stage_model.decoder.conv_out.weight", "vae"),
        ("cond_stage_model.transformer.text_model.final_layer_norm.weight", "text"),
    ],
)
def test_weights_that_are_no_numbers_are_told_by_name(tmp_path, number, dtype, key, part):
    path = random_checkpoint(tmp_path / "base.safetensors", SD1)
    tensors = {name: value.to(dtype) for name, value in load_file(path).items()}
    tensors[key].reshape(-1)[-1] = number
    save_file(tensors, path)
    with pytest.raises(InputError, match=f"NaN or infinity in {key}") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    for other in {"unet", "vae", "text"} - {part}:
        load_checkpoint(path, parts=[other])
    assert find_all_faults(path) == [f"{key} holds NaN or infinity"]


def test_a_sound_checkpoint_is_verified(tmp_path):
    path = random_checkpoint(tmp_path / "base.safetensors", SD1)
    assert find_all_faults(path) == []
    path.write_bytes(path.read_bytes()[:-10])
    assert "truncated" in find_all_faults(path)[0]
