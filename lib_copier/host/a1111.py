"""The host adapter for AUTOMATIC1111's WebUI and reForge; the host's modules are imported inside methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from lib_copier.errors import CopierError, InputError
from lib_copier.host.a1111_generate import (
    generate_one,
    last_prompt_kept,
    option,
    sampling_progress,
    translated,
)
from lib_copier.host.a1111_loras import is_lora_known, list_lora, lora_dirs, refresh_loras
from lib_copier.host.base import (
    OPENING_FLAGS,
    Checkpoint,
    Generated,
    HostInfo,
    ReceivedPicture,
    has_module,
    is_hidden_path,
)
from lib_copier.txt2img.infotext import PNG_KEY
from lib_copier.txt2img.pictures import PictureRequest

Result = TypeVar("Result")

FOLDER_NAME = "copier-lora"
MANAGER = "ldm_patched.modules.model_management"
MAIN_THREAD = "modules_forge.main_thread"
"""Where a host has it, its page is built in another thread."""


class A1111Host:
    """Speaks to the WebUI's own modules. Nothing of the host is kept between calls but names and paths."""

    name = "AUTOMATIC1111"

    def __init__(self) -> None:
        self.info = self._read_info()

    def _read_info(self) -> HostInfo:
        from modules import shared

        def flag(name: str) -> bool:
            return bool(getattr(shared.cmd_opts, name, False))

        reachable = any(map(flag, OPENING_FLAGS))
        return HostInfo(
            name="reForge" if has_module("modules_forge") and self.name == "AUTOMATIC1111" else self.name,
            is_webui=True,
            language="ja" if str(option("localization", "")).lower().startswith("ja") else "en",
            may_install=not flag("disable_extension_access"),
            may_choose_paths=not reachable and not flag("hide_ui_dir_config"),
            serves_files=_gradio_major() > 3 or not is_hidden_path(self.data_dir()),
            can_generate=True,
        )

    # Folders and checkpoints

    def data_dir(self) -> Path:
        from modules import paths_internal

        return Path(paths_internal.data_path).resolve() / FOLDER_NAME

    def checkpoints(self) -> Sequence[Checkpoint]:
        from modules import sd_models

        return [_checkpoint(info) for info in list(sd_models.checkpoints_list.values())]

    def refresh_checkpoints(self) -> None:
        from modules import call_queue, shared_items

        with call_queue.queue_lock:
            shared_items.refresh_checkpoints()

    def current_checkpoint(self) -> Checkpoint | None:
        from modules import sd_models, shared

        # `shared.sd_model` would load a model; `model_data` only shows what is there.
        loaded = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
        info = getattr(loaded, "sd_checkpoint_info", None)
        if info is None:
            chosen = getattr(shared.opts, "sd_model_checkpoint", None)
            info = sd_models.get_closet_checkpoint_match(chosen) if chosen else None
        return None if info is None else _checkpoint(info)

    def current_vae(self) -> Path | None:
        chosen = option("sd_vae", "Automatic")
        if chosen in (None, "", "Automatic", "None"):
            return None
        from modules import sd_vae

        path = getattr(sd_vae, "vae_dict", {}).get(chosen)
        return Path(path) if path else None

    # LoRA files

    lora_dirs = staticmethod(lora_dirs)
    refresh_loras = staticmethod(refresh_loras)
    is_lora_known = staticmethod(is_lora_known)
    list_lora = staticmethod(list_lora)

    # Pictures

    def samplers(self) -> Sequence[str]:
        from modules import sd_samplers

        return [sampler.name for sampler in sd_samplers.visible_samplers()]

    def schedulers(self) -> Sequence[str]:
        if not has_module("modules.sd_schedulers"):
            return []
        from modules import sd_schedulers

        return [scheduler.label for scheduler in sd_schedulers.schedulers]

    def generate(self, requests: Sequence[PictureRequest]) -> list[Generated]:
        from modules import call_queue, shared

        if self.current_checkpoint() is None:
            raise InputError("The WebUI has no checkpoint yet.", "Choose one at the top of the WebUI.")
        self._require_loras(requests)
        with call_queue.queue_lock, last_prompt_kept():
            shared.state.begin("copier_lora")
            try:
                return self._run(lambda: [generate_one(request) for request in requests])
            finally:
                shared.state.end()

    def _require_loras(self, requests: Sequence[PictureRequest]) -> None:
        wanted = sorted({lora.path.stem for request in requests for lora in request.loras})
        if not all(map(self.is_lora_known, wanted)):
            self.refresh_loras()
        missing = [stem for stem in wanted if not self.is_lora_known(stem)]
        if missing:
            raise InputError(
                f"The WebUI does not list the LoRA {missing[0]}.",
                "Publish it first, and see that the built-in Lora extension is enabled.",
            )

    def _run(self, work: Callable[[], Result]) -> Result:
        """Do GPU work where the host wants it done, and translate what it throws."""
        try:
            return work()
        except CopierError:
            raise
        except Exception as error:  # whatever the host and its other extensions may throw
            raise translated(error) from error

    progress = staticmethod(sampling_progress)

    def interrupt(self) -> None:
        from modules import shared

        shared.state.interrupt()

    def in_main_thread(self, work: Callable[[], None]) -> None:
        if not has_module(MAIN_THREAD):
            work()
            return
        from modules_forge import main_thread

        main_thread.async_run(work)

    def is_busy(self) -> bool:
        from modules import call_queue

        if not call_queue.queue_lock.acquire(blocking=False):
            return True
        call_queue.queue_lock.release()
        return False

    # The GPU

    @contextmanager
    def gpu_exclusive(self) -> Iterator[None]:
        from modules import call_queue

        with call_queue.queue_lock:
            try:
                self._run(self._free_gpu)
                yield
            finally:
                self._run(self._restore_gpu)

    def _free_gpu(self) -> None:
        from modules import devices, sd_models

        if has_module(MANAGER):
            unload_by_manager(MANAGER)
            return
        if getattr(sd_models.model_data, "sd_model", None) is not None:
            sd_models.unload_model_weights()
        devices.torch_gc()

    def _restore_gpu(self) -> None:
        if has_module(MANAGER):
            return
        from modules import sd_models

        # Without this the next generation fails: a model that is current is not loaded again.
        model = getattr(sd_models.model_data, "sd_model", None)
        if model is not None:
            sd_models.send_model_to_device(model)

    def device_for_child(self) -> str:
        from modules import devices

        device = str(getattr(devices, "device", None) or devices.get_optimal_device_name())
        return device if device == "cpu" or device.startswith("cuda") else "auto"

    # Captions and galleries

    def captioners(self) -> Sequence[str]:
        from modules import shared

        found = ["deepbooru"] if has_module("modules.deepbooru") else []
        return [*found, "clip"] if hasattr(shared, "interrogator") else found

    def caption(self, image: Any, captioner: str) -> str:
        from modules import call_queue, shared

        if captioner not in self.captioners():
            raise InputError(f"This WebUI has no interrogator {captioner}.", "Type the caption instead.")
        with call_queue.queue_lock:
            if captioner == "deepbooru":
                from modules import deepbooru

                return str(self._run(lambda: deepbooru.model.tag(image)))
            text = str(self._run(lambda: shared.interrogator.interrogate(image)))
        if "<error>" in text:
            raise CopierError("The WebUI's interrogator failed.", "See the console, or type the caption.")
        return text

    def receive(self, gallery: Any, infotexts: Any, index: int = 0) -> ReceivedPicture:
        from modules import shared, ui_tempdir

        from lib_copier.host.gallery import open_picture, picture_number, read_infotexts

        def was_shown(name: str) -> bool:
            # The host's own check, on the name as the browser sent it: a client can post any path.
            return bool(ui_tempdir.check_tmp_file(shared.demo, name))

        texts = read_infotexts(infotexts)
        number = picture_number(gallery, texts, index)
        image = open_picture(gallery[number], was_shown)
        return ReceivedPicture(image, texts.of(number) or str(image.info.get(PNG_KEY, "")))


def _gradio_major() -> int:
    return int(version("gradio").partition(".")[0])


def _checkpoint(info: Any) -> Checkpoint:
    path = Path(info.filename)
    title = getattr(info, "title", None) or getattr(info, "name", path.name)
    return Checkpoint(path, str(title))


def unload_by_manager(name: str) -> None:
    """Free the GPU through a host's memory manager, which keeps its own books."""
    from importlib import import_module

    manager = import_module(name)
    manager.unload_all_models()
    manager.soft_empty_cache()
