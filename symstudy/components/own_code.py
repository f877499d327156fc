"""Code of the user's own that a study file names as `package.module:Name`.

A module is looked for beside the study file, then in the working directory, then among what Python
can import. What is installed in a site-packages folder is taken to be installed on every node; the
rest travels with the study. A run is known by the source of such code too: a module that has
changed makes other runs.
"""

import ast
import contextlib
import contextvars
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.errors import ModelError

__all__ = [
    "OwnModule",
    "find_module",
    "load_own",
    "looking_in",
    "named_by_results",
    "search_places",
    "siblings",
    "source_hash",
    "source_of",
]

IN_WORKING_DIRECTORY = contextvars.ContextVar("in_working_directory", default=True)
PLACES: contextvars.ContextVar[tuple[Path, ...]] = contextvars.ContextVar("places", default=())

LOADED: dict[str, str] = {}
"""What identified the source of each top-level module when `load_own` first imported it."""


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
    is_installed = found is None or bool({"site-packages", "dist-packages"} & set(found.parts))
    return OwnModule(name, None if is_installed else found)


def location_of(spec: importlib.machinery.ModuleSpec) -> Path | None:
    """Return the folder of a package or the file of a module; None if it has neither."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.has_location and spec.origin else None


def load_own(name: str, key: str) -> Any:
    """Return the object that `name`, `package.module:Name`, stands for, importing its module.

    Args:
        name: Import path and name, separated by a colon.
        key: Key of the study file that names it, for the message.

    Raises:
        ModelError: If there is no such module or object, or importing it fails.
    """
    path, _, attribute = name.partition(":")
    found = find_module(path.partition(".")[0])
    if found is not None and found.path is not None:
        folder = str(found.path.parent)
        if folder not in sys.path:
            sys.path.append(folder)
    top = path.partition(".")[0]
    if top not in sys.modules or top not in LOADED:
        LOADED[top] = source_of(name)
    try:
        module = importlib.import_module(path)
    except Exception as error:
        raise ModelError(
            f"{key} must name an importable module, but got {name!r}: "
            f"{type(error).__name__}: {str(error).rstrip('.')}. {import_advice(path, error)}"
        ) from error
    if not hasattr(module, attribute):
        raise ModelError(
            f"{key} must name something that its module has, but {path!r} has no {attribute!r}."
        )
    return getattr(module, attribute)


def import_advice(path: str, error: Exception) -> str:
    """Return what to do about the error that importing the module called `path` raised."""
    if isinstance(error, ModuleNotFoundError) and f"{path}.".startswith(f"{error.name}."):
        return (
            "Put the module beside the study file, run from the folder that holds it, or install "
            f"the package that has {error.name!r}."
        )
    return (
        f"The module is there, but importing it fails; for the whole traceback type "
        f"`python -c 'import {path}'` in its folder."
    )


def changed_source(name: str, planned: str) -> str:
    """Return how the source behind `package.module:Name` differs from what was planned.

    Args:
        name: Import path and name.
        planned: What `source_of` returned when the study was planned.

    Returns:
        A clause with the line to type; empty if nothing differs.
    """
    top = name.partition(":")[0].partition(".")[0]
    if source_of(name) != planned:
        return (
            f"but the source of {name!r} has changed since. Put it back as it was, or type "
            "`symstudy run STUDY --extend`: the changed code makes runs of their own"
        )
    if LOADED.get(top, planned) != planned:
        return (
            f"but this process imported {name!r} before it was changed. Start Python again, then "
            "run the same study"
        )
    return ""


def source_of(name: str) -> str:
    """Return what identifies the code behind `package.module:Name`, without importing it.

    For a module of the user's own it is the SHA-256 of its source and of all modules beside it that
    it imports, and theirs; for an installed one, the name and version of its distribution; empty
    where there is no such module.
    """
    top = name.partition(":")[0].partition(".")[0]
    found = find_module(top)
    if found is None:
        return ""
    if found.path is None:
        return installed_version(top)
    return source_hash(found.path)


@functools.cache
def installed_version(name: str) -> str:
    """Return `distribution==version` of an installed module; its name alone for Python's own.

    The label after the version of torch says for which devices it was built: it is the same code.
    """
    for distribution in importlib.metadata.packages_distributions().get(name, [])[:1]:
        version = importlib.metadata.version(distribution)
        public = version.partition("+")[0] if distribution == "torch" else version
        return f"{distribution}=={public}"
    return name


def source_hash(path: Path) -> str:
    """Return the SHA-256 of a file or of a package's files, and of what they import beside them."""
    found: dict[str, OwnModule] = {}
    waiting = [OwnModule(path.stem, path)]
    while waiting:
        module = waiting.pop()
        found[module.name] = module
        waiting += [each for each in siblings(module) if each.name not in found]
    files = sorted(file for module in found.values() for file in files_of(module))
    total = hashlib.sha256()
    for file in files:
        source = file.read_bytes()
        total.update(f"{file.relative_to(path.parent)}|{len(source)}|".encode())
        total.update(source)
    return total.hexdigest()


def files_of(module: OwnModule) -> list[Path]:
    """Return the Python files of a module; none where it is installed."""
    if module.path is None:
        return []
    return [module.path] if module.path.is_file() else sorted(module.path.rglob("*.py"))


def siblings(module: OwnModule) -> list[OwnModule]:
    """Return the top-level modules in the folder of `module` that its files import."""
    if module.path is None:
        return []
    names = sorted({name for file in files_of(module) for name in imported_names(file)})
    known = {*sys.stdlib_module_names, "symstudy", module.name}
    beside = [(name, module_in(module.path.parent, name)) for name in names if name not in known]
    return [OwnModule(name, path) for name, path in beside if path is not None]


def imported_names(file: Path) -> set[str]:
    """Return the top-level names that a Python file imports; none if it cannot be parsed."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Importing it says what is wrong, with the line.
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def module_in(place: Path, name: str) -> Path | None:
    """Return the file or package folder of the module `name` in `place`; None if it has none."""
    folder, file = place / name, place / f"{name}.py"
    if folder.is_dir() and any(folder.glob("**/*.py")):
        return folder
    return file if file.is_file() else None
