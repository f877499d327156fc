"""What installed packages add to symstudy: their entry points, read once for all groups."""

import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["installed_points"]


def installed_points(group: str) -> list["EntryPoint"]:
    """Return the entry points of a group, such as `symstudy.losses`, of all that is installed."""
    return list(all_points(tuple(sys.path)).select(group=group))


@functools.cache
def all_points(path: tuple[str, ...]) -> Any:
    """Return the entry points of every package on `path`, which is `sys.path`.

    To read them takes 10 ms, and a program asks for eight groups; to import what reads them takes
    another 20 ms, which a command that asks for none does not pay.
    """
    import importlib.metadata

    del path
    return importlib.metadata.entry_points()
