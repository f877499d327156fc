"""What comes with symstudy and can be copied: studies, their claims, and files for clusters."""

import ast
import shutil
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from symstudy.errors import ProjectError, unknown_name
from symstudy.project.folder import Project, check_own, find_project, shipped_project

__all__ = ["Copied", "copy_shipped", "find_study", "what_is_shipped"]

HEADING = '[tool.symstudy]\nanalyses = "analysis"\nstudies = "."\n'


class Copied(NamedTuple):
    """What was written.

    Attributes:
        paths: Files and folders.
        missing: Lines that the project's pyproject.toml lacks for the claims to be found; empty
            if it has them.
    """

    paths: list[Path]
    missing: str


def find_study(given: Path) -> Path:
    """Return the study file that is meant: a path, or the name of a study here or shipped.

    Raises:
        ProjectError: If it is a study of a project that somebody else may change.
    """
    if given.exists() or given.suffix or given.name != str(given):
        return given
    project, shipped = find_project(), shipped_project()
    if project is not None and (named := project.studies / f"{given}.toml").is_file():
        # It was not named, and modules beside a study file are run.
        check_own(project)
        return named
    if shipped is not None and (named := shipped.studies / f"{given}.toml").is_file():
        return named
    return given


def what_is_shipped(shipped: Project) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return the studies, and the folders of files for a kind of cluster, by name and in order."""
    studies = {path.stem: path for path in sorted(shipped.studies.glob("*.toml"))}
    folders = sorted(path for path in (shipped.root / "cluster").glob("*") if path.is_dir())
    return studies, {path.name: path for path in folders}


def copy_shipped(name: str, target: Path, *, claims: bool) -> Copied:
    """Copy a shipped study, or the files for a kind of cluster, into a folder.

    Args:
        name: Name of a study or of a folder of cluster files.
        target: Folder to write to; it is made.
        claims: Whether the claims that the study serves are copied too, into `analysis`.

    Raises:
        UnknownNameError: If nothing of that name is shipped.
        ProjectError: If a file is there already; nothing is written then.
    """
    shipped = shipped_project()
    if shipped is None:
        raise ProjectError(
            "symstudy must be installed with its studies, but they are not beside the package. "
            "Install it again: pip install --force-reinstall symstudy"
        )
    studies, clusters = what_is_shipped(shipped)
    if name in clusters:
        return write_all({target / name: clusters[name]}, "")
    if name not in studies:
        raise unknown_name("what to copy", name, [*studies, *clusters])
    files = {target / f"{name}.toml": studies[name]}
    if not claims:
        return write_all(files, "")
    served = tomllib.loads(studies[name].read_text(encoding="utf-8")).get("claims", [])
    for source in claim_sources(shipped, served):
        files[target / "analysis" / source.relative_to(shipped.analyses)] = source
    project = target / "pyproject.toml"
    copied = write_all(files, "")
    if not project.exists():
        project.write_text(HEADING, encoding="utf-8")
        return Copied([*copied.paths, project], "")
    is_project = "symstudy" in tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
    return copied if is_project else copied._replace(missing=HEADING)


def write_all(files: dict[Path, Path], missing: str) -> Copied:
    """Copy files and folders, if none of them is there.

    Args:
        files: From what is written to what is copied. A package's `__init__.py` that is there is
            kept.
        missing: What to tell of the project.

    Raises:
        ProjectError: If one is there already, or cannot be written.
    """
    kept = {path for path in files if path.name == "__init__.py" and path.exists()}
    there = [path for path in files if path.exists() and path not in kept]
    if there:
        raise ProjectError(
            f"copy must not overwrite anything, but {str(there[0])!r} is there. Type --to FOLDER "
            "for another place."
        )
    try:
        for path, source in files.items():
            if path not in kept:
                copy_one(source, path)
    except OSError as error:
        raise ProjectError(
            f"--to must be a folder that can be written, but got {error.filename!r}: "
            f"{error.strerror}."
        ) from error
    return Copied([path for path in files if path not in kept], missing)


def copy_one(source: Path, path: Path) -> None:
    """Copy a file or a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, path, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, path)


def claim_sources(project: Project, names: Iterable[str]) -> list[Path]:
    """Return the files of claims, of the modules beside them that they use, and of the packages."""
    folder = project.analyses / "claims"
    found: dict[Path, None] = {}
    waiting = [folder / f"{name}.py" for name in names]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found[path] = None
        waiting += used_by(path)
    packages = {path.parent / "__init__.py" for path in found}
    return sorted({*found, *packages, project.analyses / "__init__.py"}) if found else []


def used_by(path: Path) -> Iterator[Path]:
    """Yield the modules that a file imports from its own package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            if node.module:
                yield folder.joinpath(*node.module.split(".")).with_suffix(".py")
            yield from (
                folder.joinpath(*(node.module or "").split("."), f"{alias.name}.py")
                for alias in node.names
            )
