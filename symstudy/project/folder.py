"""The folder of a user's studies and claims: which is meant, and who may change it.

The project is the folder given, else `SYMSTUDY_PROJECT`, else the nearest folder above the working
directory whose pyproject.toml has a table `[tool.symstudy]`. Its key `analyses` names the package
of claims, `studies` the folder of study files.

A project that was not named is run only if nobody but the user may change it: the working directory
may be somebody else's folder of results.
"""

import os
import shlex
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from symstudy.errors import ProjectError
from symstudy.ownership import others_in_tree, who_else_may_change

__all__ = ["Project", "check_own", "find_project", "shipped_project"]

PROJECT_FILE = "pyproject.toml"


@dataclass(frozen=True)
class Project:
    """A folder with a pyproject.toml that has a table `[tool.symstudy]`.

    Attributes:
        root: The folder.
        analyses: Its package of claims.
        studies: Its folder of study files.
        is_named: Whether the user named it.
    """

    root: Path
    analyses: Path
    studies: Path
    is_named: bool = False


def find_project(given: Path | None = None) -> Project | None:
    """Return the project that is meant, or None if none is found and none was named.

    Raises:
        ProjectError: If the folder that was named is no project.
    """
    named = given or (
        Path(os.environ["SYMSTUDY_PROJECT"]) if "SYMSTUDY_PROJECT" in os.environ else None
    )
    if named is not None:
        project = read_project(named)
        if project is None:
            raise ProjectError(
                "--project must be a folder whose pyproject.toml has a table [tool.symstudy], but "
                f"got {str(named)!r}."
            )
        return replace(project, is_named=True)
    here = Path.cwd()
    for folder in (here, *here.parents):
        project = read_project(folder)
        if project is not None:
            return project
    return None


def read_project(folder: Path) -> Project | None:
    """Return `folder` as a project, or None if it is none."""
    try:
        with (folder / PROJECT_FILE).open("rb") as file:
            table = tomllib.load(file).get("tool", {}).get("symstudy")
    except (OSError, tomllib.TOMLDecodeError):
        return None
    if not isinstance(table, dict):
        return None
    return Project(
        root=folder.absolute(),
        analyses=folder.absolute() / str(table.get("analyses", "analysis")),
        studies=folder.absolute() / str(table.get("studies", "studies")),
    )


def check_own(project: Project) -> None:
    """Check that a project was named, or is one that nobody but the user may change.

    Raises:
        ProjectError: If not.
    """
    if project.is_named:
        return
    for path in (project.root, project.root / PROJECT_FILE):
        if who := who_else_may_change(path):
            raise foreign_error(project, path, who)
    if project.analyses.is_dir() and (found := others_in_tree(project.analyses)):
        raise foreign_error(project, *found)


def foreign_error(project: Project, path: Path, who: str) -> ProjectError:
    """Return the error that somebody else may change what would be run."""
    return ProjectError(
        "claims are code, so a project that is not named must be your own, but of "
        f"{str(path)!r} {who}. If you trust it, name it: --project {shlex.quote(str(project.root))}"
        "; else name yours, or type the command in another folder."
    )


def shipped_project() -> Project | None:
    """Return the studies and claims that come with symstudy; None where they are left out.

    In the wheel they are in the folder `shipped` of the package, in a checkout beside it.
    """
    package = Path(__file__).parents[1]
    for root in (package / "shipped", package.parent):
        if (root / "studies" / "smoke.toml").is_file() and (root / "analysis").is_dir():
            return Project(root=root, analyses=root / "analysis", studies=root / "studies")
    return None
