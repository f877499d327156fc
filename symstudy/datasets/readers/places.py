"""Where data files are: beside the study file, in the working directory, or in `SYMSTUDY_DATA`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from symstudy.components.own_modules import search_places
from symstudy.errors import DataError

__all__ = ["Source", "data_folder", "find_path", "sources_below"]

VARIABLE = "SYMSTUDY_DATA"
TOLD = 4
"""Places that a message names at most."""
TRAVELLING = "symstudy_data"
"""Name of the folder in which small data files travel to the nodes of a cluster."""


class Source(NamedTuple):
    """A file that a data set is read from.

    Attributes:
        name: What identity counts beside the content: what the file is for, or its place in a
            folder of classes. Never the folder that it lies in.
        path: Where it is.
    """

    name: str
    path: Path


def data_folder() -> Path | None:
    """Return the folder that `SYMSTUDY_DATA` names; None if it is not set."""
    value = os.environ.get(VARIABLE, "")
    return Path(value).expanduser() if value else None


def find_path(key: str, path: str) -> Path:
    """Return the absolute path of the file or folder that a key of `[data]` names.

    A relative path is looked for beside the study file, in the working directory and in
    `SYMSTUDY_DATA`. Where an absolute one is not there, as on another node, its last parts are
    looked for in `SYMSTUDY_DATA` and in what has travelled with the study.

    Raises:
        DataError: If there is none; lists the places.
    """
    tried = []
    for place in places_of(path):
        if place.exists():
            return place.absolute()
        tried.append(repr(str(place)))
    found = ", ".join(list(dict.fromkeys(tried))[:TOLD])
    raise DataError(
        key,
        f"must name a file or folder that is there, but got {path!r} and found none of {found}. "
        f"Put it beside the study file, or into the folder that the variable {VARIABLE} names; on "
        "a cluster on every node",
    )


def places_of(path: str) -> Iterator[Path]:
    """Yield where the file of a path may be, in order."""
    given = Path(path).expanduser()
    folder = data_folder()
    if not given.is_absolute():
        yield from (place / given for place in search_places())
        if folder is not None:
            yield folder / given
        return
    yield given
    parts = given.parts[1:]
    for base in (*([folder] if folder is not None else []), *travelled()):
        yield from (base.joinpath(*parts[i:]) for i in range(len(parts)))


def travelled() -> list[Path]:
    """Return the folders of data files that have come to this node with a study's code."""
    found = (Path(entry) / TRAVELLING for entry in sys.path if entry)
    return [folder for folder in found if folder.is_dir()]


def sources_below(folder: Path) -> list[Source]:
    """Return the files of a folder and its folders, by their paths in it; hidden ones left out."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    inner = [(file.relative_to(folder), file) for file in files]
    return [
        Source(place.as_posix(), file)
        for place, file in inner
        if not any(part.startswith(".") for part in place.parts)
    ]
