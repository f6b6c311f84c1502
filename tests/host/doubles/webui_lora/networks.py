"""The built-in Lora extension's module, which every host puts at the top level."""

from functools import lru_cache
from pathlib import Path

from modules import shared

available_network_aliases = {}
networks_in_memory = {}


def list_available_networks():
    available_network_aliases.clear()
    for path in Path(shared.cmd_opts.lora_dir).rglob("*.safetensors"):
        available_network_aliases[path.stem] = path


def update_available_networks_by_names(names):
    for path in Path(shared.cmd_opts.lora_dir).rglob("*.safetensors"):
        if path.stem in names:
            available_network_aliases[path.stem] = path


@lru_cache(maxsize=5)
def load_lora_state_dict(filename):
    return Path(filename).read_bytes()
