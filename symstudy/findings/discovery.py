"""Finding a project and its analyses, without touching `sys.path`.

Analyses are listed by reading their sources, and run only to be used.

The claims of a package of analyses are the files of its folder `claims`, or those of the package
itself, side by side.

The project is the folder given, else `SYMSTUDY_PROJECT`, else the nearest folder above the working
directory whose pyproject.toml has a table `[tool.symstudy]`. Its key `analyses` names the package
of claims, `studies` the folder of study files. Other packages add claims by the entry-point group
`symstudy.analyses`.

A project that was not named is run only if nobody but the user may change it: the working directory
may be somebody else's folder of results.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import os
import shlex
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from symstudy.errors import ProjectError, unknown_name
from symstudy.findings.claim import Claim, registered_claims
from symstudy.ownership import others_in_tree, who_else_may_change

__all__ = [
    "Listed",
    "Project",
    "check_own",
    "find_project",
    "list_claims",
    "load_claims",
    "pick_claims",
]

GROUP = "symstudy.analyses"
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


@dataclass(frozen=True)
class Listed:
    """A claim as read from its source.

    Attributes:
        name: Name of its file.
        title: What it is about.
        statement: What is claimed.
        study: Study made for it.
        reference: Where it comes from.
        rule: Its decision rule, in words or as it is declared.
    """

    name: str
    title: str
    statement: str
    study: str
    reference: str
    rule: str


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


def list_claims(project: Project | None) -> list[Listed]:
    """Return the claims of the project and of installed packages, read from their sources alone."""
    folders = [project.analyses] if project and project.analyses.is_dir() else []
    for point in importlib.metadata.entry_points(group=GROUP):
        spec = importlib.util.find_spec(point.value)
        folders += [
            Path(place) for place in (spec.submodule_search_locations or [] if spec else [])
        ]
    found = []
    for folder in folders:
        for path in claim_files(folder):
            listed = read_claim(path)
            if listed is not None:
                found.append(listed)
    return found


def claim_files(folder: Path) -> list[Path]:
    """Return the modules of a package of analyses and of its folder `claims`."""
    return sorted(folder.glob("*.py")) + sorted((folder / "claims").glob("*.py"))


def read_claim(path: Path) -> Listed | None:
    """Return the claim that the file declares, or None if it declares none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if not (isinstance(node, ast.FunctionDef) and node.name in {"judge", path.stem}):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("claim"):
                values = {
                    str(keyword.arg): ast.literal_eval(keyword.value)
                    for keyword in decorator.keywords
                    # Made of calls and constants of the file, which is not run here.
                    if keyword.arg != "tests"
                }
                return Listed(name=path.stem, **{"rule": declaration(node), **values})
    return None


def declaration(node: ast.FunctionDef) -> str:
    """Return the rule that a function declares, as its source has it."""
    returned = [ast.unparse(s.value) for s in node.body if isinstance(s, ast.Return) and s.value]
    return returned[-1] if returned else ""


def load_claims(project: Project | None) -> dict[str, Claim]:
    """Import the analyses of the project and of installed packages; return their claims by name.

    Raises:
        ProjectError: If the project's package cannot be imported, or somebody else may change it.
    """
    if project and project.analyses.is_dir():
        check_own(project)
        load_package(project.analyses)
    for point in importlib.metadata.entry_points(group=GROUP):
        point.load()
    return registered_claims()


def pick_claims(project: Project | None, names: list[str]) -> dict[str, Claim]:
    """Return the claims called `names`, or all of them if none is named.

    Raises:
        UnknownNameError: If there is no claim of a name.
        ProjectError: If the project's package cannot be imported.
    """
    claims = load_claims(project)
    for name in names:
        if name not in claims:
            raise unknown_name("CLAIM", name, sorted(claims))
    return {name: claims[name] for name in names or claims}


def load_package(folder: Path) -> None:
    """Import the package in `folder` under the folder's own name, with all of its modules.

    Raises:
        ProjectError: If another package of that name is loaded already.
    """
    name = folder.name
    present = sys.modules.get(name)
    if present is not None and not is_package_in(present, folder):
        raise ProjectError(
            f"the analyses of a project must have a package name of their own, but {name!r} is "
            f"both {folder} and {getattr(present, '__file__', None)}. Rename the folder in "
            "[tool.symstudy]."
        )
    if present is None:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None or not (folder / "__init__.py").is_file():
            raise ProjectError(
                f"analyses in [tool.symstudy] must name a package, but {folder} has no __init__.py."
            )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    for path in claim_files(folder):
        if not path.stem.startswith("_"):
            relative = path.relative_to(folder).with_suffix("")
            importlib.import_module(".".join((name, *relative.parts)))


def is_package_in(module: object, folder: Path) -> bool:
    """Return whether `module` is the package in `folder`."""
    places = getattr(module, "__path__", [])
    return any(Path(place).resolve() == folder.resolve() for place in places)
