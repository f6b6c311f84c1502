"""Who is answered: browsers that stand on the page itself; where others can reach it, who knows a word."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from lib_copier.markup.html import Child, Html, join, tag
from lib_copier.ui.texts import Texts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
LOGIN = "/login"
_LONGEST_FORM = 4096
_WRONG_SECONDS = 1.0
"""Whoever guesses a word waits that long for each."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""On every answer: a page of ours runs our script alone, and stands in no other page."""


def local_authorities(port: int) -> frozenset[str]:
    """What a browser on this machine may call the page by, in its Host header."""
    names = {f"{name}:{port}" for name in LOCAL_NAMES}
    return frozenset(names | set(LOCAL_NAMES) if port == 80 else names)


class Guard:
    """ASGI in front of all that the server has: every route and every kind of connection.

    A page on another name may be made to resolve to this machine, and any page may send requests here:
    so the Host header has to be one of ours, and the origin that the browser tells the page's own.

    Parameters
    ----------
    authorities:
        Host headers that are answered; None: any, as only who knows the word comes further.
    word:
        Password or token that is asked for once a browser; empty: none is.
    """

    def __init__(
        self, app: App, *, authorities: frozenset[str] | None, word: str, texts: Texts, port: int
    ) -> None:
        if authorities is None and not word:
            raise ValueError("a page that others can reach asks for a word")
        self._app = app
        self._authorities = authorities
        self._word = word
        self._texts = texts
        # Cookies are shared by all ports of a machine.
        self._cookie = f"copier_lora_{port}"
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            # Nothing of ours needs another kind; closing is all that a socket is told.
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        send = _with_headers(send)
        fault = self._fault(scope, headers)
        if fault:
            await _answer(send, 403, self._page(fault))
        elif not self._word or self._is_known(headers):
            await self._app(scope, receive, send)
        else:
            await self._log_in(scope, receive, send)

    def _fault(self, scope: Scope, headers: dict[str, list[str]]) -> Html | None:
        """Why a request is not answered, and where to go; None where it is."""
        hosts = [host.lower() for host in headers.get("host", ())]
        known = self._authorities
        if len(hosts) != 1 or (known is not None and hosts[0] not in known):
            address = f"http://{min(known)}/" if known else ""
            return tag("p", self._texts("guard.host"), " ", tag("a", address, href=address))
        if (
            scope["path"][:1] == "/"
            and all(_is_same(origin, hosts[0]) for origin in headers.get("origin", ()))
            and {"same-origin", "none"}.issuperset(headers.get("sec-fetch-site", ()))
        ):
            return None
        return tag("p", self._texts("guard.origin"), " ", tag("a", "Copier LoRA", href="/"))

    def _is_known(self, headers: dict[str, list[str]]) -> bool:
        try:
            cookies = SimpleCookie("; ".join(headers.get("cookie", ())))
        except CookieError:
            return False
        found = cookies.get(self._cookie)
        return found is not None and _is_equal(found.value, self._session)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the word out of the form or the address, else ask for it."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == LOGIN and scope["method"] == "POST":
            form = await _body(receive)
            given = parse_qs(form.decode("utf-8", errors="replace")).get("word", [""])
        if not given:
            await _answer(send, 401, self._page(self._form()))
        elif _is_equal(given[0], self._word):
            cookie = f"{self._cookie}={self._session}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(send, 303, Html(""), {"location": "./", "set-cookie": cookie})
        else:
            await asyncio.sleep(_WRONG_SECONDS)
            await _answer(send, 401, self._page(tag("p", self._texts("guard.wrong")), self._form()))

    def _form(self) -> Html:
        field = tag("input", type="password", name="word", autocomplete="current-password", autofocus=True,
                    required=True)  # fmt: skip
        label = tag("label", tag("span", self._texts("guard.word")), " ", field)
        return tag("form", label, " ", tag("button", self._texts("guard.enter")), method="post", action=LOGIN)

    def _page(self, *content: Html) -> Html:
        return whole_page(self._texts.language, content)


def whole_page(language: str, content: Child, head: Child = None) -> Html:
    """An HTML page of ours, from its first line on."""
    metas = (
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "Copier LoRA"),
    )
    body = tag("body", content)
    return join(Html("<!doctype html>"), tag("html", tag("head", metas, head), body, lang=language))


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _is_same(origin: str, host: str) -> bool:
    """Whether an Origin header is the page's own; a proxy in front of us may speak https for us."""
    parts = origin.lower().partition("://")
    return parts[0] in {"http", "https"} and parts[2] == host


def _is_equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode(errors="replace"))


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        await send(message)

    return sent


async def _body(receive: Receive) -> bytes:
    """A short body; empty where it is longer than a form of ours."""
    found = b""
    while True:
        message = await receive()
        found += message.get("body", b"")
        if message["type"] != "http.request" or len(found) > _LONGEST_FORM:
            return b""
        if not message.get("more_body"):
            return found


async def _answer(send: Send, status: int, text: Html, headers: dict[str, str] | None = None) -> None:
    content = text.encode()
    told = {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(content)),
        **(headers or {}),
    }
    written = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": written})
    await send({"type": "http.response.body", "body": content})
