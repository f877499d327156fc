"""Checks before Ray starts on this machine: what would end in an error that names no remedy.

Ray keeps its sockets in its temporary folder, whose path must be short, and writes a token to the
home folder.
"""

import os
import sys
import tempfile
from pathlib import Path

from symstudy.errors import LaunchError
from symstudy.ownership import own_temporary_folder

__all__ = ["check_home", "check_local_start", "check_temporary_folder", "temporary_folder"]

MAX_SOCKET_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes of the path of a Unix socket."""

SOCKET = "ray/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"
"""The longest path of a socket below Ray's temporary folder."""

AUTH_LINE = 'export RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(32))")'


def check_local_start() -> None:
    """Check that Ray can start on this machine.

    Raises:
        LaunchError: If its temporary folder has too long a path or cannot be written, or its token
            cannot be saved.
    """
    check_temporary_folder(temporary_folder())
    check_home()


def temporary_folder() -> Path:
    """Return the folder that Ray makes its own in: RAY_TMPDIR, TMPDIR, or the user's own in /tmp.

    Ray lets everybody write to what it makes, and runs what it finds there.
    """
    named = os.environ.get("RAY_TMPDIR")
    if named is None and sys.platform.startswith("linux"):
        named = os.environ.get("TMPDIR")
    return Path(named) if named is not None else own_temporary_folder()


def check_temporary_folder(folder: Path) -> None:
    """Check that sockets below `folder` have short enough paths, and that it can be written.

    Raises:
        LaunchError: If not.
    """
    room = MAX_SOCKET_PATH - len(SOCKET.format(pid=os.getpid()).encode()) - 1
    length = len(os.fsencode(folder))
    remedy = "Type RAY_TMPDIR=/tmp before the command, or do without Ray: --launcher inline"
    if length > room:
        raise LaunchError(
            f"the path of Ray's temporary folder must be at most {room} bytes long, since it holds "
            f"Unix sockets, but RAY_TMPDIR or TMPDIR is {str(folder)!r} of {length}. {remedy}"
        )
    if not is_writable(folder):
        raise LaunchError(
            f"Ray's temporary folder must be writable, but {str(folder)!r} is not. {remedy}"
        )


def check_home() -> None:
    """Check that Ray finds its token or can write a new one to ~/.ray/auth_token.

    Raises:
        LaunchError: If it cannot.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    token = Path("~/.ray/auth_token").expanduser()
    if os.access(token, os.R_OK) or is_writable(token.parent):
        return
    raise LaunchError(
        f"Ray must be able to write its token to {str(token)!r}, but that folder cannot be "
        f"written. Type HOME=/a/writable/folder before the command, or: {AUTH_LINE}"
    )


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in `folder`, or in the first parent of it that is there."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            return True
    except OSError:
        return False
