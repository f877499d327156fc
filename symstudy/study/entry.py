"""Whether `package.module:function` is a function that a program can begin with.

Its module is parsed and never imported: a script without a guard would begin to train.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from symstudy.components.own_modules import find_module
from symstudy.errors import nearest

__all__ = ["entry_mistake"]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def entry_mistake(entry: str) -> str:
    """Return what is wrong with an entry; empty if nothing is, or if only running it can tell."""
    path, _, name = entry.partition(":")
    if not path or not name.isidentifier():
        return f'must be "package.module:function", but got {entry!r}'
    found = find_module(path.partition(".")[0])
    if found is None:
        return (
            f"must name a module beside the study file, in the working directory or installed, but "
            f"got {entry!r} and found no {path.partition('.')[0]!r}"
        )
    if found.path is None:
        return ""
    file = file_of(found.path, path)
    if file is None:
        return f"must name a module that is there, but {str(found.path)!r} holds no {path!r}"
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        return f"must name a module of Python, but {file}{line} is none: {error}"
    return function_mistake(tree, name, path)


def file_of(top: Path, path: str) -> Path | None:
    """Return the file of the module `path` whose top-level file or folder is `top`."""
    if top.is_file():
        return top if "." not in path else None
    place = top.joinpath(*path.split(".")[1:])
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)


def function_mistake(tree: ast.Module, name: str, path: str) -> str:
    """Return what is wrong with the function `name` of a module; empty if nothing is."""
    known: dict[str, ast.AST] = {}
    for node in ast.walk(tree):
        known.update((each, node) for each in names_of(node))
        if isinstance(node, ast.ImportFrom) and any(each.name == "*" for each in node.names):
            return ""
    if name not in known:
        close = nearest(name, known)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        return f"must name a function that its module has, but {path!r} has no {name!r}{hint}"
    node = known[name]
    if isinstance(node, Function) and not takes_one(node.args):
        return (
            f"must name a function of one argument, the run, but {name!r} takes "
            f"{len(node.args.args)}. Write `def {name}(run):`"
        )
    return ""


def names_of(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement gives to something."""
    if isinstance(node, Function | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (each.asname or each.name.partition(".")[0] for each in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


def takes_one(arguments: ast.arguments) -> bool:
    """Return whether a function can be called with one argument."""
    places = [*arguments.posonlyargs, *arguments.args]
    required = len(places) - len(arguments.defaults)
    has_needed_keyword = any(default is None for default in arguments.kw_defaults)
    is_enough = bool(places) or arguments.vararg is not None
    return required <= 1 and is_enough and not has_needed_keyword
