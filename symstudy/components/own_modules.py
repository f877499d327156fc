"""Modules of the user's own: where they lie, and which others they import.

A module is looked for beside the study file, then in the working directory, then among what Python
can import. What is installed in a site-packages folder is taken to be installed on every node.
"""

import ast
import contextlib
import contextvars
import functools
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from symstudy.components.opened_files import PACKAGES

__all__ = [
    "OURS",
    "OwnModule",
    "files_of",
    "find_module",
    "has_same_files",
    "loaded_of",
    "location_of",
    "looking_in",
    "named_by_results",
    "search_places",
    "with_imports",
]

IN_WORKING_DIRECTORY = contextvars.ContextVar("in_working_directory", default=True)
PLACES: contextvars.ContextVar[tuple[Path, ...]] = contextvars.ContextVar("places", default=())

OURS = "symstudy"
"""This package: installed, wherever its files are; a study of its parts knows them by version."""


class OwnModule(NamedTuple):
    """A top-level module or package that a study names.

    Attributes:
        name: As it is imported.
        path: The file or the package's folder; None if it is installed.
    """

    name: str
    path: Path | None


@contextlib.contextmanager
def looking_in(*places: Path) -> Iterator[None]:
    """Look for own modules in `places` first, such as the folder of the study file."""
    token = PLACES.set(places)
    try:
        yield
    finally:
        PLACES.reset(token)


@contextlib.contextmanager
def named_by_results() -> Iterator[None]:
    """Look for own modules among what Python can import alone, since results name them.

    What a study file names may be in the working directory; what results name is not looked for
    there, since both may be somebody else's.
    """
    token = IN_WORKING_DIRECTORY.set(False)
    try:
        yield
    finally:
        IN_WORKING_DIRECTORY.reset(token)


def search_places() -> tuple[Path, ...]:
    """Return the folders in which own modules are looked for first."""
    return (*PLACES.get(), Path.cwd()) if IN_WORKING_DIRECTORY.get() else PLACES.get()


def find_module(name: str, places: Iterable[Path] | None = None) -> OwnModule | None:
    """Return the top-level module called `name`; None if it is neither in a place nor importable.

    Args:
        name: Without dots.
        places: Folders to look in first; those of `looking_in` and the working directory if None.
    """
    if name == OURS:
        return OwnModule(name, None)
    for place in search_places() if places is None else places:
        path = module_in(place, name)
        if path is not None:
            return OwnModule(name, path)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return None
    found = location_of(spec)
    is_installed = found is None or bool(set(PACKAGES) & set(found.parts))
    return OwnModule(name, None if is_installed else found)


def location_of(spec: importlib.machinery.ModuleSpec) -> Path | None:
    """Return the folder of a package or the Python file of a module; None if it has neither."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if spec.has_location and spec.origin and spec.origin.endswith(".py"):
        return Path(spec.origin)
    return None


def module_in(place: Path, name: str) -> Path | None:
    """Return the file or package folder of the module `name` in `place`; None if it has none."""
    folder, file = place / name, place / f"{name}.py"
    if folder.is_dir() and any(folder.glob("**/*.py")):
        return folder
    return file if file.is_file() else None


def with_imports(modules: Iterable[OwnModule]) -> list[OwnModule]:
    """Return modules with those of the user's own that they import, and that these import."""
    found = {module.name: module for module in modules}
    waiting = list(found.values())
    while waiting:
        new = [each for each in siblings(waiting.pop()) if each.name not in found]
        found.update({each.name: each for each in new})
        waiting += new
    return list(found.values())


def files_of(module: OwnModule) -> list[Path]:
    """Return the Python files of a module; none where it is installed."""
    if module.path is None:
        return []
    return [module.path] if module.path.is_file() else sorted(module.path.rglob("*.py"))


def siblings(module: OwnModule) -> list[OwnModule]:
    """Return the top-level modules of the user's own that the files of `module` import.

    They lie in its folder, or elsewhere on Python's path without being installed.
    """
    if module.path is None:
        return []
    names = sorted({name for file in files_of(module) for name in imported_names(file)})
    known = {*sys.stdlib_module_names, OURS, module.name}
    found = [find_module(name, [module.path.parent]) for name in names if name not in known]
    return [each for each in found if each is not None and each.path is not None]


def imported_names(file: Path) -> frozenset[str]:
    """Return the top-level names that a Python file imports; none if it cannot be parsed."""
    try:
        return names_imported_by(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Importing it says what is wrong, with the line.
        return frozenset()


@functools.lru_cache(maxsize=1000)
def names_imported_by(source: bytes) -> frozenset[str]:
    """Return what `imported_names` does, of what a file holds."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return frozenset(names)


def loaded_of(module: OwnModule) -> list[ModuleType]:
    """Return what Python has imported of a module and of those of the user's that it imports."""
    if module.path is None:
        return []
    found = []
    for each in with_imports([module]):
        for file in files_of(each):
            inner = file.relative_to(each.path.parent).with_suffix("").parts  # type: ignore[union-attr]
            name = ".".join(inner[:-1] if inner[-1] == "__init__" else inner)
            imported = sys.modules.get(name)
            if isinstance(imported, ModuleType):
                found.append(imported)
    return found


def has_same_files(left: OwnModule, right: OwnModule) -> bool:
    """Return whether two modules are in one place, or have the same Python files."""
    if left.path is None or right.path is None:
        return left.path is right.path
    if left.path.resolve() == right.path.resolve():
        return True
    files = [
        {file.relative_to(module.path.parent): file.read_bytes() for file in files_of(module)}
        for module in (left, right)
        if module.path is not None
    ]
    return files[0] == files[1]
