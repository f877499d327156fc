"""Code of the user's own that a study file names as `package.module:Name`.

What is not installed travels with the study. A run is known by the source of such code too, and by
the environment variables that it reads: a module that has changed makes other runs.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from symstudy.components.in_memory import differing_name, was_edited
from symstudy.components.opened_files import files_opened
from symstudy.components.own_modules import (
    OwnModule,
    files_of,
    find_module,
    has_same_files,
    loaded_of,
    location_of,
    with_imports,
)
from symstudy.components.variables_read import values_of
from symstudy.errors import ModelError, choices

__all__ = [
    "changed_source",
    "code_of",
    "files_read_by",
    "load_own",
    "source_hash",
    "source_of",
    "with_content",
]

LOADED: dict[str, str] = {}
"""What identified the source of each top-level module when `load_own` first imported it."""
READ: dict[str, list[Path]] = {}
"""Files of the user's that each module read while `load_own` imported it."""
EDITED = "edited after it was imported"
"""Stands for the source of a module in `LOADED` that was imported before, and then written."""
START_AGAIN = (
    "Start Python again, then run the same study. If it says so again, Python has compiled another "
    "file of this time and size: remove the folder __pycache__ beside it"
)
"""What to type where the code in memory is not that of its file."""
FILES = "+files:"
"""What stands in a source between the hash of the code and that of files that the code reads."""


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
        LOADED[top] = source_in_memory(name)
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
        known = names_of(module)
        raise ModelError(
            f"{key} must name something that its module has, but {path!r} has no {attribute!r}."
            f"{f' {choices(attribute, known)}' if known else ''}"
        )
    return getattr(module, attribute)


def names_of(module: ModuleType) -> list[str]:
    """Return the classes and functions that a module defines, or a package has from its modules."""
    homes = {name: str(getattr(each, "__module__", "")) for name, each in vars(module).items()}
    inside = f"{module.__name__}." if hasattr(module, "__path__") else None
    return [
        name
        for name, home in homes.items()
        if (home == module.__name__ or (inside and home.startswith(inside)))
        and not name.startswith("_")
        and callable(getattr(module, name))
    ]


def source_in_memory(name: str) -> str:
    """Return what identifies the code behind `package.module:Name` that Python has or will import.

    Something else may have imported its modules long before, and their files be others now.
    """
    found = find_module(name.partition(":")[0].partition(".")[0])
    is_edited = found is not None and any(map(was_edited, loaded_of(found)))
    return EDITED if is_edited else source_of(name)


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
            f"folder. {START_AGAIN}"
        )
    if here != planned:
        other = ", or this process imported another module of that name" if imported != here else ""
        restart = "start Python again and " if other else ""
        return (
            f"but the source of {name!r} has changed since{variables_told(top)}{other}. Put it "
            "back as it was, or "
            f"{restart}type `symstudy run STUDY --extend`: the changed code makes runs of their own"
        )
    found = find_module(top)
    for module in loaded_of(found) if found is not None else []:
        if differing := differing_name(module):
            return (
                f"but `{module.__name__}.{differing}` in this process is not what "
                f"{module.__file__} says: the file was changed after Python imported it, or "
                f"something was assigned to the name. {START_AGAIN}"
            )
    return ""


def variables_told(top: str) -> str:
    """Return the environment variables that a module reads, as a part of a sentence."""
    found = find_module(top)
    files = [file for each in with_imports([found]) for file in files_of(each)] if found else []
    names = ", ".join(name for name, _ in values_of(files))
    return f", or the value of an environment variable that it reads ({names})" if names else ""


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

    The values of the environment variables that they read count too, where they read any.
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
    for variable, value in values_of(file for _, file in files):
        total.update(f"environment|{variable}|{value!r}|".encode())
    return total.hexdigest()
