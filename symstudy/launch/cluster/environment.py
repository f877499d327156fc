"""The runtime environment of Ray workers: the user's own modules, and where the results are.

A model `package.module:Class` is looked for beside the study file, then in the working directory,
then among what Python can import. What is installed in a site-packages folder is taken to be
installed on every node; the rest travels with the study, as the whole top-level package or as the
one file. So do the modules beside it that it imports, found by parsing, without running any code.
"""

import ast
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.errors import LaunchError
from symstudy.models.configs import CustomConfig, PretrainedConfig
from symstudy.study import Study

__all__ = [
    "OwnModule",
    "make_importable",
    "own_modules",
    "require_weights",
    "runtime_environment",
]

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Where an object store is. Credentials never travel: Ray shows a job's environment to whoever may
see the cluster, so every node must have its own."""

IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the driver of a submitted job, whose environment all its workers have already."""


class OwnModule(NamedTuple):
    """A top-level module or package of the user's own that a study needs.

    Attributes:
        name: Name by which it is imported.
        path: Path of the file or of the package's folder; None if it is installed.
    """

    name: str
    path: Path | None


def own_modules(study: Study) -> list[OwnModule]:
    """Return the top-level modules that `study` needs, without importing any.

    They are those that its models come from, and those beside them that they import.

    Raises:
        LaunchError: If there is no such module.
    """
    kinds = {cell.model.kind for cell in study.cells if isinstance(cell.model, CustomConfig)}
    found = {}
    for kind in sorted(kinds):
        name = kind.partition(":")[0].partition(".")[0]
        if name != "symstudy":
            found[name] = find_module(name, kind, search_places(study))
    waiting = list(found.values())
    while waiting:
        new = [sibling for sibling in siblings(waiting.pop()) if sibling.name not in found]
        found.update({sibling.name: sibling for sibling in new})
        waiting += new
    return list(found.values())


def siblings(module: OwnModule) -> list[OwnModule]:
    """Return the top-level modules in the folder of `module` that its files import."""
    if module.path is None:
        return []
    files = [module.path] if module.path.is_file() else sorted(module.path.rglob("*.py"))
    names = sorted({name for file in files for name in imported_names(file)})
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


def require_weights(study: Study) -> None:
    """Check that the files of trained weights that `study` measures are there.

    Raises:
        LaunchError: If one is not.
    """
    models = [cell.model for cell in study.cells if isinstance(cell.model, PretrainedConfig)]
    missing = sorted({model.path for model in models if not model.content})
    if missing:
        raise LaunchError(
            f"model.path must name files of weights, but there is none at {', '.join(missing)}. "
            "Download them first, or type model.path=FILE."
        )


def search_places(study: Study) -> list[Path]:
    """Return the folders in which modules of `study` are looked for first."""
    beside = [Path(study.source).absolute().parent] if Path(study.source).is_file() else []
    return [*beside, Path.cwd()]


def find_module(name: str, kind: str, places: Iterable[Path]) -> OwnModule:
    """Return the module called `name`.

    Raises:
        LaunchError: If it is neither in one of `places` nor importable.
    """
    for place in places:
        path = module_in(place, name)
        if path is not None:
            return OwnModule(name, path)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise LaunchError(
            f"model.kind must name a module beside the study file, in the working directory or "
            f"installed, but got {kind!r} and found no {name!r}. Type it as package.module:Class, "
            "or run from the folder that holds it."
        )
    found = location_of(spec)
    is_installed = found is None or bool({"site-packages", "dist-packages"} & set(found.parts))
    return OwnModule(name, None if is_installed else found)


def location_of(spec: importlib.machinery.ModuleSpec) -> Path | None:
    """Return the folder of a package or the file of a module; None if it has neither."""
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.has_location and spec.origin else None


def runtime_environment(study: Study, *, is_remote: bool) -> dict[str, Any]:
    """Return Ray's `runtime_env` for the workers of `study`; empty where they need nothing.

    Args:
        study: Study to train.
        is_remote: Whether the cluster was running before; a local one inherits this environment.

    Raises:
        LaunchError: If a module of the study is not found.
    """
    modules = own_modules(study)
    environment: dict[str, Any] = {}
    paths = [module.path for module in modules if module.path is not None]
    if IN_JOB in os.environ:
        # The job's working directory is on its workers' path, and Ray merges no variables.
        paths = [path for path in paths if not path.is_relative_to(Path.cwd())]
    elif is_remote:
        variables = {name: os.environ[name] for name in VARIABLES if name in os.environ}
        environment |= {"env_vars": variables} if variables else {}
    if paths:
        environment["py_modules"] = [str(path) for path in paths]
    return environment


def make_importable(study: Study) -> None:
    """Add the folders of the study's own modules to `sys.path` of this process.

    Raises:
        LaunchError: If a module of the study is not found.
    """
    for module in own_modules(study):
        if module.path is not None and str(module.path.parent) not in sys.path:
            sys.path.append(str(module.path.parent))
