"""Files that code of the user's own reads: their content decides a run as much as the code does.

Python tells an audit hook of each file that is opened. What code in other languages opens by itself
is not seen.
"""

import contextlib
import contextvars
import functools
import hashlib
import os
import site
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["PACKAGES", "content_hash", "files_opened", "hash_files"]

CODE = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".pth", ".egg-link"})
"""Endings of files that Python opens to import; source is told by its own hash."""
PACKAGES = ("site-packages", "dist-packages")
"""Names of folders of installed packages."""
SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/bin")

HIDDEN = (".cache", ".config", ".local", ".triton", ".nv", ".matplotlib", ".keras")
CACHES = ("XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME", "SYMSTUDY_CACHE")

SETTLED_NS = 2_000_000_000
"""A file that was written so lately may be written again without its time being another."""

Opened = dict[str, bool]
"""Paths that were opened, with whether they were opened for reading alone."""
RECORD: contextvars.ContextVar[Opened | None] = contextvars.ContextVar("record", default=None)


@functools.cache
def install_hook() -> None:
    """Make Python tell of each file that it opens, from now on: a hook cannot be taken away."""
    sys.addaudithook(note_opened)


def note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Note that a file is opened, where this context records it."""
    if event != "open":
        return
    record = RECORD.get()
    if record is None or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path, mode, flags = arguments
    writes = any(each in mode for each in "wax+") if isinstance(mode, str) else False
    writes = writes or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    # Not `resolve`, which would open nothing but follow links: a link is read under its name.
    name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
    record[name] = record.get(name, True) and not writes


@contextlib.contextmanager
def files_opened() -> Iterator[list[Path]]:
    """Yield a list that at the end of the `with` block has the files of the user's that it read.

    Left out are code, what belongs to Python, its packages or the system, settings and caches in
    the home folder, and files that the block itself has written.
    """
    install_hook()
    found: list[Path] = []
    opened: Opened = {}
    token = RECORD.set(opened)
    try:
        yield found
    finally:
        RECORD.reset(token)
        outer = RECORD.get()
        if outer is not None:
            outer.update({path: outer.get(path, True) and only for path, only in opened.items()})
        found += sorted(Path(name) for name, only_read in opened.items() if only_read)
        found[:] = [path for path in found if is_of_the_user(path)]


def is_of_the_user(path: Path) -> bool:
    """Return whether a file that was read is data of the user's own."""
    if path.suffix in CODE or not path.is_file():
        return False
    if str(path).startswith(tuple(f"{folder}/" for folder in SYSTEM)):
        return False
    real = path.resolve()
    return not any(
        at.is_relative_to(folder) for folder in places_of_python() for at in (path, real)
    ) and not is_kept_by_programs(path)


def places_of_python() -> tuple[Path, ...]:
    """Return the folders of Python, of its installed packages and of symstudy.

    Packages are also installed in folders that PYTHONPATH or a .pth file names, as modules of
    clusters are.
    """
    return python_folders(tuple(sys.path))


@functools.cache
def python_folders(path: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the folders of `places_of_python` where Python imports from `path`."""
    names = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
    names |= {sys.prefix, sys.base_prefix}
    names |= {entry for entry in path if Path(entry).name in PACKAGES}
    ours = Path(__file__).resolve().parents[1]
    return (*(Path(name) for name in names if Path(name) != Path("/")), ours)


def is_kept_by_programs(path: Path) -> bool:
    """Return whether a path is where programs keep settings and what they download.

    What is downloaded is known by its name, which a key or a version gives.
    """
    places = [Path.home() / name for name in HIDDEN]
    places += [Path(os.environ[name]) for name in CACHES if name in os.environ]
    return any(path.is_relative_to(place) for place in places)


def hash_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 of what files hold, whatever they are called; empty where there are none.

    A file that is not there counts as one without content.
    """
    hashes = sorted({content_hash(path) for path in files})
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else ""


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, worked out once for its size and time; empty without one."""
    try:
        about = path.stat()
        is_settled = time.time_ns() - about.st_mtime_ns > SETTLED_NS
        work_out = hashed if is_settled else hashed.__wrapped__
        return work_out(path, about.st_size, about.st_mtime_ns)
    except OSError:
        return ""


@functools.lru_cache(maxsize=1000)
def hashed(path: Path, size: int, time_ns: int) -> str:
    """Return the SHA-256 of a file of a size and a time: once, since it may be of gigabytes."""
    del size, time_ns
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
