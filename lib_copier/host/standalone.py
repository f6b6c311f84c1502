"""The host adapter for no WebUI at all: folders come from the command line, work from our own engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib_copier.errors import InputError
from lib_copier.host.base import Checkpoint, Generated, HostInfo, HostProgress, ReceivedPicture
from lib_copier.txt2img.pictures import PictureRequest

CHECKPOINT_SUFFIXES = frozenset({".safetensors", ".ckpt"})


class StandaloneHost:
    """Runs the page on its own. The GPU is ours alone, and pictures are made by the method's steps.

    Parameters
    ----------
    projects:
        Folder of the projects.
    checkpoints:
        Files, and folders that are searched for files; the first file found is the chosen one.
    loras:
        Where finished LoRAs go.
    is_exposed:
        Whether others than this machine's user can reach the page: nothing is installed then, and no
        free path is taken.
    """

    def __init__(
        self,
        projects: Path,
        checkpoints: Sequence[Path],
        loras: Path,
        *,
        language: str = "en",
        is_exposed: bool = False,
    ) -> None:
        self.info = HostInfo(
            name="standalone",
            is_webui=False,
            language=language,
            may_install=not is_exposed,
            may_choose_paths=not is_exposed,
        )
        self._projects = projects.resolve()
        self._sources = tuple(path.resolve() for path in checkpoints)
        self._loras = loras.resolve()
        self._found: list[Checkpoint] = []
        self.refresh_checkpoints()

    def data_dir(self) -> Path:
        return self._projects

    def checkpoints(self) -> Sequence[Checkpoint]:
        return list(self._found)

    def refresh_checkpoints(self) -> None:
        found: dict[Path, Checkpoint] = {}
        for source in self._sources:
            files = sorted(source.rglob("*")) if source.is_dir() else [source]
            for path in files:
                if path.is_file() and path.suffix.lower() in CHECKPOINT_SUFFIXES:
                    name = path.relative_to(source) if source.is_dir() else Path(path.name)
                    found.setdefault(path, Checkpoint(path, name.as_posix()))
        self._found = list(found.values())

    def current_checkpoint(self) -> Checkpoint | None:
        return self._found[0] if self._found else None

    def current_vae(self) -> Path | None:
        return None

    def lora_dirs(self) -> Sequence[Path]:
        return [self._loras]

    def refresh_loras(self) -> bool:
        return False

    def is_lora_known(self, stem: str) -> bool:
        return (self._loras / f"{stem}.safetensors").is_file()

    def list_lora(self, stem: str) -> None:
        """Nothing is listed here: files are named as they lie."""

    def samplers(self) -> Sequence[str]:
        return []

    def schedulers(self) -> Sequence[str]:
        return []

    def generate(self, requests: Sequence[PictureRequest]) -> list[Generated]:
        raise InputError("There is no WebUI here to generate with.", "Run the origin step instead.")

    def progress(self) -> HostProgress | None:
        return None

    def interrupt(self) -> None:
        """Nothing of the host's own runs here."""

    def in_main_thread(self, work: Callable[[], None]) -> None:
        work()

    def is_busy(self) -> bool:
        return False

    @contextmanager
    def gpu_exclusive(self) -> Iterator[None]:
        yield

    def device_for_child(self) -> str:
        return "auto"

    def captioners(self) -> Sequence[str]:
        return []

    def caption(self, image: Any, captioner: str) -> str:
        raise InputError("There is no interrogator here.", "Type the caption instead.")

    def receive(self, gallery: Any, infotexts: Any, index: int = 0) -> ReceivedPicture:
        raise InputError("There is no gallery here to take a picture from.", "Upload a file instead.")
