"""The wizard's own server: the page, its script and style, the one door, pictures and LoRAs of projects."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lib_copier.app.guard import whole_page
from lib_copier.errors import InputError
from lib_copier.files.disk import parse_json
from lib_copier.markup.html import tag
from lib_copier.ui.door import ROUTE, Door, skeleton
from lib_copier.ui.request import LONGEST_REQUEST

_BODY = "body { margin: 0; padding: 16px; background: #fff } body.dark { background: #14161c }\n"
_FOLDERS = re.compile(r"projects/[^/]+/(artifacts|work)/.+|previews/[^/]+")
"""What lies elsewhere in the data folder (recipes, locks, the queue) is nobody's picture."""
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
"""Content type by the first bytes; a file's name decides nothing."""
LORA_TYPE = "application/octet-stream"


def site(door: Door, root: Path) -> Starlette:
    """All that is served; whatever else is asked for is not found.

    Parameters
    ----------
    root:
        The folder that ``style.css`` and ``javascript`` lie in.
    """

    def first(request: Request) -> Response:
        told = door.texts
        shown = skeleton(told, f"./{ROUTE}")
        head = (tag("link", rel="stylesheet", href="style.css"), tag("script", src="copier_lora.js"))
        return Response(whole_page(told.language, shown, head), media_type="text/html")

    async def ask(request: Request) -> Response:
        content = await _body(request)
        try:
            given = parse_json(content, "The request", limit=LONGEST_REQUEST)
            (text,) = given["data"]
        except (InputError, TypeError, KeyError, ValueError):
            return PlainTextResponse("This is no request of the page.", 400)
        return JSONResponse({"data": [await run_in_threadpool(door.answer, text)]})

    def file(request: Request) -> Response:
        found = served_file(door.host.data_dir(), request.path_params["path"])
        if found is None:
            return PlainTextResponse("Not found", 404)
        path, kind = found
        name = path.name if kind == LORA_TYPE else None
        return FileResponse(path, media_type=kind, filename=name, headers={"cache-control": "private"})

    def style(request: Request) -> Response:
        return Response(_BODY + _text(root / "style.css"), media_type="text/css")

    def script(request: Request) -> Response:
        return Response(_text(root / "javascript" / "copier_lora.js"), media_type="text/javascript")

    return Starlette(
        routes=[
            Route("/", first),
            Route("/favicon.ico", lambda _: Response(status_code=204)),
            Route("/style.css", style),
            Route("/copier_lora.js", script),
            Route(f"/{ROUTE}", ask, methods=["POST"]),
            # As newer versions of gradio spell it: what drives the wizard inside a WebUI drives it here.
            Route(f"/gradio_api/{ROUTE}", ask, methods=["POST"]),
            Route("/file/{path:path}", file),
        ]
    )


def served_file(folder: Path, asked: str) -> tuple[Path, str] | None:
    """The picture or LoRA of a project that an address names, with its content type; None for all else.

    Links are not followed out of where they lie, and a picture is what its first bytes say.
    """
    if not _FOLDERS.fullmatch(asked) or "\0" in asked:
        return None
    home = folder.resolve()
    path = home / asked
    try:
        if path.resolve() != path or not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(12)
    except (OSError, ValueError):
        return None
    if path.suffix == ".safetensors":
        return path, LORA_TYPE
    kind = next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)
    return (path, kind) if kind else None


async def _body(request: Request) -> bytes:
    """The request's body; empty where it is larger than any of ours, of which no more is read then."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > LONGEST_REQUEST:
            return b""
    return bytes(found)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
