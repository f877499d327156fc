"""What a decorator with literal arguments declares, read from source text without importing it.

`@measure(on="layer", kind="count", meaning="...")` above a function and `@symmetry(kind="...")`
above a class are read by their syntax tree, so that listing and planning load no torch.
"""

import ast
import functools
import importlib.util
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.components.own_modules import find_module, location_of

__all__ = ["Declaration", "builtin_declarations", "declarations_in", "find_declaration"]


class Declaration(NamedTuple):
    """A function or class with a declaring decorator.

    Attributes:
        name: Name of the function or class.
        path: Import path, `module:name`.
        keywords: Arguments of the decorator.
    """

    name: str
    path: str
    keywords: dict[str, Any]


@functools.cache
def builtin_declarations(package: str, mark: str) -> tuple[Declaration, ...]:
    """Return what the files of a package declare, files by name, then in the order of each file.

    Args:
        package: Import path of the package.
        mark: Name of the decorator.
    """
    files = sorted(resources.files(package).iterdir(), key=lambda item: item.name)
    return tuple(
        found
        for file in files
        if file.name.endswith(".py")
        for found in read_declarations(
            file.read_text(encoding="utf-8"), f"{package}.{file.name.removesuffix('.py')}", mark
        )
    )


def declarations_in(folder: Path, mark: str) -> list[Declaration]:
    """Return what the Python files of a folder declare; a file that cannot be parsed has none."""
    found: list[Declaration] = []
    for file in sorted(folder.glob("*.py")):
        try:
            text = file.read_text(encoding="utf-8")
            found += read_declarations(text, file.stem, mark)
        except (OSError, SyntaxError, ValueError):
            continue
    return found


def read_declarations(source: str, module: str, mark: str) -> list[Declaration]:
    """Return what a source text declares with the decorator `mark`, in its order."""
    found = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and called_name(decorator.func) == mark:
                keywords = literal_keywords(decorator)
                found.append(Declaration(node.name, f"{module}:{node.name}", keywords))
    return found


def called_name(node: ast.expr) -> str:
    """Return the last part of the name that is called."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def literal_keywords(call: ast.Call) -> dict[str, Any]:
    """Return the keyword arguments that are literals."""
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        try:
            found[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except ValueError:
            continue
    return found


def find_declaration(path: str, mark: str) -> Declaration | None:
    """Return what `package.module:name` declares, without importing it.

    Args:
        path: Import path of a function or class, of the user's own or installed.
        mark: Name of the decorator.

    Returns:
        None where there is no source file, or no such decorator in it.
    """
    module, _, name = path.partition(":")
    file = source_file(module)
    if file is None:
        return None
    try:
        declared = read_declarations(file.read_text(encoding="utf-8"), module, mark)
    except (OSError, SyntaxError, ValueError):
        return None
    return next((found for found in declared if found.name == name), None)


def source_file(module: str) -> Path | None:
    """Return the source file of a module of the user's own or of an installed one, or None."""
    top, *rest = module.split(".")
    found = find_module(top)
    root = found.path if found is not None else None
    if root is None:
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return None
        root = location_of(spec) if spec is not None else None
    if root is None:
        return None
    if root.is_file():
        return root if not rest else None
    place = root.joinpath(*rest)
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None
