"""Access to the explorer: by token, from this machine alone; and what its page may load.

The token is in the address that the program prints. The page exchanges it for a cookie that scripts
cannot read and other sites cannot send. A foreign Host header is refused, so that no other site can
give itself our address (DNS rebinding). In a frame of a notebook, which is another site, browsers
send no such cookie; there the token is the first part of every path.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from symstudy.explore.answers import to_json

__all__ = ["FRAME", "Guard", "cookie_name"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
FRAME = "/t/"
"""What paths begin with that hold the token."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)
NOTEBOOKS = "http://localhost:* http://127.0.0.1:* http://[::1]:* vscode-webview:"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
STATIC = "/static/"
MOST_BYTES = 1_000_000
"""Size of a request's body."""
UNKNOWN = (
    "This page needs its token, but the request has none, or one of another start of symstudy "
    "explore. Open the address that symstudy explore has printed; it ends in ?token=... ."
)
FOREIGN = (
    "The explorer answers on this machine alone: Host must be 127.0.0.1 or localhost, but is "
    "{host}. From another machine, forward the port: ssh -L PORT:localhost:PORT MACHINE"
)


def cookie_name(port: int) -> str:
    """Return the name of the cookie; two explorers on one machine share their cookies."""
    return f"symstudy_explore_{port}"


class Guard:
    """Lets requests through to an application if they may ask."""

    def __init__(
        self, app: Application, *, token: str, port: int, stop: Callable[[], Awaitable[None]]
    ) -> None:
        """See the class.

        Args:
            app: The application.
            token: What a page must know.
            port: Port of the server.
            stop: Ends what the application does, so that its requests end too.
        """
        self.app = app
        self.token = token
        self.cookie = cookie_name(port)
        self.stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        is_framed = scope["path"].startswith(FRAME)
        own = {
            "content-security-policy": POLICY.format(
                ancestors=NOTEBOOKS if is_framed else "'none'"
            ),
            # Browsers keep the page's own files, and ask whether they are still the same.
            "cache-control": "no-cache" if STATIC in scope["path"] else "no-store",
        }
        protected = protect(send, {**own, **HEADERS})
        host = headers.get("host", "")
        if not LOOPBACK.fullmatch(host):
            await refuse(protected, 403, FOREIGN.format(host=repr(host[:100])))
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and given:
            await self.exchange(protected, given)
            return
        if is_framed:
            token, _, rest = scope["path"].removeprefix(FRAME).partition("/")
            scope = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        else:
            token = self.token_of(headers)
        if not self.is_right(token):
            await refuse(protected, 403, UNKNOWN)
            return
        if (refusal := check_request(scope, headers)) is not None:
            await refuse(protected, *refusal)
            return
        await self.app(scope, receive, protected)

    async def exchange(self, send: Send, given: str) -> None:
        """Give a cookie for the token, and send the page to its address without the token."""
        if not self.is_right(given):
            await refuse(send, 403, UNKNOWN)
            return
        cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def token_of(self, headers: dict[str, str]) -> str:
        """Return the token of a request; empty if it has none."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return token.strip()
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return ""
        return jar[self.cookie].value if self.cookie in jar else ""

    def is_right(self, token: str) -> bool:
        """Return whether a token is ours, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())


def protect(send: Send, headers: Mapping[str, str]) -> Send:
    """Return what sends a response with headers that it must have, unless it has its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            for name, value in headers.items():
                if name.encode() not in names:
                    given.append((name.encode(), value.encode()))
            message = {**message, "headers": given}
        await send(message)

    return sending


def check_request(scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
    """Return status and message of the refusal of a request with a body; None if it is right.

    Another page of this machine could send a form with our cookie: JSON it cannot send unasked.
    """
    if scope["method"] != "POST":
        return None
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return 403, "The explorer answers its own page alone, but another site asks."
    if headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return 415, "A request must be JSON: send Content-Type: application/json."
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MOST_BYTES:
        return 413, f"A request must say its length, up to {MOST_BYTES:,} bytes."
    return None


async def refuse(send: Send, status: int, message: str) -> None:
    """Send why a request is refused."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": to_json({"error": message})})
