"""An S3 server on this machine, and a proxy before it that makes requests slow or loses answers."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Fault", "s3_environment", "s3_proxy", "s3_server"]

START_S = 60.0
Fault = Callable[[str, str, Callable[[], None]], bool]
"""Called with method, path and what forwards the request; returns whether to lose the answer."""


@contextmanager
def s3_server() -> Iterator[str]:
    """Run a server in a process of its own; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def wait_for(port: int) -> None:
    """Wait until something listens at a port.

    Raises:
        TimeoutError: If nothing does.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"a server must listen at port {port} within {START_S:.0f} s")


@contextmanager
def s3_environment(address: str) -> Iterator[None]:
    """Have pyarrow and obstore use the server at `address`."""
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "researcher",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def s3_proxy(address: str, fault: Fault) -> Iterator[str]:
    """Run a proxy before the server at `address`; yield the proxy's address.

    Args:
        address: Address of the server.
        fault: Called for every request; it forwards the request when it wants to.
    """
    target = address.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answers: list[tuple[int, list[tuple[str, str]], bytes]] = []

            def forward() -> None:
                connection = http.client.HTTPConnection(target, timeout=60)
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                answers.append((answer.status, answer.getheaders(), answer.read()))
                connection.close()

            is_lost = fault(self.command, self.path, forward)
            if is_lost or not answers:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.reply(*answers[0])

        def reply(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                    self.send_header(name, value)
            is_head = self.command == "HEAD"
            length = {name.lower(): value for name, value in headers}.get("content-length")
            self.send_header("Content-Length", length if is_head and length else str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
