"""Builds a page as a WebUI does: the script executed outside sys.modules, our tab rendered into the host's.

Run as a program, `python tests/ui/webui_double.py DATA_FOLDER PORT`, it serves that page; with PORT 0 it
only builds it and prints what that cost. Works with any gradio from 3.41 on.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOUBLES = ROOT / "tests" / "host" / "doubles"


def start_host(data: Path, kind: tuple[str, ...] = ("webui", "webui_lora")) -> None:
    """Put the doubles of a host's modules on the path, with its folders."""
    os.environ["COPIER_TEST_WEBUI"] = str(data)
    for folder in ("models/Lora", "models/Stable-diffusion"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    sys.path[:0] = [str(DOUBLES / folder) for folder in kind]


def execute_script() -> ModuleType:
    """Execute scripts/copier_lora.py as A1111 does: our root is on the path only meanwhile."""
    path = ROOT / "scripts" / "copier_lora.py"
    spec = importlib.util.spec_from_file_location(path.name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.path.insert(0, str(ROOT))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def generated_picture(data: Path) -> Path:
    """A picture as the host leaves it after a generation."""
    from PIL import Image

    path = data / "outputs" / "made.png"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (64, 64), "orange").save(path)
    return path


def build_page(data: Path) -> tuple[Any, list[Any]]:
    """The host's page with a picture in its gallery and our tab; also what our callback returned."""
    import gradio as gr
    from modules import script_callbacks, ui_tempdir

    # Gradio serves a copy of the picture under a name that only it knows; the host keeps book of those.
    ui_tempdir.check_tmp_file = lambda demo, name: Path(name.partition("?")[0]).is_file()
    record = json.dumps(
        {"index_of_first_image": 0, "infotexts": ["a cat\nSteps: 4, Sampler: Euler, Seed: 7"]}
    )

    made = script_callbacks.registered

    def created(component: Any, **kwargs: Any) -> Any:
        for callback in made.get("after_component", []):
            callback(component, **kwargs)
        return component

    with gr.Blocks(analytics_enabled=False) as txt2img:
        pictures = gr.Gallery([str(generated_picture(data))], elem_id="txt2img_gallery")
        created(pictures, elem_id="txt2img_gallery")
        with gr.Row():
            created(gr.Button("extras", elem_id="txt2img_send_to_extras"), elem_id="txt2img_send_to_extras")
        info = gr.Textbox(record, visible=False, elem_id="generation_info_txt2img")
        created(info, elem_id="generation_info_txt2img")
        created(gr.Button("no id"), elem_id=None)
    tabs = [tab for callback in made["ui_tabs"] for tab in callback()]
    with gr.Blocks(analytics_enabled=False) as page, gr.Tabs(elem_id="tabs"):
        for blocks, title, element in [(txt2img, "txt2img", "txt2img"), *tabs]:
            with gr.TabItem(title, id=element, elem_id=f"tab_{element}"):
                blocks.render()
    return page, tabs


def main() -> None:
    """Build the page; serve it where a port is named."""
    import gradio as gr

    data, port = Path(sys.argv[1]), int(sys.argv[2])
    start_host(data)
    # A WebUI has built pages of its own before ours: what gradio loads for any is not ours.
    with gr.Blocks(analytics_enabled=False):
        gr.Button("x").click(None, [gr.Textbox()], [gr.HTML()])
    known = set(sys.modules)
    execute_script()
    from modules import script_callbacks

    script_callbacks.registered["ui_tabs"][0]()
    new = sorted({name.partition(".")[0] for name in set(sys.modules) - known})
    page, tabs = build_page(data)
    saved = [
        block for block in tabs[0][0].blocks.values() if not getattr(block, "do_not_save_to_config", False)
    ]
    told = {
        "imported": new,
        "gradio": gr.__version__,
        "saved": len(saved),
        "title": tabs[0][1],
    }
    print(json.dumps(told), flush=True)
    if port:
        major = int(gr.__version__.partition(".")[0])
        page.queue(64)
        options: dict[str, Any] = {"allowed_paths": [str(data)], "server_port": port, "quiet": True}
        if major >= 6:
            options["head"] = _head()
        else:
            _put_into_every_page(_head())
        page.launch(prevent_thread_lock=True, **options)
        print("serving", flush=True)
        sys.stdin.read()


def _put_into_every_page(head: str) -> None:
    """As the hosts do: what gradio's template gave is changed before it is sent."""
    import gradio.routes

    answer = gradio.routes.templates.TemplateResponse

    def changed(*arguments: Any, **keywords: Any) -> Any:
        response = answer(*arguments, **keywords)
        response.body = response.body.replace(b"</head>", f"{head}</head>".encode())
        response.init_headers()
        return response

    gradio.routes.templates.TemplateResponse = changed


def _head() -> str:
    """What a WebUI puts into its page for an extension: its script and its style sheet."""
    script = (ROOT / "javascript" / "copier_lora.js").read_text(encoding="utf-8")
    style = (ROOT / "style.css").read_text(encoding="utf-8")
    return f"<style>{style}</style><script>{script}</script>"


if __name__ == "__main__":
    main()
