"""The runtime environment of Ray workers: the user's own modules, and where the results are.

A model `package.module:Class` is looked for beside the study file, then in the working directory,
then among what Python can import. What is installed in a site-packages folder is taken to be
installed on every node; the rest travels with the study, as the whole top-level package or as the
one file. So do the modules that it imports and that are not installed, found by parsing, without
running any code.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from symstudy.components import texts_of
from symstudy.components.own_modules import OwnModule, find_module, with_imports
from symstudy.datasets.readers.cache import cache_folder
from symstudy.datasets.readers.places import TRAVELLING
from symstudy.errors import LaunchError
from symstudy.identity import digest
from symstudy.study import Study
from symstudy.study.own_names import data_tables, own_names, study_cells

__all__ = [
    "OwnModule",
    "make_importable",
    "own_modules",
    "require_files",
    "runtime_environment",
    "travelling_data",
]

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Where an object store is. Credentials never travel: Ray shows a job's environment to whoever may
see the cluster, so every node must have its own."""

LARGEST_DATA_BYTES = 64 << 20
"""Data files of a study that travel with it are at most so large, all together."""

IN_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the driver of a submitted job, whose environment all its workers have already."""


def own_modules(study: Study) -> list[OwnModule]:
    """Return the top-level modules that `study` needs, without importing any.

    They are those that its parts come from, and those of the user's own that they import.

    Raises:
        LaunchError: If there is no such module.
    """
    found = {}
    for kind in sorted(own_names(study)):
        name = kind.partition(":")[0].partition(".")[0]
        if name != "symstudy":
            found[name] = needed_module(name, kind, search_places(study))
    return with_imports(found.values())


def require_files(study: Study) -> None:
    """Check that trained weights that `study` measures, and data that it trains on, are there.

    Raises:
        LaunchError: If one is not.
    """
    trained = [cell for cell in study_cells(study) if not cell.is_program]
    missing = sorted({cell.model.missing for cell in trained if cell.model.missing})
    if missing:
        raise LaunchError(
            f"model.path must name files of weights, but there is none at {', '.join(missing)}. "
            "Download them first, or type model.path=FILE."
        )
    absent = dict.fromkeys(table.to_fetch for table in data_tables(study) if table.to_fetch)
    if absent:
        raise LaunchError(". ".join(absent))


def search_places(study: Study) -> list[Path]:
    """Return the folders in which modules of `study` are looked for first."""
    beside = [Path(study.source).absolute().parent] if Path(study.source).is_file() else []
    return [*beside, Path.cwd()]


def needed_module(name: str, kind: str, places: Iterable[Path]) -> OwnModule:
    """Return the module called `name`.

    Raises:
        LaunchError: If it is neither in one of `places` nor importable.
    """
    found = find_module(name, places)
    if found is None:
        raise LaunchError(
            f"{kind!r} must name a module beside the study file, in the working directory or "
            f"installed, but found no {name!r}. Type it as package.module:Class, "
            "or run from the folder that holds it."
        )
    return found


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
    if is_remote and IN_JOB not in os.environ:
        paths += staged_data(study)
    if paths:
        environment["py_modules"] = [str(path) for path in paths]
    return environment


def travelling_data(study: Study) -> dict[Path, Path]:
    """Return the data files that travel with a study, by their places in its folder.

    They are those in the folder of the study file, or below it, if all of them together are small.
    """
    if not Path(study.source).is_file():
        return {}
    folder = Path(study.source).absolute().parent
    files = {file for data in data_tables(study) for file in data.own_files()}
    found = {file.relative_to(folder): file for file in files if file.is_relative_to(folder)}
    if sum(file.stat().st_size for file in found.values()) > LARGEST_DATA_BYTES:
        return {}
    return found


def staged_data(study: Study) -> list[Path]:
    """Return a folder with copies of the data files that travel; none where there are none."""
    files = travelling_data(study)
    if not files:
        return []
    key = digest("|".join(sorted({texts_of(data).identity for data in data_tables(study)})))
    target = cache_folder() / f"travelling-{key}" / TRAVELLING
    for place, file in files.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / place)
    return [target]


def make_importable(study: Study) -> None:
    """Add the folders of the study's own modules to `sys.path` of this process.

    Raises:
        LaunchError: If a module of the study is not found.
    """
    for module in own_modules(study):
        if module.path is not None and str(module.path.parent) not in sys.path:
            sys.path.append(str(module.path.parent))
