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

from symstudy.components.opened_files import files_opened
from symstudy.errors import ModelError

__all__ = [
    "OwnModule",
    "code_of",
    "files_read_by",
    "find_module",
    "load_own",
    "looking_in",
    "named_by_results",
    "search_places",
    "source_hash",
    "source_of",
    "with_content",
    "with_imports",
]

IN_WORKING_DIRECTORY = contextvars.ContextVar("in_working_directory", default=True)
PLACES: contextvars.ContextVar[tuple[Path, ...]] = contextvars.ContextVar("places", default=())

LOADED: dict[str, str] = {}
"""What identified the source of each top-level module when `load_own` first imported it."""
READ: dict[str, list[Path]] = {}
"""Files of the user's that each module read while `load_own` imported it."""
OURS = "symstudy"
"""This package: installed, wherever its files are; a study of its parts knows them by version."""
FILES = "+files:"
"""What stands in a source between the hash of the code and that of files that the code reads."""


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
    is_installed = found is None or bool({"site-packages", "dist-packages"} & set(found.parts))
    return OwnModule(name, None if is_installed else found)


def location_of(spec: importlib.machinery.ModuleSpec) -> Path | None:
    """Return the folder of a package or the Python file of a module; None if it has neither."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if spec.has_location and spec.origin and spec.origin.endswith(".py"):
        return Path(spec.origin)
    return None


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
    is_first = path not in sys.modules
    try:
        with files_opened() as read:
            module = importlib.import_module(path)
    except Exception as error:
        raise ModelError(
            f"{key} must name an importable module, but got {name!r}: "
            f"{type(error).__name__}: {str(error).rstrip('.')}. {import_advice(path, error)}"
        ) from error
    check_imported(found, key)
    if is_first:
        READ[path] = read
    if READ.get(path) and key != "data.kind":
        raise ModelError(
            f"{key} must name a module that reads no files when it is imported, but importing "
            f"{path!r} reads {', '.join(map(str, READ[path]))}: a run would not be known by what "
            "they hold. Read them where a key of [model] or [data] gives their path, or write what "
            "they hold into the module."
        )
    if not hasattr(module, attribute):
        raise ModelError(
            f"{key} must name something that its module has, but {path!r} has no {attribute!r}."
        )
    return getattr(module, attribute)


def check_imported(module: OwnModule | None, key: str) -> None:
    """Check that Python has imported the files that the source of `module` is told by.

    Python knows one module of a name: the first on its path, or one that was imported before.

    Args:
        module: Module that a study names.
        key: Key of the study file that names it, for the message.

    Raises:
        ModelError: If it, or a module of the user's own that it imports, is another one.
    """
    if module is None or module.path is None:
        return
    for each in with_imports([module]):
        spec: Any = getattr(sys.modules.get(each.name), "__spec__", None)
        if spec is None:
            continue
        if not has_same_files(each, OwnModule(each.name, location_of(spec))):
            raise ModelError(
                f"{key} must name a module that Python imports, but `import {each.name}` is not "
                f"{each.path}: Python has another module of that name, {spec.origin}. Give yours "
                "another name; in a notebook, restart Python."
            )


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
    planned = code_of(planned)
    here = source_of(name)
    imported = LOADED.get(top, here) if top in sys.modules else here
    if imported not in (here, planned):
        return (
            f"but this process imported another {name!r}: before it was changed, or from another "
            "folder. Start Python again, then run the same study"
        )
    if here != planned:
        other = ", or this process imported another module of that name" if imported != here else ""
        restart = "start Python again and " if other else ""
        return (
            f"but the source of {name!r} has changed since{other}. Put it back as it was, or "
            f"{restart}type `symstudy run STUDY --extend`: the changed code makes runs of their own"
        )
    return ""


def source_of(name: str) -> str:
    """Return what identifies the code behind `package.module:Name`, without importing it.

    For a module of the user's own it is the SHA-256 of its source and of all modules that it
    imports and that are not installed, and theirs; for an installed one, the name and version of
    its distribution; empty where there is no such module.
    """
    top = name.partition(":")[0].partition(".")[0]
    found = find_module(top)
    if found is None:
        return ""
    if found.path is None:
        return installed_version(top)
    return source_hash(found.path)


def with_content(source: str, content: str) -> str:
    """Return what identifies code together with the files that it reads.

    Args:
        source: What identifies the code.
        content: Hash of the files, by `hash_files`; empty where there are none.
    """
    return f"{source}{FILES}{content}" if content else source


def code_of(source: str) -> str:
    """Return the part of a source that identifies the code alone; see `with_content`."""
    return source.partition(FILES)[0]


def files_read_by(name: str) -> list[Path]:
    """Return the files of the user's that the module of `name` read when it was imported."""
    return READ.get(name.partition(":")[0], [])


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
    """Return the SHA-256 of a file or of a package's files, and of what they import of one's own.

    Where the modules lie does not count: on a worker each may be in a folder of its own.
    """
    files = sorted(
        (file.relative_to(module.path.parent), file)
        for module in with_imports([OwnModule(path.stem, path)])
        if module.path is not None
        for file in files_of(module)
    )
    total = hashlib.sha256()
    for name, file in files:
        source = file.read_bytes()
        total.update(f"{name}|{len(source)}|".encode())
        total.update(source)
    return total.hexdigest()


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
