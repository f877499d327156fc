"""The code that decides a claim: everything that its rule reaches, for the rule's hash.

Names are followed through the file of the claim, the modules beside it (relative imports) and the
statistics and rules of symstudy itself. Comments, docstrings, drawing, what is declared for
planning and the order of definitions do not count.
"""

import ast
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["deciding_code"]

PACKAGE = Path(__file__).parents[1]
FOLLOWED = ("symstudy.findings", "symstudy.statistics", "symstudy.theory")
"""Packages of symstudy whose functions decide; the store only reads, plots only draw."""
REGISTRATION = ("claim", "SeedTest")
"""Names of the package that declare and plan, and decide nothing."""


class Bound(NamedTuple):
    """What a name of a module stands for.

    Attributes:
        code: The statement without docstrings, as text.
        names: Names that the statement uses.
        module: Module that it is imported from, with leading dots; None if it is defined here.
        original: Its name there; empty where the name is the module itself.
    """

    code: str
    names: tuple[str, ...]
    module: str | None = None
    original: str = ""


class Place(NamedTuple):
    """A module by its path and the name it is told by.

    Attributes:
        path: Path of the file; None for source that is in no file.
        label: Name in the hashed text; the same wherever the project lies.
    """

    path: Path | None
    label: str


def deciding_code(
    source: str, path: Path | None = None, names: Sequence[str] = ("judge", "measure")
) -> str:
    """Return all that `names` of a module reach, without comments and docstrings.

    Args:
        source: Text of the module.
        path: Path of the module's file; without one, relative imports are not followed.
        names: Functions that decide.
    """
    reached: dict[str, str] = {}
    follow(source, list(names), Place(path, ""), reached)
    return "\n".join(reached[name] for name in sorted(reached))


def follow(source: str, names: Sequence[str], place: Place, reached: dict[str, str]) -> None:
    """Add to `reached`, by module and name, all that `names` of a module rest on."""
    bound = bindings(source)
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        key = f"{place.label}:{name}"
        if name not in bound or key in reached:
            continue
        item = bound[name]
        reached[key] = item.code
        if item.module is None:
            open_names += item.names
        else:
            follow_import(item, place, reached)


def follow_import(item: Bound, place: Place, reached: dict[str, str]) -> None:
    """Follow an imported name into its module, where that is one that is followed."""
    assert item.module is not None
    target = locate(item.module, place)
    if target is None:
        return
    inside = locate_inside(target, item.original)
    if inside is not None:
        target, whole = inside, True
    else:
        whole = not item.original
    if target.path is None or item.original in REGISTRATION:
        return
    text = target.path.read_text(encoding="utf-8")
    wanted = list(bindings(text)) if whole else [item.original]
    follow(text, wanted, target, reached)


def locate(module: str, place: Place) -> Place | None:
    """Return where a module lies that `place` imports; None if it is not followed."""
    dots = len(module) - len(module.lstrip("."))
    words = [word for word in module.lstrip(".").split(".") if word]
    if dots:
        if place.path is None:
            return None
        # One dot is the folder of the file, each further one the folder above.
        folder = place.path.parents[dots - 1]
    elif module.startswith(FOLLOWED):
        folder, words = PACKAGE, words[1:]
    else:
        return None
    label = ".".join([*([] if dots else ["symstudy"]), *words])
    return Place(module_file(folder.joinpath(*words)), label)


def locate_inside(package: Place, name: str) -> Place | None:
    """Return the module `name` of a package, for `from . import name`; None if it is no module."""
    if not name or package.path is None or package.path.name != "__init__.py":
        return None
    path = module_file(package.path.parent / name)
    return Place(path, f"{package.label}.{name}".strip(".")) if path else None


def module_file(stem: Path) -> Path | None:
    """Return the file of a module or package, given its path without suffix."""
    for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.lru_cache(maxsize=256)
def bindings(source: str) -> dict[str, Bound]:
    """Return what each name of a module stands for."""
    found: dict[str, Bound] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.update(imports(node))
            continue
        strip(node)
        names = tuple(sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name)}))
        item = Bound(ast.dump(node), names)
        found.update(dict.fromkeys(bound_names(node), item))
    return found


def imports(node: ast.Import | ast.ImportFrom) -> dict[str, Bound]:
    """Return what the names of an import stand for."""
    found = {}
    for alias in node.names:
        name = (alias.asname or alias.name).split(".")[0]
        if isinstance(node, ast.ImportFrom):
            module, original = "." * node.level + (node.module or ""), alias.name
        else:
            module, original = alias.name, ""
        found[name] = Bound(f"{module}:{alias.name}:{name}", (), module, original)
    return found


def strip(node: ast.stmt) -> None:
    """Take docstrings out of a statement, and what is declared for planning."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef):
            for decorator in inner.decorator_list:
                if isinstance(decorator, ast.Call):
                    kept = [word for word in decorator.keywords if word.arg != "tests"]
                    decorator.keywords = kept
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            inner.body = [item for item in inner.body if not is_docstring(item)] or [ast.Pass()]


def bound_names(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a module gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    return [
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    ]


def is_docstring(node: ast.stmt) -> bool:
    """Return whether `node` is a string standing alone."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
