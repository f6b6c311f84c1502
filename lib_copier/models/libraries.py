"""Has diffusers and transformers imported without the packages that they take along where they find them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_UNUSED = ("accelerate", "bitsandbytes", "jinja2", "peft", "scipy", "sklearn", "torchvision")
"""For pipelines, quantised weights, chats and other models than ours: both do without each of them."""
_DIFFUSERS = (
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.models.autoencoders.autoencoder_kl",
    "diffusers.loaders.single_file_utils",
    "diffusers.schedulers.scheduling_ddim",
)


def prepare_diffusers() -> None:
    """Import what is used of diffusers, once a process; whoever imports it later finds it as it is then.

    It does without torch's compiler and without transformers, which only prompts need.
    """
    if "diffusers" not in sys.modules:
        import_without((*_UNUSED, "torch._dynamo", "transformers"), _DIFFUSERS)


def prepare_transformers() -> None:
    """The same for the text encoders; torch's compiler comes with them, its part for many devices not."""
    if "transformers" not in sys.modules:
        import_without((*_UNUSED, "torch.distributed.fsdp"), ("transformers.models.clip.modeling_clip",))


def import_without(packages: Sequence[str], modules: Sequence[str]) -> None:
    """Import modules of one library that finds the packages missing; all over again where it needs one."""
    try:
        with _hidden(packages):
            for name in modules:
                importlib.import_module(name)
    except ImportError:
        # A version that cannot do without: it has noted what is missing, and must be asked anew.
        library = modules[0].partition(".")[0]
        for name in [name for name in sys.modules if name.partition(".")[0] == library]:
            del sys.modules[name]
        for name in modules:
            importlib.import_module(name)


@contextmanager
def _hidden(packages: Sequence[str]) -> Iterator[None]:
    """A block that finds packages not installed; those that are loaded stay so."""
    # Python's own sign for a module that is not to be found.
    loaded = {name: sys.modules.get(name) for name in packages}
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, module in loaded.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
