"""Two checkpoints, one of them loaded; moving them is only written down."""

from types import SimpleNamespace

from modules import paths_internal, shared


class CheckpointInfo:
    def __init__(self, name, sha256=None):
        self.filename = f"{paths_internal.models_path}/Stable-diffusion/{name}"
        self.name = name
        self.sha256 = sha256
        self.title = f"{name} [{sha256[:10]}]" if sha256 else name


checkpoints_list = {}
for info in (CheckpointInfo("first.safetensors", "a" * 64), CheckpointInfo("second.safetensors")):
    checkpoints_list[info.title] = info

model_data = SimpleNamespace(sd_model=None)


def load_first():
    model_data.sd_model = SimpleNamespace(
        sd_checkpoint_info=next(iter(checkpoints_list.values())), place="gpu", current_lora_hash="x"
    )


def get_closet_checkpoint_match(text):
    return next((info for title, info in checkpoints_list.items() if text and text in title), None)


def unload_model_weights():
    shared.calls.append(("unload",))
    model_data.sd_model.place = "cpu"


def send_model_to_device(model):
    shared.calls.append(("send",))
    model.place = "gpu"
