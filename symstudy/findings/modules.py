"""What each name of a module stands for: the statements that make it, without words for people.

Docstrings, comments and what a claim declares for planning are left out, and so is the order of
definitions. The text of a statement is the same for every version of Python.
"""

import ast
import functools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["Import", "Module", "Statement", "read_module"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
SILENT = frozenset({"ctx", "type_comment", "kind", "type_params"})
"""Fields of syntax trees that depend on the version of Python, or on nothing that is run."""


class Import(NamedTuple):
    """What an import gives a name.

    Attributes:
        module: Dotted name of the module, with leading dots where it is relative.
        original: The name in that module; empty where it is the module itself.
    """

    module: str
    original: str = ""


class Statement(NamedTuple):
    """A statement of a module.

    Attributes:
        code: Its text.
        uses: Each name that it uses, with the attributes that it takes of it, joined by dots.
        imports: What names are imported as, by the statement itself or inside of it.
    """

    code: str
    uses: tuple[tuple[str, str], ...]
    imports: Mapping[str, Import]


class Module(NamedTuple):
    """The names of a module.

    Attributes:
        names: The statements that make or alter what a name stands for, in order.
        stars: Modules of which it imports everything.
    """

    names: dict[str, tuple[Statement, ...]]
    stars: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def read_module(source: str) -> Module:
    """Return what the names of a module stand for."""
    names: dict[str, tuple[Statement, ...]] = {}
    stars: list[str] = []
    bare: list[Statement] = []
    for node in ast.parse(source).body:
        if is_words(node) or is_for_types(node):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            stars += [module for name, (module, _) in imports_of(node) if name == "*"]
            for name, found in imports_of(node):
                statement = Statement(f"{found.module}:{found.original}", (), {name: found})
                names[name] = (*names.get(name, ()), statement)
            continue
        statement = read_statement(node)
        if isinstance(node, ast.Expr):
            bare.append(statement)
        for name in dict.fromkeys(bound_names(node)):
            names[name] = (*names.get(name, ()), statement)
    for statement in bare:
        # A call that stands alone may alter whatever it is given.
        for name in dict.fromkeys(name for name, _ in statement.uses):
            if name in names and not any(name in each.imports for each in names[name]):
                names[name] = (*names[name], statement)
    return Module(names, tuple(stars))


def read_statement(node: ast.stmt) -> Statement:
    """Return a statement that is no import."""
    strip(node)
    inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
    return Statement(
        plain(node),
        tuple(sorted(set(uses_of(node)))),
        {name: found for each in inner for name, found in imports_of(each)},
    )


def plain(node: object) -> str:
    """Return a syntax tree as text that does not depend on the version of Python."""
    if isinstance(node, list):
        return f"[{','.join(map(plain, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (
        f"{name}={plain(value)}"
        for name, value in ast.iter_fields(node)
        if name not in SILENT and value is not None and value != []
    )
    return f"{type(node).__name__}({','.join(fields)})"


def uses_of(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that is used, with the attributes that are taken of it."""
    path: list[str] = []
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute):
        path.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield inner.id, ".".join(reversed(path))
        return
    for child in ast.iter_child_nodes(inner):
        yield from uses_of(child)


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    """Yield the names of an import and what they stand for."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield alias.asname or alias.name, Import(module, alias.name)
        elif alias.asname:
            yield alias.asname, Import(alias.name)
        else:
            first = alias.name.partition(".")[0]
            yield first, Import(first)


def bound_names(node: ast.stmt) -> Iterator[str]:
    """Yield the names of a module that a statement makes or alters."""
    if isinstance(node, DEFINITIONS):
        yield node.name
        return
    for inner in ast.walk(node):
        if isinstance(inner, DEFINITIONS):
            yield inner.name
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            yield from (name for name, _ in imports_of(inner))
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
        elif isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store):
            # `TABLE["x"] = 1` and `Class.method = function` alter what the name stands for.
            yield from (name for name, _ in uses_of(inner.value))


def strip(node: ast.stmt) -> None:
    """Take docstrings out of a statement, and what a claim declares for planning."""
    for inner in ast.walk(node):
        if isinstance(inner, FUNCTIONS):
            for decorator in inner.decorator_list:
                if isinstance(decorator, ast.Call) and called(decorator) == "claim":
                    kept = [word for word in decorator.keywords if word.arg != "tests"]
                    decorator.keywords = kept
        if isinstance(inner, DEFINITIONS):
            inner.body = [item for item in inner.body if not is_words(item)] or [ast.Pass()]


def called(call: ast.Call) -> str:
    """Return the last name of what is called."""
    return ast.unparse(call.func).rpartition(".")[2]


def is_words(node: ast.stmt) -> bool:
    """Return whether `node` is a string standing alone."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_for_types(node: ast.stmt) -> bool:
    """Return whether a statement is there for type checkers alone and is never run."""
    return (
        isinstance(node, ast.If)
        and not node.orelse
        and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    )
