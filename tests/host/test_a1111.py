"""The adapters for A1111, reForge and Forge against doubles of their modules."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from PIL import Image

from lib_copier.errors import CancelledError, CopierError, InputError
from lib_copier.host.detect import webui_host
from lib_copier.txt2img.pictures import LoraUse, PictureRequest
from lib_copier.ui.texts import Texts

KINDS = ("a1111", "reforge", "forge")


@pytest.fixture(params=KINDS)
def started(request, webui):
    shared = webui(request.param)
    return request.param, webui_host(), shared


def test_the_adapter_is_chosen_by_features(started):
    kind, host, _ = started
    assert host.info.name == {"a1111": "AUTOMATIC1111", "reforge": "reForge", "forge": "Forge"}[kind]
    assert host.info.is_webui
    assert host.info.can_generate


def test_language_and_exposure_follow_the_host(webui):
    shared = webui("a1111")
    shared.opts.data["localization"] = "ja_JP"
    shared.cmd_opts.disable_extension_access = True
    info = webui_host().info
    assert info.language == "ja"
    assert not info.may_install
    assert not info.may_choose_paths


@pytest.mark.parametrize("opened", ["share", "listen", "ngrok", "server_name", "cloudflared"])
def test_no_free_path_is_taken_behind_a_tunnel_even_with_insecure_extension_access(webui, opened):
    options = webui("a1111").cmd_opts
    options.enable_insecure_extension_access, options.disable_extension_access = True, False
    setattr(options, opened, "token")
    assert not webui_host().info.may_choose_paths


def test_hidden_folder_choices_keep_installing_allowed(webui):
    webui("a1111").cmd_opts.hide_ui_dir_config = True
    info = webui_host().info
    assert info.may_install
    assert not info.may_choose_paths


def test_checkpoints_carry_path_and_title(started):
    _, host, _ = started
    first, second = host.checkpoints()
    assert (first.path.name, first.title) == ("first.safetensors", f"first.safetensors [{'a' * 10}]")
    assert second.title == "second.safetensors"


def test_current_checkpoint_never_loads_a_model(started):
    _, host, shared = started
    from modules import sd_models

    assert host.current_checkpoint().path.name == "first.safetensors"
    shared.opts.data["sd_model_checkpoint"] = ""
    assert host.current_checkpoint() is None
    sd_models.load_first()
    assert host.current_checkpoint().path.name == "first.safetensors"


def test_generate_is_undisturbed_and_leaves_the_last_prompt(started):
    kind, host, shared = started
    from modules import paths_internal

    params = Path(paths_internal.data_path, "params.txt")
    params.write_text("what the user typed")
    [made] = host.generate(
        [PictureRequest("a cat", seed=7, width=64, height=32, clip_skip=2, scheduler="Karras")]
    )
    assert made.image.size == (64, 32)
    assert made.image.getpixel((0, 0)) == (7, 0, 0)
    assert "Seed: 7" in made.infotext
    assert params.read_text() == "what the user typed"
    process = next(call for call in shared.calls if call[0] == "process")
    assert process[2] == {"CLIP_stop_at_last_layers": 2, "sd_lora": "None"}
    assert process[3] == "Karras"
    assert shared.calls[-1] == ("end",)
    assert (("main_thread",) in shared.calls) == (kind == "forge")
    assert not host.is_busy()


def test_generate_applies_loras_and_refuses_unknown_ones(started):
    _, host, shared = started
    request = PictureRequest(
        "a cat", seed=0, width=8, height=8, loras=(LoraUse(Path("line.safetensors"), 2.0),)
    )
    with pytest.raises(InputError, match="line"):
        host.generate([request])
    (Path(shared.cmd_opts.lora_dir) / "line.safetensors").write_bytes(b"x")
    [made] = host.generate([request])
    assert made.image.getpixel((0, 0)) == (100, 0, 0)


@pytest.mark.parametrize(
    ("thrown", "kind", "words"),
    [
        (RuntimeError("CUDA out of memory. Tried"), CopierError, "out of memory"),
        (FileNotFoundError("No checkpoints found"), InputError, "no checkpoint"),
        (ValueError("shapes differ\nat"), CopierError, "shapes differ"),
    ],
)
def test_what_the_host_throws_is_translated(started, thrown, kind, words):
    _, host, shared = started
    from modules import processing

    processing.fail_with.append(thrown)
    with pytest.raises(kind, match=words):
        host.generate([PictureRequest("a cat")])
    assert shared.calls[-1] == ("end",), "state.end is called whatever happens"
    assert not host.is_busy()


def test_interrupt_stops_a_generation(started):
    _, host, shared = started
    begin = shared.state.begin
    shared.state.begin = lambda job: (begin(job), host.interrupt())
    with pytest.raises(CancelledError):
        host.generate([PictureRequest("a cat")])


def test_how_far_a_generation_has_come(started):
    _, host, shared = started
    assert (host.progress().share, host.progress().picture) == (0.0, None)
    shared.state.sampling_step, shared.state.sampling_steps = 1, 4
    assert (host.progress().share, host.progress().picture) == (0.25, None), (
        "a preview that fails stops nothing"
    )
    shared.state.sampling_step = 2
    assert (host.progress().share, host.progress().picture.size) == (0.5, (8, 8))


def test_no_checkpoint_is_said_before_anything_starts(started):
    _, host, shared = started
    shared.opts.data["sd_model_checkpoint"] = ""
    with pytest.raises(InputError, match="no checkpoint"):
        host.generate([PictureRequest("a cat")])
    assert ("begin", "copier_lora") not in shared.calls


def test_the_gpu_is_freed_and_restored_whatever_happens(started):
    kind, host, shared = started
    from modules import sd_models

    sd_models.load_first()
    with pytest.raises(ZeroDivisionError), host.gpu_exclusive():
        assert host.is_busy()
        if kind == "a1111":
            assert sd_models.model_data.sd_model.place == "cpu"
        else:
            assert ("unload_all",) in shared.calls
        raise ZeroDivisionError
    assert sd_models.model_data.sd_model.place == "gpu"
    assert not host.is_busy()
    host.generate([PictureRequest("a cat")])


def test_the_gpu_can_be_held_before_a_model_was_loaded(started):
    _, host, _ = started
    with host.gpu_exclusive():
        pass
    assert not host.is_busy()


def test_another_thread_waits_for_the_gpu(started):
    _, host, _ = started
    order = []
    with host.gpu_exclusive():
        thread = threading.Thread(target=lambda: (host.generate([PictureRequest("a")]), order.append("made")))
        thread.start()
        thread.join(0.1)
        order.append("trained")
    thread.join(5)
    assert order == ["trained", "made"]


def test_whatever_the_host_throws_is_told_in_japanese_but_for_its_own_words(started):
    _, host, _ = started
    for thrown in ("list index out of range", "It was refused."):
        with pytest.raises(CopierError) as caught:
            host._run(lambda text=thrown: (_ for _ in ()).throw(RuntimeError(text)))
        # As the page gets it from work that ended behind its back.
        told = Texts("ja").said(str(caught.value))
        assert thrown.rstrip(".") in told
        assert "console" not in told and "failed" not in told, "what stands around it is ours"


def test_work_for_the_main_thread_gets_there(started):
    """Signals are handled by that thread alone, and Forge and its heirs build their pages in another one."""
    kind, host, _ = started
    done: list[str] = []
    host.in_main_thread(lambda: done.append("done"))
    if kind != "a1111":
        from modules_forge import main_thread

        assert done == []
        for work in main_thread.waiting:
            work()
    assert done == ["done"]


def test_lora_folders_and_refresh(started):
    _, host, shared = started
    shared.cmd_opts.lora_dirs = [str(Path(shared.cmd_opts.lora_dir)), "/more"]
    assert list(host.lora_dirs()) == [Path(shared.cmd_opts.lora_dir), Path("/more")]
    (host.lora_dirs()[0] / "fresh.safetensors").write_bytes(b"x")
    assert host.refresh_loras()
    assert host.is_lora_known("fresh")


def test_one_lora_is_listed_beside_all_others(started):
    """While the host is asked for another one, that stays listed; an older host lists all anew."""
    _, host, _ = started
    import networks

    networks.available_network_aliases["other"] = "elsewhere"
    (host.lora_dirs()[0] / "fresh.safetensors").write_bytes(b"x")
    assert not host.is_lora_known("fresh")
    host.list_lora("fresh")
    assert host.is_lora_known("fresh")
    assert host.is_lora_known("other")
    del networks.update_available_networks_by_names
    (host.lora_dirs()[0] / "newer.safetensors").write_bytes(b"x")
    host.list_lora("newer")
    assert host.is_lora_known("newer")


def test_a_replaced_lora_is_forgotten(started):
    _, host, _ = started
    import networks
    from modules import sd_models

    sd_models.load_first()
    path = host.lora_dirs()[0] / "line.safetensors"
    path.write_bytes(b"old")
    networks.load_lora_state_dict(str(path))
    path.write_bytes(b"new")
    host.list_lora("line")
    assert networks.load_lora_state_dict(str(path)) == b"new"
    assert sd_models.model_data.sd_model.current_lora_hash == "replaced"


def test_without_the_lora_extension_only_the_list_is_missing(webui):
    webui("without_lora")
    host = webui_host()
    assert not host.refresh_loras()
    assert not host.is_lora_known("x")
    host.list_lora("x")


def test_names_for_forms(started):
    kind, host, _ = started
    assert list(host.samplers()) == ["Euler a", "DPM++ 2M"]
    assert list(host.schedulers()) == ["Automatic", "Karras"]
    assert host.device_for_child() == ("cuda:0" if kind == "forge" else "cuda:1")


def test_captions_come_from_the_hosts_interrogators(started):
    _, host, _ = started
    picture = Image.new("RGB", (16, 16))
    assert list(host.captioners()) == ["deepbooru", "clip"]
    assert host.caption(picture, "deepbooru") == "lines, flat color"
    assert host.caption(picture, "clip") == "a picture of lines"
    with pytest.raises(CopierError, match="interrogator failed"):
        host.caption(Image.new("RGB", (4, 4)), "clip")
    with pytest.raises(InputError):
        host.caption(picture, "__import__")


def test_a_gallery_picture_arrives_with_its_prompt(started, tmp_path):
    _, host, _ = started
    from modules import ui_tempdir

    path = tmp_path / "shown.png"
    Image.new("RGB", (8, 8), "blue").save(path)
    sent = f"{path}?123.4"
    ui_tempdir.shown.add(sent)
    record = json.dumps(
        {"index_of_first_image": 1, "infotexts": ["grid", "a cat\nSteps: 4, Sampler: Euler, Seed: 9"]}
    )
    gallery = [{"name": "/grid.png", "is_file": True}, {"name": sent, "is_file": True}]
    got = host.receive(gallery, record)
    assert got.image.getpixel((0, 0)) == (0, 0, 255)
    assert got.infotext == "a cat\nSteps: 4, Sampler: Euler, Seed: 9"
    assert host.receive([(Image.new("RGB", (4, 4)), "caption")], None).image.size == (4, 4)


@pytest.mark.parametrize(
    "gallery", [None, [], "x", [{"name": "/etc/passwd"}], [None], [("/etc/passwd", None)], [{"data": "x"}], 7]
)
def test_a_file_the_host_never_showed_is_refused(started, gallery):
    _, host, _ = started
    with pytest.raises(InputError):
        host.receive(gallery, "{]")


def test_the_chosen_vae(webui):
    shared = webui("a1111")
    host = webui_host()
    assert host.current_vae() is None
    shared.opts.data["sd_vae"] = "mine.vae.safetensors"
    assert host.current_vae() == Path("/models/VAE/mine.vae.safetensors")


def test_forge_takes_the_vae_among_its_modules(webui):
    shared = webui("forge")
    shared.opts.data["forge_additional_modules"] = [
        "/models/text_encoder/t.safetensors",
        "/models/VAE/v.safetensors",
    ]
    assert webui_host().current_vae() == Path("/models/VAE/v.safetensors")


def test_refresh_takes_the_lock_once(started):
    _, host, shared = started
    host.refresh_checkpoints()
    assert ("refresh_checkpoints",) in shared.calls
