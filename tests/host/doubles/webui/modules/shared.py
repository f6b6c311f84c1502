"""Options, flags and the one global state of the double."""

from types import SimpleNamespace

from PIL import Image

from modules import paths_internal

calls = []
demo = object()


class Options:
    def __init__(self):
        self.data = {
            "sd_model_checkpoint": "first.safetensors [aaaaaaaaaa]",
            "CLIP_stop_at_last_layers": 1,
            "sd_lora": "always-on",
            "sd_vae": "Automatic",
            "localization": "None",
        }

    def __getattr__(self, name):
        if name in self.__dict__.get("data", {}):
            return self.data[name]
        raise AttributeError(name)


class State:
    interrupted = False
    sampling_step = sampling_steps = 0
    current_image = None

    def set_current_image(self):
        if self.sampling_step < 2:
            raise RuntimeError("there is no latent to be shown yet")
        self.current_image = Image.new("RGB", (8, 8), "orange")

    def begin(self, job):
        calls.append(("begin", job))
        self.interrupted = False

    def end(self):
        calls.append(("end",))

    def interrupt(self):
        self.interrupted = True


class Interrogator:
    def interrogate(self, image):
        return "a picture<error>" if image.width < 8 else "a picture of lines"


opts = Options()
state = State()
interrogator = Interrogator()
cmd_opts = SimpleNamespace(lora_dir=paths_internal.models_path + "/Lora")
