"""The driver's connection to Ray, watched so that a lost cluster ends a launch with a message.

Ray ends the process of a driver that has lost its raylet within seconds, and of one that has lost
the control store (GCS) after a minute, with status 1 and no word of what to do; until then every
call may hang. So Tune runs in a thread that can be abandoned, and the driver's main thread checks
the connection.
"""

import atexit
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from symstudy.errors import LaunchError

__all__ = ["RayConnection", "exit_without_ray", "run_while_connected"]

POLL_S = 0.1
"""How often the driver checks the connection, in seconds."""
STORE_POLL_S = 1.0
"""How often it calls the control store, in seconds."""
PATIENCE_S = 45.0
"""How long a cluster's control store may be away while it is restarted; Ray waits a minute."""
LAST_POLL_S = 5.0
"""How long the connection is still checked after an error of Tune: it may be the first sign of a
lost Ray."""
ABANDON_S = 15.0
"""Longest time that Tune may take to end when it is told to, in seconds."""
NO_RAYLET = "its raylet on this machine has ended"


class RayConnection:
    """Checks that the raylet of this machine and the cluster's control store (GCS) still run.

    The raylet by a connection that stays open and says nothing: it ends with the raylet. The
    control store by calling it now and then.

    Attributes:
        reason: Why this process must call Ray no more; empty as long as it may.
    """

    def __init__(self, raylet: str, store: str, patience_s: float) -> None:
        """Connect to the raylet.

        Args:
            raylet: Path of the raylet's socket.
            store: Address of the control store, host:port.
            patience_s: How long the control store may be away, in seconds.
        """
        host, _, port = store.rpartition(":")
        self.store = (host.strip("[]"), int(port))
        self.patience_s = patience_s
        self.seen = self.called = time.monotonic()
        self.raylet = socket.socket(socket.AF_UNIX)
        self.reason = ""
        try:
            self.raylet.connect(raylet)
        except OSError:
            self.reason = NO_RAYLET
        self.raylet.setblocking(False)

    @classmethod
    def of_ray(cls, *, is_own: bool) -> Self:
        """Return a checker of the cluster that this process is connected to.

        Args:
            is_own: Whether this process started the cluster, so that nobody restarts it.
        """
        import ray

        cluster: Any = ray
        context = cluster.get_runtime_context()
        here = context.get_node_id()
        (raylet,) = (node["RayletSocketName"] for node in cluster.nodes() if node["NodeID"] == here)
        return cls(raylet, context.gcs_address, 0.0 if is_own else PATIENCE_S)

    def close(self) -> None:
        """Close the socket."""
        self.raylet.close()

    def lost(self) -> str:
        """Return which part of Ray has ended, now or at an earlier check; empty if none has."""
        self.reason = self.reason or self.find_loss()
        return self.reason

    def find_loss(self) -> str:
        """Return which part of Ray has ended; empty if none has."""
        if not self.has_raylet():
            return NO_RAYLET
        now = time.monotonic()
        if now - self.called >= STORE_POLL_S:
            self.called = now
            if self.has_store():
                self.seen = now
            elif now - self.seen >= self.patience_s:
                return "its control store (GCS) has ended"
        return ""

    def has_raylet(self) -> bool:
        """Return whether the connection to the raylet is open."""
        try:
            return self.raylet.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def has_store(self) -> bool:
        """Return whether the control store accepts connections.

        One of this machine that is slow, or cut off as when a laptop changes its network, counts as
        there: had it ended, the call would be refused.
        """
        try:
            socket.create_connection(self.store, timeout=STORE_POLL_S).close()
        except ConnectionRefusedError:
            return False
        except OSError:
            return self.patience_s == 0.0
        return True


def run_while_connected(
    connection: RayConnection, work: Callable[[], object], abandon: Callable[[], object]
) -> None:
    """Run `work`, which calls Ray, in a thread, and return or raise as soon as Ray is lost.

    Args:
        connection: Checks whether Ray still runs.
        work: Function to run.
        abandon: Called at Ctrl-C; makes `work` end soon.

    Raises:
        LaunchError: If Ray is lost; the thread is then left as it is, and this process must call
            Ray no more.
        KeyboardInterrupt: At Ctrl-C, when `work` has ended.
        BaseException: Whatever `work` raises.
    """
    errors: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again in the other thread
            errors.append(error)

    thread = threading.Thread(target=body, name="symstudy-tune", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL_S)
            check(connection)
    except KeyboardInterrupt:
        abandon()
        thread.join(ABANDON_S)
        if thread.is_alive():
            connection.reason = "Ray Tune does not end"
        raise
    if errors:
        deadline = time.monotonic() + LAST_POLL_S
        while time.monotonic() < deadline and isinstance(errors[0], SystemExit | Exception):
            check(connection)
            time.sleep(POLL_S)
        raise errors[0]


def check(connection: RayConnection) -> None:
    """Check that Ray still runs.

    Raises:
        LaunchError: If it is.
    """
    lost = connection.lost()
    if lost:
        raise LaunchError(
            f"Ray must run as long as a launch, but {lost}. Nothing is lost: run the same command "
            "again to go on."
        )


def exit_without_ray(status: int) -> None:
    """Make this process exit with `status` without Ray's exit handlers, which may hang.

    Processes that Ray has started from here end with this one.
    """

    def leave() -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)

    atexit.register(leave)
