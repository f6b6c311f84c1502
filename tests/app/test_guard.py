"""Only the page itself is answered: raw requests over a real socket, and a name that resolves to us."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from lib_copier.app.guard import Guard, local_authorities
from lib_copier.app.serve import configured
from lib_copier.ui.texts import Texts

WORD = "correct horse"


async def everything(scope, receive, send):
    """A server that would give its secret to whoever comes through."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"SECRET"})


@contextmanager
def serving(word: str = "", *, is_exposed: bool = False) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        authorities = None if is_exposed else local_authorities(port)
        guard = Guard(everything, authorities=authorities, word=word, texts=Texts("en"), port=port)
        server = uvicorn.Server(configured(guard))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def raw(port: int, head: str, body: str = "") -> tuple[int, str]:
    """Status and text of the answer to a request as written; PORT stands for the port."""
    lines = head.replace("PORT", str(port)).strip().splitlines()
    text = "\r\n".join([*lines, "Connection: close", f"Content-Length: {len(body)}", "", body])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return int(answer.split(" ", 2)[1]), answer


ROUTES = (
    "/",
    "/run/copier_lora",
    "/gradio_api/run/copier_lora",
    "/file=/etc/passwd",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/upload",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
    "/config",
    "/file/projects/a/artifacts/b.png",
    "/anything",
)


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LocalHost:PORT", "[::1]:PORT"])
def test_our_own_names_are_answered(port, host):
    status, answer = raw(port, f"GET / HTTP/1.1\nHost: {host}")
    assert status == 200
    assert "SECRET" in answer and "nosniff" in answer and "frame-ancestors 'none'" in answer


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:PORT",
        "127.0.0.1.evil.test:PORT",
        "localhost.evil.test:PORT",
        "user@127.0.0.1:PORT",
        "127.0.0.1:PORT@evil.test",
        "localhost.:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "127.1:PORT",
        "2130706433:PORT",
        "0.0.0.0:PORT",
        "[::]:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "::1:PORT",
        "127.0.0.1:PORT,evil.test",
        "127.0.0.1:PORT evil.test",
        "",
    ],
)
def test_other_names_are_not_answered(port, host):
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        status, answer = raw(port, f"{method} / HTTP/1.1\nHost: {host}")
        assert status in (400, 403) and "SECRET" not in answer


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.test:PORT",
        "Host: 127.0.0.1:PORT\nOrigin: http://evil.test",
        "Host: 127.0.0.1:PORT\nOrigin: http://127.0.0.1:1",
        "Host: 127.0.0.1:PORT\nOrigin: http://localhost:PORT",
        "Host: 127.0.0.1:PORT\nOrigin: null",
        "Host: 127.0.0.1:PORT\nSec-Fetch-Site: cross-site",
        "Host: 127.0.0.1:PORT\nSec-Fetch-Site: same-site",
    ],
)
def test_no_route_answers_another_page(port, route, headers):
    for method in ("GET", "POST"):
        status, answer = raw(port, f"{method} {route} HTTP/1.1\n{headers}")
        assert status == 403 and "SECRET" not in answer


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1",
        "GET / HTTP/1.0",
        "GET http://evil.test/ HTTP/1.1\nHost: 127.0.0.1:PORT",
        "GET http://127.0.0.1:PORT/ HTTP/1.1\nHost: evil.test",
        "GET / HTTP/1.1\nHost: 127.0.0.1:PORT\nHost: evil.test",
        "GET / HTTP/1.1\nHost: evil.test\nX-Forwarded-Host: 127.0.0.1:PORT\nForwarded: host=127.0.0.1:PORT",
        "OPTIONS * HTTP/1.1\nHost: 127.0.0.1:PORT",
    ],
)
def test_ambiguous_requests_are_not_answered(port, head):
    status, answer = raw(port, head)
    assert status in (400, 403) and "SECRET" not in answer


def test_a_web_socket_is_not_opened(port):
    upgrade = "Upgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    status, _ = raw(port, f"GET /queue/join HTTP/1.1\nHost: evil.test:PORT\n{upgrade}")
    assert status == 403


def test_the_page_itself_and_a_typed_address_are_answered(port):
    for told in ("Origin: http://127.0.0.1:PORT\nSec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"):
        assert raw(port, f"GET / HTTP/1.1\nHost: 127.0.0.1:PORT\n{told}")[0] == 200


def test_a_page_for_others_asks_for_a_word():
    with pytest.raises(ValueError, match="asks for a word"):
        Guard(everything, authorities=None, word="", texts=Texts("en"), port=1)
    with serving(WORD, is_exposed=True) as port:
        for route in ROUTES:
            status, answer = raw(port, f"GET {route} HTTP/1.1\nHost: box.lan:PORT")
            assert status == 401 and "SECRET" not in answer
        assert raw(port, "GET / HTTP/1.1\nHost: box.lan:PORT\nCookie: copier_lora_PORT=guess")[0] == 401
        assert raw(port, "GET /?token=wrong HTTP/1.1\nHost: box.lan:PORT")[0] == 401
        form = "Host: box.lan:PORT\nContent-Type: application/x-www-form-urlencoded"
        assert raw(port, f"POST /login HTTP/1.1\n{form}", "word=wrong")[0] == 401
        status, answer = raw(port, f"POST /login HTTP/1.1\n{form}", "word=correct+horse")
        assert status == 303
        cookie = next(line for line in answer.splitlines() if line.startswith("set-cookie:"))
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and WORD not in cookie
        known = f"Cookie: {cookie.partition(':')[2].partition(';')[0].strip()}"
        assert "SECRET" in raw(port, f"GET / HTTP/1.1\nHost: box.lan:PORT\n{known}")[1]
        assert raw(port, f"GET / HTTP/1.1\nHost: box.lan:PORT\n{known}\nOrigin: http://evil.test")[0] == 403
        assert raw(port, "GET /?token=correct%20horse HTTP/1.1\nHost: box.lan:PORT")[0] == 303


def test_a_long_log_in_is_not_read():
    with serving(WORD) as port:
        assert raw(port, "POST /login HTTP/1.1\nHost: 127.0.0.1:PORT", "word=" + "x" * 100_000)[0] == 401


def test_no_variable_of_gradio_opens_anything():
    """``GRADIO_SHARE`` and its like have nobody here who would read them."""
    code = "import lib_copier.app.serve, sys; print('gradio' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


@pytest.mark.browser
@pytest.mark.slow
def test_a_name_that_resolves_here_drives_nothing(tmp_path: Path):
    """DNS rebinding in a real browser: the foreign name's own page, and requests from other pages."""
    from tests.ui.browsing import browser
    from tests.ui.servers import free_port, python_for, serve_arguments
    from tests.ui.servers import serving as served

    checkpoint = tmp_path / "base.safetensors"
    checkpoint.write_bytes(b"weights")
    port = free_port()
    ask = """async address => {
      try {
        const body = JSON.stringify({ data: [JSON.stringify({ act: "go", view: {} })] });
        const headers = { "Content-Type": "text/plain" };
        const answer = await fetch(address, { method: "POST", headers, body });
        return `${answer.status} ${(await answer.text()).includes("html")}`;
      } catch (error) { return "refused"; }
    }"""
    arguments = serve_arguments(port, tmp_path / "data", checkpoint)
    with (
        served(python_for("newest"), arguments, port=port),
        browser("--host-resolver-rules=MAP evil.test 127.0.0.1") as opened,
    ):
        page = opened.new_page()
        for host, status in (("evil.test", 403), ("127.0.0.1", 200), ("localhost", 200)):
            answer = page.goto(f"http://{host}:{port}/")
            assert answer.status == status
            told = page.evaluate(ask, f"http://{host}:{port}/run/copier_lora")
            assert told.startswith(f"{status} ")
            for route in ROUTES[3:5]:
                assert page.goto(f"http://{host}:{port}{route}").status == (403 if status == 403 else 404)
        with serving() as other:
            # Another port of this machine is another page, though the browser calls it the same site.
            page.goto(f"http://127.0.0.1:{other}/")
            page.set_content("<p>elsewhere</p>")
            assert page.evaluate(ask, f"http://127.0.0.1:{port}/run/copier_lora") == "refused"
    recipes = json.dumps([str(path) for path in (tmp_path / "data").rglob("project.json")])
    assert recipes == "[]"
