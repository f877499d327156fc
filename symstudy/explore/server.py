"""The server of the explorer: a port of this machine, a token, a browser, and how it ends."""

import logging
import os
import secrets
import socket
import webbrowser
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from symstudy.errors import LaunchError, UserError

__all__ = ["Address", "MissingServerError", "open_port", "serve"]

HOST = "127.0.0.1"
USUAL_PORT = 8787
"""The first port that is tried where none is named."""
NEXT_PORTS = 20
SETTINGS: dict[str, Any] = {
    "log_level": "error",
    "access_log": False,
    "server_header": False,
    "ws": "none",
    "timeout_graceful_shutdown": 1,
}


class MissingServerError(UserError, ImportError):
    """The packages of the server are not installed."""


class Address(NamedTuple):
    """Where the page is.

    Attributes:
        port: Port on this machine.
        token: What a request must know.
    """

    port: int
    token: str

    @property
    def page(self) -> str:
        """The address to open in a browser."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    @property
    def frame(self) -> str:
        """The address to show in a frame of a notebook."""
        return f"http://{HOST}:{self.port}/t/{self.token}/"

    @property
    def forward(self) -> str | None:
        """The line to type on another machine, where this one was entered by SSH; None if not."""
        parts = os.environ.get("SSH_CONNECTION", "").split()
        if len(parts) != 4:
            return None
        user = os.environ.get("USER", "USER")
        return f"ssh -N -L {self.port}:localhost:{self.port} {user}@{parts[2]}"


def open_port(port: int | None) -> socket.socket:
    """Return a socket that listens on a port of this machine alone.

    Args:
        port: The port; a free one if None.

    Raises:
        LaunchError: If it is in use, or may not be used.
    """
    wanted = [port] if port is not None else [*range(USUAL_PORT, USUAL_PORT + NEXT_PORTS), 0]
    for place, each in enumerate(wanted):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # A port whose last connections are being closed is free; one that is listened on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, each))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if place + 1 < len(wanted):
                continue
            raise LaunchError(
                f"--port must be a free port of this machine, but {each} is not: "
                f"{error.strerror or error}. Leave --port out to take a free one."
            ) from error
        return listener
    raise AssertionError("there is a last port")


def serve(
    locations: list[str],
    *,
    port: int | None = None,
    told: Callable[[Address], Any],
    opens_browser: bool = True,
) -> None:
    """Show results in a browser until interrupted.

    Args:
        locations: Folders of studies, or their parents.
        port: Port of this machine; a free one if None.
        told: Is told the address, once pages are answered.
        opens_browser: Whether to open a browser.

    Raises:
        MissingServerError: If the packages of the server are not installed.
        LaunchError: If the port is in use.
        StoreError: If there are no results, or they cannot be read.
    """
    try:
        import starlette  # noqa: F401  # asked for by name
        import uvicorn
    except ImportError as error:
        raise MissingServerError(
            f"symstudy explore needs the package {error.name}, which is not installed. Type: "
            "pip install 'symstudy[explore]'"
        ) from error
    from symstudy.explore.app import create_app
    from symstudy.explore.session import Session

    listener = open_port(port)
    with listener:
        address = Address(listener.getsockname()[1], secrets.token_urlsafe(32))
        session = Session(locations)
        app = create_app(session, token=address.token, port=address.port)
        told(address)
        if opens_browser:
            open_browser(address.page)
        run_server(uvicorn.Config(app, **SETTINGS), app.stop, listener)


def run_server(config: Any, stop: Callable[[], Awaitable[None]], listener: socket.socket) -> None:
    """Answer requests until interrupted.

    Args:
        config: The server's, of uvicorn.
        stop: Ends what the application does.
        listener: Where requests come in.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """Ends what is asked before it waits for answers, of which there is nothing to tell."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await stop()
            await super().shutdown(sockets)

    Server(config).run(sockets=[listener])


def open_browser(page: str) -> bool:
    """Open a page in the browser of the user's choice; return False where there is none.

    Over SSH it would be a browser of this machine, and one of text would take the terminal.
    """
    if "SSH_CONNECTION" in os.environ:
        return False
    try:
        if type(webbrowser.get()) is webbrowser.GenericBrowser:
            return False
        return webbrowser.open(page)
    except (webbrowser.Error, OSError):
        return False
