"""The WebUI's LoRAs: its folders, its list, and what it remembers of files that were replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def lora_dirs() -> Sequence[Path]:
    """See `Host.lora_dirs`."""
    from modules import paths_internal, shared

    options = shared.cmd_opts
    first = getattr(options, "lora_dir", None) or Path(paths_internal.models_path) / "Lora"
    more = [getattr(options, "lyco_dir_backcompat", None), *(getattr(options, "lora_dirs", None) or [])]
    return [Path(first), *(Path(folder) for folder in more if folder and Path(folder) != Path(first))]


def refresh_loras() -> bool:
    """See `Host.refresh_loras`."""
    networks = _networks()
    if networks is None:
        return False
    networks.list_available_networks()
    return True


def is_lora_known(stem: str) -> bool:
    """See `Host.is_lora_known`."""
    networks = _networks()
    return networks is not None and stem in getattr(networks, "available_network_aliases", {})


def list_lora(stem: str) -> None:
    """See `Host.list_lora`.

    A whole listing empties the list for a moment, in which the host may be asked for another LoRA: where it
    can, it looks for this one alone.
    """
    networks = _networks()
    if networks is None:
        return
    if hasattr(networks, "update_available_networks_by_names"):
        networks.update_available_networks_by_names([stem])
    else:
        networks.list_available_networks()
    getattr(networks, "networks_in_memory", {}).pop(stem, None)
    cached: Any = getattr(networks, "load_lora_state_dict", None)
    if hasattr(cached, "cache_clear"):
        cached.cache_clear()
    from modules import sd_models

    model: Any = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
    if hasattr(model, "current_lora_hash"):
        model.current_lora_hash = "replaced"


def _networks() -> Any | None:
    """The built-in Lora extension's module; None where it is disabled or is somebody else's."""
    try:
        import networks
    except ImportError:
        return None
    return networks if hasattr(networks, "list_available_networks") else None
