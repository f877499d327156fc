"""Public names of a package that are imported when they are first used.

A package's `__init__.py` says once, under `if TYPE_CHECKING:`, where its names come from. Type
checkers and editors read that block; so does `names_on_demand`, which makes the package's
`__getattr__`. So `import symstudy.store` costs nothing until a name of it is asked for.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["names_on_demand"]


def names_on_demand(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: `__name__` of the package. No name of it may be that of one of its modules: Python
            would give the module as soon as that is imported.
    """

    def find(name: str) -> Any:
        module = sys.modules[package]
        home = homes_of(str(module.__file__)).get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home), name)
        vars(module)[name] = value
        return value

    return find


@functools.cache
def homes_of(path: str) -> dict[str, str]:
    """Return the module of each name that a file imports under `if TYPE_CHECKING:`."""
    import ast

    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {
        alias.name: str(inner.module)
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in node.body
        if isinstance(inner, ast.ImportFrom)
        for alias in inner.names
    }
