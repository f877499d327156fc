"""A check within seconds that a Ray cluster listens at an address and accepts our token.

Ray itself tries for half a minute where the token is wrong, for one where this machine is no node
of the cluster, and for five where the port belongs to another program.
"""

import os
import socket
from pathlib import Path
from typing import Any

from symstudy.errors import LaunchError
from symstudy.ownership import trusted_owners, user_name

__all__ = ["check_reachable", "read_token"]

CONNECT_S = 10.0
"""Longest time for a cluster to answer, in seconds."""

CURRENT = Path("/tmp/ray/ray_current_cluster")  # noqa: S108  # where `ray start` writes its address
"""File with the address that `auto` means if RAY_ADDRESS is not set."""

# RFC 9113, section 3.4: what a client of HTTP/2 says first, and an empty SETTINGS frame. Ray's
# servers speak gRPC, and so answer with a SETTINGS frame of their own.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
FRAME_HEAD = 9
SETTINGS = 4


def check_reachable(address: str) -> None:
    """Check that a Ray cluster listens at `address` and accepts this process.

    Args:
        address: `host:port`, or `auto` for the one that this machine is a node of.

    Raises:
        LaunchError: If not.
    """
    given = find_current() if address == "auto" else address
    if not given:
        # Ray may know better: it looks through the processes of this machine.
        return
    host, _, port = given.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_S) as connection:
            connection.sendall(HELLO)
            head = read(connection, FRAME_HEAD)
    except (OSError, ValueError, OverflowError) as error:
        raise unreachable(address, str(error)) from error
    if len(head) < FRAME_HEAD or head[3] != SETTINGS:
        raise unreachable(address, "another program listens there")
    check_access(given)


def find_current() -> str:
    """Return the address of the cluster that this machine is a node of; empty if unknown.

    Raises:
        LaunchError: If another user has written it down, who may have a cluster of any kind.
    """
    named = os.environ.get("RAY_ADDRESS", "")
    if ":" in named and "://" not in named:
        return named
    try:
        owner = CURRENT.lstat().st_uid
        if owner not in trusted_owners():
            raise LaunchError(
                "--address auto must mean a cluster of your own, but the address in "
                f"{str(CURRENT)!r} was written by {user_name(owner)}. Name the cluster: --address "
                "host:port"
            )
        return CURRENT.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def read(connection: socket.socket, count: int) -> bytes:
    """Return the next `count` bytes, or fewer where the connection ends."""
    content = b""
    while len(content) < count and (more := connection.recv(count - len(content))):
        content += more
    return content


def check_access(address: str) -> None:
    """Check that the cluster at `address` accepts our token and that this machine is a node of it.

    Raises:
        LaunchError: If not.
    """
    from ray import _raylet
    from ray._private import services
    from ray.exceptions import AuthenticationError, RpcError

    read_token()
    store: Any = _raylet
    machine: Any = services
    try:
        nodes = store.GcsClient(address=address).get_all_node_info(timeout=CONNECT_S)
    except (AuthenticationError, RuntimeError) as error:
        raise LaunchError(
            f"the token must be that of the cluster at {address}, but it was refused: "
            f"{first_sentence(error)}. Type RAY_AUTH_MODE=token before the command, with the "
            "cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN."
        ) from error
    except RpcError as error:
        raise unreachable(address, first_sentence(error)) from error
    check_membership(address, {node.hex() for node in nodes}, set(machine.find_node_ids()))


def check_membership(address: str, nodes: set[str], here: set[str]) -> None:
    """Check that one of the cluster's `nodes` runs on this machine, among those in `here`.

    Raises:
        LaunchError: If not.
    """
    if not nodes & here:
        raise LaunchError(
            f"this machine must be a node of the cluster at {address}, but is not. Type `ray start "
            f"--address {address}` here first, or hand the study over with symstudy submit."
        )


def read_token() -> str:
    """Return the token that Ray uses in this process; empty if it is to use none.

    Raises:
        LaunchError: If it is to use one, and there is none: Ray itself would end the process.
    """
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return ""
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    if token:
        return token
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise no_token(path) from error
    if not token:
        raise no_token(path)
    return token


def no_token(path: Path) -> LaunchError:
    """Return the error for a token that is not there."""
    return LaunchError(
        f"RAY_AUTH_MODE=token must come with a token, but {str(path)!r} holds none. Put the "
        "cluster's token there, or into RAY_AUTH_TOKEN."
    )


def unreachable(address: str, why: str) -> LaunchError:
    """Return the error for an address where no cluster is."""
    return LaunchError(
        f"--address must be the host:port of a running Ray cluster, but got {address!r}: {why}. "
        "Start one with `ray start --head`, or leave --address out for this machine."
    )


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of an error of Ray."""
    return str(error).strip().partition(". ")[0].partition("\n")[0]
