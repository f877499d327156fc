"""Importing the claims of a project, without touching `sys.path`.

Where they lie is said in `symstudy.project.listing`, which lists them and runs nothing. Where a
claim is neither in the project nor in an installed package, the shipped ones are looked through.

A file that cannot be read or imported is left out and told of: it stops no other claim.
"""

import importlib
import importlib.util
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from symstudy.components.in_memory import differing_name, was_edited
from symstudy.errors import ProjectError, unknown_name
from symstudy.findings.claim import SHIPPED, Claim, declarations, restore
from symstudy.installed import installed_points
from symstudy.project.folder import Project, check_own, shipped_project
from symstudy.project.listing import GROUP, Say, claim_files, described, warn

__all__ = [
    "load_claims",
    "pick_claims",
]


class Loaded(NamedTuple):
    """The claims that could be imported, and why others could not.

    Attributes:
        claims: Claims by name.
        broken: For the name of each file that failed, what is wrong with it.
    """

    claims: dict[str, Claim]
    broken: dict[str, str]


def load_claims(
    project: Project | None, say: Say = warn, *, needed: Iterable[str] = ()
) -> dict[str, Claim]:
    """Import the claims of the project and of installed packages; return them by name.

    A file that fails is left out and told of; the others are there all the same.

    Args:
        project: The project, if there is one.
        say: Is told of each file that failed.
        needed: Names that are looked for among the shipped claims too, if they are not there.

    Raises:
        ProjectError: If the project's package cannot be imported, or somebody else may change it.
        UserError: If one that is needed failed.
    """
    loaded = import_claims(project, needed)
    for name in needed:
        if name not in loaded.claims and name in loaded.broken:
            raise ProjectError(loaded.broken[name])
    for message in loaded.broken.values():
        say(message)
    return loaded.claims


def import_claims(project: Project | None, needed: Iterable[str]) -> Loaded:
    """Import the claims of the project and of installed packages, and shipped ones if need be."""
    broken: dict[str, str] = {}
    if project and project.analyses.is_dir():
        check_own(project)
        broken.update(load_package(project.analyses, project.analyses.name))
    for point in installed_points(GROUP):
        try:
            point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # code of others may raise anything
            broken[point.name] = f"the claims of {point.value} are left out: {described(error)}"
    shipped = shipped_project()
    is_lacking = project is None or any(name not in declarations() for name in needed)
    if shipped is not None and is_lacking and shipped != project:
        taken = {*declarations(), *broken}
        broken.update(load_package(shipped.analyses, SHIPPED, taken))
    claims: dict[str, Claim] = {}
    for name, declared in declarations().items():
        if changed := changed_since(declared.module):
            broken[name] = (
                f"claim {name!r} is left out: {changed} is not what this process imported. Start "
                "Python again: what judges would not be what the file says"
            )
            continue
        try:
            claims[name] = declared.claim
        except Exception as error:  # noqa: BLE001  # a rule is declared by code of the user's
            broken[name] = f"claim {name!r} is left out: {described(error)}"
    return Loaded(claims, broken)


def changed_since(module: ModuleType) -> str:
    """Return the file of a claim, or one that its package shares, that was changed since import.

    Args:
        module: Module of the claim.

    Returns:
        The path; empty if there is none.
    """
    package = module.__name__.partition(".")[0]
    if package == SHIPPED.partition(".")[0]:
        return ""
    own = [
        each
        for name, each in list(sys.modules.items())
        if each is module or (name.partition(".")[0] == package and not is_claim(name))
    ]
    changed = [each for each in own if was_edited(each) or differing_name(each)]
    return str(changed[0].__file__) if changed else ""


def is_claim(name: str) -> bool:
    """Return whether the module called `name` has declared a claim."""
    return any(each.function.__module__ == name for each in declarations().values())


def pick_claims(project: Project | None, names: list[str], say: Say = warn) -> dict[str, Claim]:
    """Return the claims called `names`, or all of them if none is named.

    Raises:
        UnknownNameError: If there is no claim of a name.
        ProjectError: If the project's package cannot be imported.
        UserError: If the file of a named claim fails.
    """
    claims = load_claims(project, say, needed=names)
    for name in names:
        if name not in claims:
            raise unknown_name("CLAIM", name, sorted(claims))
    return {name: claims[name] for name in names or claims}


def load_package(folder: Path, name: str, taken: Collection[str] = ()) -> dict[str, str]:
    """Import the package in `folder` under a name, with all of its modules.

    Args:
        folder: The package.
        name: What it is imported as.
        taken: Names of modules that are passed over, since another package has such claims.

    Returns:
        For each module that failed, by its last name, what is wrong with it; none of its claims
        is registered.

    Raises:
        ProjectError: If another package of that name is loaded already, or this one fails.
    """
    import_root(folder, name)
    broken: dict[str, str] = {}
    for path in claim_files(folder):
        if path.stem.startswith("_") or path.stem in taken:
            continue
        relative = path.relative_to(folder).with_suffix("")
        before = declarations()
        try:
            importlib.import_module(".".join((name, *relative.parts)))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # code of the user may raise anything
            restore(before)
            broken[path.stem] = f"claim {path.stem!r} is left out: {path}: {described(error)}"
    return broken


def import_root(folder: Path, name: str) -> None:
    """Import the package in `folder` itself under a name.

    Raises:
        ProjectError: If another package of that name is loaded already, or this one fails.
    """
    present = sys.modules.get(name)
    if present is not None and not is_package_in(present, folder):
        raise ProjectError(
            f"the analyses of a project must have a package name of their own, but {name!r} is "
            f"both {folder} and {getattr(present, '__file__', None)}. Rename the folder in "
            "[tool.symstudy]."
        )
    if present is not None:
        return
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None or not (folder / "__init__.py").is_file():
        raise ProjectError(
            f"analyses in [tool.symstudy] must name a package, but {folder} has no __init__.py. "
            f"Type: touch '{folder / '__init__.py'}'"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ProjectError(
            f"the package of analyses must be importable, but {folder / '__init__.py'} is not: "
            f"{described(error)}"
        ) from error


def is_package_in(module: object, folder: Path) -> bool:
    """Return whether `module` is the package in `folder`."""
    places = getattr(module, "__path__", [])
    return any(Path(place).resolve() == folder.resolve() for place in places)
