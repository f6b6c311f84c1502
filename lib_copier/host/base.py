"""What the page asks of the program it runs in: checkpoints, LoRA folders, pictures, and the GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_copier.txt2img.pictures import PictureRequest

if TYPE_CHECKING:
    from PIL import Image

OPENING_FLAGS = (
    *("disable_extension_access", "listen", "server_name", "share", "ngrok"),
    *("cloudflared", "localhostrun", "remotemoe", "jprq", "bore", "googleusercontent", "tunnel"),
)
"""Flags of the host and of tunnel extensions by which others reach the page. The host's flag for insecure
extension access lets them install, but opens none of this machine's files."""


@dataclass(frozen=True)
class HostInfo:
    """What this host is and what it allows; read once, before the page is built."""

    name: str
    """For people: ``AUTOMATIC1111``, ``Forge``, ``standalone`` …"""
    is_webui: bool
    language: str = "en"
    """``en`` or ``ja``, after the host's own setting."""
    may_install: bool = True
    """False where strangers can reach the page: nothing is installed then and no free path is taken."""
    may_choose_paths: bool = True
    """False where the operator wants no folder choices in the page."""
    serves_files: bool = True
    """False where gradio refuses our pictures because a folder on the way begins with a dot."""
    can_generate: bool = False
    """Whether `Host.generate` works: the WebUI's own samplers and its loaded checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as the host lists it; never the host's own object, which a refresh replaces."""

    path: Path
    title: str
    """The host's name for it; may change once it is hashed."""


@dataclass(frozen=True)
class Generated:
    """A picture made by the host, with the text that tells how."""

    image: Image.Image
    infotext: str
    seed: int


@dataclass(frozen=True)
class HostProgress:
    """How far the host has come with the picture that it makes."""

    share: float
    """0 … 1."""
    picture: Image.Image | None = None
    """The picture so far, where the host shows previews."""


@dataclass(frozen=True)
class ReceivedPicture:
    """A picture out of one of the host's galleries, with the text that tells how it was made."""

    image: Image.Image
    infotext: str = ""


class Host(Protocol):
    """The program that the page runs in. Every method may be called from any thread.

    Methods raise the errors of `lib_copier.errors` only: what the host itself throws is translated.
    """

    info: HostInfo

    def data_dir(self) -> Path:
        """The folder that holds the projects; created by whoever writes first."""
        ...

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The checkpoints the host lists, in its order."""
        ...

    def refresh_checkpoints(self) -> None:
        """Scan the checkpoint folders anew."""
        ...

    def current_checkpoint(self) -> Checkpoint | None:
        """The loaded or chosen checkpoint; None where there is none yet."""
        ...

    def current_vae(self) -> Path | None:
        """The VAE file that replaces the checkpoint's own, where the user chose one."""
        ...

    def lora_dirs(self) -> Sequence[Path]:
        """The folders whose LoRAs the host lists; the first is where new ones go."""
        ...

    def refresh_loras(self) -> bool:
        """Scan the LoRA folders anew; False where the host cannot."""
        ...

    def is_lora_known(self, stem: str) -> bool:
        """Whether a prompt may name this LoRA."""
        ...

    def list_lora(self, stem: str) -> None:
        """Let prompts name a LoRA whose file is new, and drop what is remembered of an older one."""
        ...

    def samplers(self) -> Sequence[str]:
        """Names of samplers, the host's order."""
        ...

    def schedulers(self) -> Sequence[str]:
        """Labels of schedulers; empty where samplers carry them in their names."""
        ...

    def generate(self, requests: Sequence[PictureRequest]) -> list[Generated]:
        """Make pictures one by one.

        Raises
        ------
        InputError
            No checkpoint, or a LoRA the host does not know.
        CancelledError
            Somebody pressed Interrupt.
        CopierError
            The host failed, out of memory among other reasons.
        """
        ...

    def progress(self) -> HostProgress | None:
        """How far `generate` has come; None where that is not known."""
        ...

    def interrupt(self) -> None:
        """Stop what `generate` is doing, as the host's own button does."""
        ...

    def in_main_thread(self, work: Callable[[], None]) -> None:
        """Have the program's main thread do something short: now, or once it comes to it."""
        ...

    def is_busy(self) -> bool:
        """Whether the host's GPU is in use this moment."""
        ...

    def gpu_exclusive(self) -> AbstractContextManager[None]:
        """Free the GPU for a child process on entry, and make the host fit to generate again on exit."""
        ...

    def device_for_child(self) -> str:
        """``auto``, ``cpu``, ``cuda`` or ``cuda:N``: the device that training should use."""
        ...

    def captioners(self) -> Sequence[str]:
        """Names of the interrogators that `caption` takes; empty where the host has none."""
        ...

    def caption(self, image: Image.Image, captioner: str) -> str:
        """A caption for a picture by one of the host's interrogators."""
        ...

    def receive(self, gallery: Any, infotexts: Any, index: int = 0) -> ReceivedPicture:
        """A picture out of a gallery of the host, in whatever shape its gradio hands it over.

        Raises
        ------
        InputError
            Where there is no picture, or the browser named a file that the host never showed.
        """
        ...


# What adapters ask of the program around them


def has_module(name: str) -> bool:
    """Whether a module could be imported; its parents are, the module itself is not."""
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def is_hidden_path(path: Path) -> bool:
    """Whether a folder on the way begins with a dot: gradio 3 then refuses to serve what is inside."""
    return any(part.startswith(".") and part not in {".", ".."} for part in path.parts)
