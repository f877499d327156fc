"""Whether the Ray that a launch runs on is still there.

Ray ends the process of a driver that has lost its raylet within seconds, and of one that has lost
the control store (GCS) after a minute, with status 1 and no word of what to do; until then every
call may hang. So Tune runs in a thread that can be left where it hangs, and the driver's own thread
looks whether Ray is there.
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

__all__ = ["Lifeline", "leave_without_ray", "run_beside"]

LOOK_S = 0.1
"""The driver looks so often."""
STORE_LOOK_S = 1.0
"""It calls the control store so often."""
PATIENCE_S = 45.0
"""The control store of a cluster may be restarted: Ray waits a minute for it."""
LAST_LOOK_S = 5.0
"""An error of Tune may be the first sign of a lost Ray: it is looked at so much longer."""
ABANDON_S = 15.0
"""Tune may take so long to end when it is told to."""
NO_RAYLET = "its raylet on this machine has ended"


class Lifeline:
    """Knows whether the raylet of this machine and the control store are there.

    The raylet by a connection that stays open and says nothing: it ends with the raylet. The
    control store by calling it now and then.

    Attributes:
        reason: Why this process must call Ray no more; empty as long as it may.
    """

    def __init__(self, raylet: str, store: str, patience_s: float) -> None:
        """Connect.

        Args:
            raylet: The socket of the raylet, a path.
            store: The control store's host:port.
            patience_s: The control store may be away for so long.
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
        """Return the lifeline of the Ray that this process is connected to.

        Args:
            is_own: Whether this process has started it, so that nobody starts it again.
        """
        import ray

        cluster: Any = ray
        context = cluster.get_runtime_context()
        here = context.get_node_id()
        (raylet,) = (node["RayletSocketName"] for node in cluster.nodes() if node["NodeID"] == here)
        return cls(raylet, context.gcs_address, 0.0 if is_own else PATIENCE_S)

    def close(self) -> None:
        """Let go of the raylet."""
        self.raylet.close()

    def lost(self) -> str:
        """Return what is not there any more; empty if all is well."""
        self.reason = self.reason or self.look()
        return self.reason

    def look(self) -> str:
        """Return what is not there now."""
        if not self.has_raylet():
            return NO_RAYLET
        now = time.monotonic()
        if now - self.called >= STORE_LOOK_S:
            self.called = now
            if self.has_store():
                self.seen = now
            elif now - self.seen >= self.patience_s:
                return "its control store (GCS) has ended"
        return ""

    def has_raylet(self) -> bool:
        """Return whether the raylet holds its end of the connection."""
        try:
            return self.raylet.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def has_store(self) -> bool:
        """Return whether the control store takes calls.

        One of this machine that is slow, or cut off as when a laptop changes its network, counts as
        there: had it ended, the call would be refused.
        """
        try:
            socket.create_connection(self.store, timeout=STORE_LOOK_S).close()
        except ConnectionRefusedError:
            return False
        except OSError:
            return self.patience_s == 0.0
        return True


def run_beside(
    lifeline: Lifeline, work: Callable[[], object], abandon: Callable[[], object]
) -> None:
    """Do `work`, which calls Ray, in a thread, for as long as Ray is there.

    Args:
        lifeline: Says whether it is.
        work: What to do.
        abandon: Called at Ctrl-C: has `work` end soon.

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
            thread.join(LOOK_S)
            check(lifeline)
    except KeyboardInterrupt:
        abandon()
        thread.join(ABANDON_S)
        if thread.is_alive():
            lifeline.reason = "Ray Tune does not end"
        raise
    if errors:
        deadline = time.monotonic() + LAST_LOOK_S
        while time.monotonic() < deadline and isinstance(errors[0], SystemExit | Exception):
            check(lifeline)
            time.sleep(LOOK_S)
        raise errors[0]


def check(lifeline: Lifeline) -> None:
    """Raise if Ray is lost.

    Raises:
        LaunchError: If it is.
    """
    lost = lifeline.lost()
    if lost:
        raise LaunchError(
            f"Ray must run as long as a launch, but {lost}. Nothing is lost: run the same command "
            "again to go on."
        )


def leave_without_ray(status: int) -> None:
    """Have this process end with `status` without calling Ray, which would end it in its own way.

    Processes that Ray has started from here end with this one.
    """

    def leave() -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)

    atexit.register(leave)
