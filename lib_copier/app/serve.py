"""`run.py ui`: the wizard on its own, served to this machine, or with a password to others."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_copier.app.guard import Guard, local_authorities
from lib_copier.edge import Parser
from lib_copier.engines.locate import demo_checkpoint, root
from lib_copier.errors import InputError
from lib_copier.host.standalone import StandaloneHost
from lib_copier.ui.door import Door
from lib_copier.ui.ending import left_running
from lib_copier.ui.picture import PictureRoutes

if TYPE_CHECKING:
    import uvicorn

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
PASSWORD_VARIABLE = "COPIER_LORA_PASSWORD"
_SHORTEST_PASSWORD = 8


def main(argv: Sequence[str]) -> int:
    """Serve until Ctrl+C; what runs then goes on, and is found again at the next start."""
    arguments = _parser().parse_args(list(argv))
    # `--help` has been answered by now, without the server's packages.
    import uvicorn

    from lib_copier.app.site import site

    host = standalone_host(arguments)
    word, is_token = _word(arguments)
    door = Door(host, PictureRoutes("./file/", host.data_dir()))
    with _listening(arguments.listen, arguments.port) as listener:
        port = listener.getsockname()[1]
        guard = Guard(
            site(door, root()),
            authorities=None if _is_exposed(arguments) else local_authorities(port),
            word=word,
            texts=door.texts,
            port=port,
        )
        address = _address(arguments.listen, port, word if is_token else "")
        print(f"Copier LoRA: {address}  (Ctrl+C ends it)", flush=True)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                uvicorn.Server(configured(guard)).run(sockets=[listener])
        finally:
            if told := left_running(host.data_dir()):
                print(told, flush=True)
    return 0


def configured(guard: Guard) -> uvicorn.Config:
    """How it is served: h11 refuses two Host headers or none, and no forwarded header is believed."""
    import uvicorn

    return uvicorn.Config(
        guard,
        http="h11",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


def standalone_host(arguments: argparse.Namespace) -> StandaloneHost:
    """The host that the command line describes.

    Raises
    ------
    InputError
        Where a named checkpoint is not there.
    """
    given = [Path(path) for path in arguments.checkpoint]
    for path in given:
        if not path.exists():
            raise InputError(f"There is no checkpoint {path}.", "Check the path.")
    demo = demo_checkpoint()
    sources = [*given, *([demo] if demo.is_file() else [])]
    return StandaloneHost(
        arguments.projects,
        sources,
        arguments.loras or arguments.projects / "loras",
        language=arguments.language,
        is_exposed=_is_exposed(arguments),
    )


def _is_exposed(arguments: argparse.Namespace) -> bool:
    """Whether others than this machine's users can reach the page."""
    return arguments.listen not in LOCAL


def _word(arguments: argparse.Namespace) -> tuple[str, bool]:
    """The password that the page asks for, and whether it is a token made now; empty for none.

    Raises
    ------
    InputError
        Where the password is one that is soon guessed.
    """
    word = arguments.password if arguments.password is not None else os.environ.get(PASSWORD_VARIABLE)
    if word is not None and len(word) < _SHORTEST_PASSWORD:
        raise InputError(
            f"The password has fewer than {_SHORTEST_PASSWORD} characters.",
            "Give a longer one, or none: the page then asks for a token that is printed here.",
        )
    if word is None and _is_exposed(arguments):
        return secrets.token_urlsafe(24), True
    return word or "", False


def _listening(address: str, port: int) -> socket.socket:
    """A socket on that address.

    Raises
    ------
    InputError
        Where the port is taken, or the address none of this machine's.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"The page cannot be served on {address}, port {port} ({error}).", "Choose another --port."
        ) from error


def _address(listen: str, port: int, token: str) -> str:
    """What to open in a browser."""
    name = socket.gethostname() if listen in {"0.0.0.0", "::", ""} else listen
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def _parser() -> Parser:
    parser = Parser(prog="run.py ui", description=__doc__)
    parser.add_argument("--port", type=int, default=7861, help="port (default %(default)s)")
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="address; others than "
                        "this machine's own ask for a password or token, and switch off set-up and "
                        "free paths")  # fmt: skip
    parser.add_argument("--password", help="what the page asks for (default: nothing on this machine's own "
                        f"address, a random token on others); better given by {PASSWORD_VARIABLE}, as other "
                        "users of this machine can see command lines")  # fmt: skip
    parser.add_argument("--projects", type=Path, default=root() / "projects", help="folder of the projects")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="PATH", help="a checkpoint "
                        "file, or a folder of them; may be given several times")  # fmt: skip
    parser.add_argument("--loras", type=Path, help="where finished LoRAs go (default PROJECTS/loras)")
    parser.add_argument("--language", choices=("en", "ja"), default="en", help="language of the page")
    return parser
