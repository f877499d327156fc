"""Finding the claims of a project, without touching `sys.path`.

Analyses are listed by reading their sources, and run only to be used.

The claims of a package of analyses are the files of its folder `claims`, or those of the package
itself, side by side. Other packages add claims by the entry-point group `symstudy.analyses`, and
where a claim is in neither, the shipped ones are looked through.

A file that cannot be read or imported is left out and told of: it stops no other claim.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from symstudy.errors import ProjectError, UserError, unknown_name
from symstudy.findings.claim import SHIPPED, Claim, declarations, restore
from symstudy.findings.project import Project, check_own, shipped_project

__all__ = [
    "Listed",
    "list_claims",
    "load_claims",
    "pick_claims",
]

GROUP = "symstudy.analyses"

Say = Callable[[str], object]
"""Takes a message for the user."""


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


def warn(message: str) -> None:
    """Tell of a broken claim where nobody else does."""
    warnings.warn(message, stacklevel=3)


def list_claims(project: Project | None, say: Say = warn) -> list[Listed]:
    """Return the claims of the project and of installed packages, read from their sources alone.

    Args:
        project: The project; where there is none, the claims that come with symstudy are listed.
        say: Is told of each file that cannot be read as a claim; it is left out.
    """
    found: dict[str, Listed] = {}
    for folder in claim_folders(project, say):
        seen: dict[str, Path] = {}
        for path in claim_files(folder):
            try:
                listed = read_claim(path)
            except (OSError, SyntaxError, ValueError, TypeError) as error:
                say(f"claim {path.stem!r} is left out: {path} cannot be read: {described(error)}")
                continue
            if listed is None:
                continue
            if listed.name in seen:
                say(both_called(listed.name, seen[listed.name], path))
            seen[listed.name] = path
            found.setdefault(listed.name, listed)
    return list(found.values())


def claim_folders(project: Project | None, say: Say) -> list[Path]:
    """Return the packages of claims: the project's or else the shipped one, and those installed."""
    shown = project or shipped_project()
    folders = [shown.analyses] if shown and shown.analyses.is_dir() else []
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            spec = importlib.util.find_spec(point.value)
        except Exception as error:  # noqa: BLE001  # the parent package of someone else runs here
            say(f"the claims of {point.value} are left out: {described(error)}")
            continue
        folders += [
            Path(place) for place in (spec.submodule_search_locations or [] if spec else [])
        ]
    return folders


def described(error: BaseException) -> str:
    """Return what went wrong and in which line, as a sentence."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, UserError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{place}"


def both_called(name: str, first: object, second: object) -> str:
    """Return the message that two claims have one name."""
    return (
        f"claims must have different names, but {first} and {second} are both called {name!r}; the "
        "first one counts. Rename one of the files."
    )


def claim_files(folder: Path) -> list[Path]:
    """Return the modules of a package of analyses and of its folder `claims`."""
    return sorted(folder.glob("*.py")) + sorted((folder / "claims").glob("*.py"))


def read_claim(path: Path) -> Listed | None:
    """Return the claim that the file declares, or None if it declares none.

    What is made of calls and names, such as an f-string, is shown as its source: nothing is run.

    Raises:
        SyntaxError: If the file is no Python.
        TypeError: If the decorator lacks one of its arguments.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if not (isinstance(node, ast.FunctionDef) and node.name in {"judge", path.stem}):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("claim"):
                stated = {str(each.arg): text_of(each.value) for each in decorator.keywords}
                missing = [key for key in ("title", "statement", "study", "reference")
                           if key not in stated]  # fmt: skip
                if missing:
                    raise TypeError(f"@claim must be given {missing[0]}=...")
                rule = stated.get("rule", declaration(node))
                return Listed(
                    name=path.stem,
                    title=stated["title"],
                    statement=stated["statement"],
                    study=stated["study"],
                    reference=stated["reference"],
                    rule=rule,
                )
    return None


def text_of(node: ast.expr) -> str:
    """Return the text that an expression stands for, or its source where it has to be run."""
    try:
        return str(ast.literal_eval(node))
    except ValueError:
        return ast.unparse(node)


def declaration(node: ast.FunctionDef) -> str:
    """Return the rule that a function declares, as its source has it."""
    returned = [ast.unparse(s.value) for s in node.body if isinstance(s, ast.Return) and s.value]
    return returned[-1] if returned else ""


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
    for point in importlib.metadata.entry_points(group=GROUP):
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
        try:
            claims[name] = declared.claim
        except Exception as error:  # noqa: BLE001  # a rule is declared by code of the user's
            broken[name] = f"claim {name!r} is left out: {described(error)}"
    return Loaded(claims, broken)


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
