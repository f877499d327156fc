"""The claims of a project, read from their sources: nothing is run.

The claims of a package of analyses are the files of its folder `claims`, or those of the package
itself, side by side. Other packages add claims by the entry-point group `symstudy.analyses`.
"""

import ast
import importlib.util
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from symstudy.errors import UserError
from symstudy.escaping import printable
from symstudy.installed import installed_points
from symstudy.project.folder import Project, shipped_project

__all__ = [
    "GROUP",
    "Listed",
    "Say",
    "claim_files",
    "claim_folders",
    "described",
    "list_claims",
    "warn",
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
    warnings.warn(printable(message), stacklevel=3)


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
    for point in installed_points(GROUP):
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
