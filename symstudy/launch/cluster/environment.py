"""What travels to the workers with a study: the user's own modules, and where the results are.

A model `package.module:Class` is looked for beside the study file, then in the working directory,
then among what Python can import. What is installed in a site-packages folder is taken to be
installed on every node; the rest travels with the study, as the whole top-level package or as the
one file.
"""

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.components import items_of
from symstudy.errors import LaunchError
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
    """A top-level module or package that a study needs.

    Attributes:
        name: As it is imported.
        path: The file or the package's folder; None if it is installed.
    """

    name: str
    path: Path | None


def own_modules(study: Study) -> list[OwnModule]:
    """Return the top-level modules that the models of `study` come from, without importing any.

    Raises:
        LaunchError: If there is no such module.
    """
    found = {}
    for kind in sorted(own_names(study)):
        name = kind.partition(":")[0].partition(".")[0]
        if name != "symstudy":
            found[name] = find_module(name, kind, search_places(study))
    return list(found.values())


def own_names(study: Study) -> set[str]:
    """Return what the components of `study` name as `package.module:Name`."""
    names = {
        value
        for cell in study.cells
        for component in cell.tables.values()
        for _, field, value in items_of(component)
        if field.name == "kind" or field.choice is not None
    }
    names |= {name for cell in study.cells for name in cell.probe.measures}
    return {name for name in names if ":" in name}


def require_weights(study: Study) -> None:
    """Raise if trained weights that `study` measures are not there.

    Raises:
        LaunchError: If a file is not there.
    """
    missing = sorted({cell.model.missing for cell in study.cells if cell.model.missing})
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
        for path in (place / name, place / f"{name}.py"):
            if path.suffix == ".py" and path.is_file():
                return OwnModule(name, path)
            if path.is_dir() and any(path.glob("**/*.py")):
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
        study: What is trained.
        is_remote: Whether the cluster was there before: a local one has this process' environment.

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
    """Let this process import the modules of `study`, as its workers can.

    Raises:
        LaunchError: If a module of the study is not found.
    """
    for module in own_modules(study):
        if module.path is not None and str(module.path.parent) not in sys.path:
            sys.path.append(str(module.path.parent))
