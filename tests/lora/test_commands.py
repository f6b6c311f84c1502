"""The command line: results, JSON, events, exit codes, and inputs that are never touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lib_copier.lora.file import read_lora, write_lora
from lib_copier.model_file.checkpoint import facts_of
from lib_copier.model_file.header import file_sha256, read_header


@pytest.fixture
def files(tmp_path, make_lora, make_checkpoint):
    """Two LoRAs and a checkpoint: paths `a`, `b`, `model`, and where to save."""
    for seed, name in enumerate("ab"):
        write_lora(make_lora("sd1", seed=seed, conv=True), tmp_path / f"{name}.safetensors")
    return {
        "a": tmp_path / "a.safetensors",
        "b": tmp_path / "b.safetensors",
        "model": make_checkpoint("sd1"),
        "out": tmp_path / "out.safetensors",
    }


def test_resize_saves_and_tells(files, run):
    code, out, _ = run("resize", "--model", files["a"], "--save_to", files["out"], "--new_rank", 2)
    assert code == 0
    assert "energy kept by rank" in out
    assert "relative error" in out
    metadata = read_header(files["out"]).metadata
    assert metadata["ss_network_dim"] == "2"
    assert metadata["ss_network_alpha"] == "1.0"
    assert metadata["ss_output_name"] == "out"
    assert metadata["ss_training_comment"].startswith("dimension is resized from 4 to 2")
    told = json.loads(metadata["copier_lora_error"])
    assert 0 < told["relative"] < 1
    assert told["worst_layer"] in read_lora(files["out"]).layers
    recipe = json.loads(metadata["copier_lora_recipe"])
    assert recipe["command"] == "resize"
    assert recipe["inputs"][0]["name"] == "a.safetensors"
    assert str(files["a"].parent) not in json.dumps(metadata)


def test_json_is_one_object(files, run):
    words = ("--models", files["a"], files["b"], "--ratios", "1", "-1e-05", "--new_rank", 2)
    code, out, _ = run("svd-merge", *words, "--save_to", files["out"], "--json")
    assert code == 0
    assert json.loads(out)["output"] == str(files["out"])
    recipe = json.loads(read_header(files["out"]).metadata["copier_lora_recipe"])
    assert [item["ratio"] for item in recipe["inputs"]] == [1.0, -1e-05]


def test_merge_without_a_checkpoint_is_exact(files, run):
    words = ("--models", files["a"], files["b"], "--ratios", 0.7, 0.3, "--concat", "--shuffle")
    code, _, _ = run("merge", *words, "--save_to", files["out"], "--save_precision", "float")
    assert code == 0
    a, b, merged = (read_lora(files[name]) for name in ("a", "b", "out"))
    for name, layer in merged.layers.items():
        expected = 0.7 * a.layers[name].delta() + 0.3 * b.layers[name].delta()
        assert np.allclose(layer.delta(), expected, atol=1e-5)


def test_merge_into_and_extract_from_checkpoints(files, run, tmp_path):
    words = ("--sd_model", files["model"], "--models", files["a"], "--save_precision", "float")
    code, out, _ = run("merge", *words, "--save_to", files["out"])
    assert code == 0
    assert "flushed in" in out
    back = tmp_path / "back.safetensors"
    words = ("--model_org", files["model"], "--model_tuned", files["out"], "--dim", 6, "--conv_dim", 6)
    code, _, _ = run("extract", *words, "--save_to", back, "--clamp_quantile", "0.99")
    assert code == 0
    for name, layer in read_lora(back).layers.items():
        delta = read_lora(files["a"]).layers[name].delta()
        assert np.linalg.norm(layer.delta() - delta) < 2e-3 * np.linalg.norm(delta)


@pytest.mark.parametrize("teller", ["yaml", "flag"])
def test_a_merged_file_tells_itself_that_it_predicts_v(files, run, tmp_path, teller):
    held = load_file(files["model"])
    plain, out = tmp_path / "plain.safetensors", tmp_path / "elsewhere.safetensors"
    save_file({name: array for name, array in held.items() if name != "v_pred"}, plain)
    words = ("--sd_model", plain, "--models", files["a"], "--save_to", out)
    run("merge", *words)
    assert facts_of(out).prediction == "epsilon"
    if teller == "yaml":
        plain.with_suffix(".yaml").write_text("model:\n  params:\n    parameterization: v\n")
    code, _, _ = run("merge", *words, *(["--v_parameterization"] if teller == "flag" else []))
    assert code == 0 and facts_of(out).prediction == "v_prediction"


def test_plot_is_drawn(files, run, tmp_path):
    pytest.importorskip("matplotlib")
    words = ("--save_to", files["out"], "--new_rank", 2, "--plot", tmp_path / "energy.png")
    assert run("resize", "--model", files["a"], *words)[0] == 0
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")


def test_info_and_verify(files, run):
    code, out, _ = run("info", files["a"], "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["kind"], found["ranks"]) == ("LoCon", {"4": found["layers"]})
    assert run("info", files["model"])[0] == 0
    assert run("verify", files["a"])[0] == 0
    content = bytearray(files["a"].read_bytes())
    content[-3] ^= 1
    files["b"].write_bytes(bytes(content))
    code, out, _ = run("verify", files["b"])
    assert code == 1
    assert "sshs_model_hash does not fit" in out
    files["b"].write_bytes(files["a"].read_bytes()[:-10])
    code, out, _ = run("verify", files["b"])
    assert code == 1
    assert "truncated" in out


BAD = {
    "no such file": ("resize", "--model", "{missing}", "--save_to", "{out}"),
    "also an input": ("resize", "--model", "{a}", "--save_to", "{a}"),
    "--new_rank is 0": ("resize", "--model", "{a}", "--save_to", "{out}", "--new_rank", "0"),
    "above the size": ("resize", "--model", "{a}", "--save_to", "{out}", "--new_rank", "999"),
    "pickles are not written": ("resize", "--model", "{a}", "--save_to", "{out}.ckpt"),
    "no such folder": ("resize", "--model", "{a}", "--save_to", "{folder}/none/x.safetensors"),
    "but 1 --ratios": ("merge", "--models", "{a}", "{b}", "--ratios", "1", "--save_to", "{out}"),
    "invalid finite value": ("merge", "--models", "{a}", "--ratios", "nan", "--save_to", "{out}"),
    "Unknown device": ("merge", "--models", "{a}", "--save_to", "{out}", "--device", "tpu"),
    "--v2 was given": ("merge", "--sd_model", "{model}", "--models", "{a}", "--save_to", "{out}", "--v2"),
    "is a LoRA, not a checkpoint": ("merge", "--sd_model", "{b}", "--models", "{a}", "--save_to", "{out}"),
    "whole model": ("merge", "--models", "{model}", "--save_to", "{out}"),
    "--min_diff is -1": (
        *("extract", "--model_org", "{a}", "--model_tuned", "{b}", "--save_to", "{out}"),
        *("--min_diff", "-1"),
    ),
    "required": ("resize", "--model", "{a}"),
    "invalid choice": ("frobnicate",),
}


@pytest.mark.parametrize("told", BAD)
def test_bad_input_is_one_line_and_exit_code_2(files, run, tmp_path, told):
    places = {"missing": tmp_path / "missing.safetensors", "folder": tmp_path, **files}
    before = {path: file_sha256(path) for path in tmp_path.iterdir()}
    code, out, err = run(*(word.format(**places) for word in BAD[told]))
    assert code == 2
    assert told in err
    assert err.count("\n") == 1
    assert out == ""
    assert {path: file_sha256(path) for path in tmp_path.iterdir()} == before


def test_unmatched_layers_need_permission(files, run, make_lora):
    lora = make_lora("sd1")
    odd = dict(lora.layers)
    odd["lora_unet_up_blocks_9_attentions_0_proj_in"] = next(iter(lora.layers.values()))
    write_lora(lora.with_layers(odd), files["b"])
    words = ("merge", "--sd_model", files["model"], "--models", files["b"], "--save_to", files["out"])
    code, _, err = run(*words)
    assert code == 2
    assert "up_blocks_9" in err
    assert not files["out"].exists()
    code, out, _ = run(*words, "--allow_unmatched")
    assert code == 0
    assert "left out" in out


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root and Windows may write anywhere")
def test_read_only_folder(files, run, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    code, _, err = run("resize", "--model", files["a"], "--save_to", folder / "x.safetensors")
    assert code == 2
    assert "Cannot write into" in err


def test_a_failure_underway_leaves_no_file(files, run, monkeypatch):
    from lib_copier.lora.stream import TensorWriter

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TensorWriter, "_write_at", fail)
    before = sorted(files["a"].parent.iterdir())
    code, _, err = run("resize", "--model", files["a"], "--save_to", files["out"], "--new_rank", 2)
    assert code == 3
    assert "No space left" in err
    assert sorted(files["a"].parent.iterdir()) == before


def test_events_for_a_parent_and_no_torch(files):
    """As a child process: JSON lines only, and torch is never imported."""
    script = (
        "import sys; from lib_copier.lora.__main__ import main; code = main(sys.argv[1:], emits_events=True);"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules; sys.exit(code)"
    )
    words = ["resize", "--model", files["a"], "--save_to", files["out"], "--new_rank", "2"]
    found = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert lines[0] == {"event": "device", "kind": "CPU"} and lines[-1]["event"] == "done"
    assert lines[-1]["output"] == str(files["out"])


def test_pickle_loras_are_refused(tmp_path, files, run):
    (tmp_path / "old.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    code, _, err = run("resize", "--model", tmp_path / "old.pt", "--save_to", files["out"])
    assert code == 2
    assert "pickle" in err


def test_sdxl_lora_on_sd1_checkpoint(files, run, make_lora):
    write_lora(make_lora("sdxl"), files["b"])
    words = ("merge", "--sd_model", files["model"], "--models", files["b"], "--save_to", files["out"])
    code, _, err = run(*words)
    assert code == 2
    assert "is a LoRA for Stable Diffusion XL" in err


def test_lora_without_layers(tmp_path, files, run):
    save_file({}, tmp_path / "empty.safetensors")
    code, _, err = run("resize", "--model", tmp_path / "empty.safetensors", "--save_to", files["out"])
    assert code == 2
    assert "holds no tensors" in err


def test_a_lokr_becomes_an_ordinary_lora_and_is_merged(files, run, tmp_path):
    from safetensors.numpy import load_file, save_file

    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
    before, random = load_file(files["model"])[key], np.random.default_rng(0)
    one = random.standard_normal((4, 4)).astype(np.float32)
    two = random.standard_normal((before.shape[0] // 4, before.shape[1] // 4)).astype(np.float32)
    metadata = {
        "ss_base_model_version": "sd_v1",
        "ss_network_module": "lycoris.kohya",
        "ss_network_args": "{}",
    }
    lokr, plain = tmp_path / "lokr.safetensors", tmp_path / "plain.safetensors"
    save_file({f"{name}.lokr_w1": one, f"{name}.lokr_w2": two}, lokr, metadata)
    code, out, _ = run("info", lokr, "--json")
    assert (code, json.loads(out)["kind"]) == (0, "LoKr")
    assert json.loads(out)["norm"] == pytest.approx(np.linalg.norm(one) * np.linalg.norm(two), rel=1e-5)
    assert run("verify", lokr)[0] == 0
    assert (
        run("resize", "--model", lokr, "--save_to", plain, "--new_rank", 16, "--save_precision", "float")[0]
        == 0
    )
    assert np.allclose(read_lora(plain).layers[name].delta(), np.kron(one, two), atol=1e-4)
    assert read_header(plain).metadata["ss_network_module"] == "networks.lora"
    words = (
        "--sd_model",
        files["model"],
        "--models",
        lokr,
        "--save_precision",
        "float",
        "--save_to",
        files["out"],
    )
    assert run("merge", *words)[0] == 0
    assert np.allclose(load_file(files["out"])[key] - before, np.kron(one, two), atol=1e-4)


def test_a_folder_of_peft_is_an_input(files, run, tmp_path):
    from safetensors.numpy import save_file

    folder, layer = tmp_path / "peft", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    folder.mkdir()
    halves = {"A": np.full((4, 64), 0.1, np.float32), "B": np.full((64, 4), 0.1, np.float32)}
    tensors = {f"base_model.model.{layer}.lora_{half}.weight": array for half, array in halves.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 16}')
    code, out, _ = run("info", folder, "--json")
    assert (code, round(json.loads(out)["norm"], 4)) == (0, 10.24)
    assert run("verify", folder)[0] == 0
    assert run("merge", "--models", folder, "--save_to", files["out"])[0] == 0
    assert np.linalg.norm(next(iter(read_lora(files["out"]).layers.values())).delta()) == pytest.approx(
        10.24, 1e-3
    )
