"""Arrays of data sets on the disk of a node, shared by its processes as mapped memory.

An entry is a folder of `.npy` files and a `meta.json`, named for the hash of everything that the
arrays follow from, so an entry is never out of date. It is written under another name and renamed.
The folder is the user's own and closed to others: what is in it is trusted. It may be deleted at
any time.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.ownership import make_own_folder

__all__ = ["Entry", "cache_folder", "read_entry", "write_entry"]


class Entry(NamedTuple):
    """Arrays with what is known of them.

    Attributes:
        arrays: By name; not to be written to.
        meta: What JSON can hold.
    """

    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]


def cache_folder() -> Path:
    """Return the user's folder of arrays, made with mode 700 where it was not there.

    It is `SYMSTUDY_CACHE`, or `symstudy/data` below `XDG_CACHE_HOME` or `~/.cache`.

    Raises:
        OSError: If it cannot be made, or others may write to it.
    """
    base = os.environ.get("SYMSTUDY_CACHE", "")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME", "") or Path("~/.cache").expanduser()
        base = str(Path(home) / "symstudy" / "data")
    folder = Path(base).expanduser().absolute()
    if problem := make_own_folder(folder):
        raise PermissionError(f"the folder {str(folder)!r} must be your own, but {problem}")
    return folder


def read_entry(key: str) -> Entry | None:
    """Return the entry called `key`; None if it is not there, or cannot be read."""
    try:
        folder = cache_folder() / key
        meta = json.loads((folder / "meta.json").read_bytes())
        arrays = {
            # Copied on write: what a fault would write reaches neither disk nor other processes.
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False))
            for name in meta.pop("arrays")
        }
    except (OSError, ValueError, KeyError):
        return None
    return Entry(arrays, meta)


def write_entry(key: str, entry: Entry) -> Entry:
    """Keep an entry, and return it as it can be shared; as it is where the disk does not take it.

    Two processes may write the same entry at once: the first to rename wins, and they are equal.
    """
    try:
        folder = cache_folder()
        made = Path(tempfile.mkdtemp(prefix=".making-", dir=folder))
    except OSError:
        return entry
    try:
        write_files(made, entry.arrays, entry.meta)
        with contextlib.suppress(OSError):
            made.rename(folder / key)
    except OSError:
        return entry
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return read_entry(key) or entry


def write_files(folder: Path, arrays: Mapping[str, NDArray[Any]], meta: dict[str, Any]) -> None:
    """Write the files of an entry."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    text = json.dumps({**meta, "arrays": sorted(arrays)})
    (folder / "meta.json").write_text(text, encoding="utf-8")
