"""Whether code of the user's own may give other results in another process: by its source alone.

Python hashes texts anew in each process, so the order of a set of them differs, and so does what
`hash` returns. Numbers of processes, times and places in memory differ too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from symstudy.components.own_modules import files_of, find_module, with_imports

__all__ = ["process_dependence"]

NAMES = frozenset(
    {"hash", "set", "frozenset", "id", "getpid", "gethostname", "getnode", "time", "time_ns"}
    | {"perf_counter", "monotonic", "uuid1", "uuid4", "urandom", "token_bytes", "listdir", "glob"}
    | {"iterdir", "scandir", "rglob", "environ", "getenv"}
)
"""Functions and types whose results, or whose order, differ between processes or machines."""
SETS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Sub)


def process_dependence(name: str) -> list[str]:
    """Return the places in the code behind `package.module:Name` that may depend on the process.

    Each is `file:line: what`; none where the code is installed.
    """
    found = find_module(name.partition(":")[0].partition(".")[0])
    if found is None or found.path is None:
        return []
    return [
        place for module in with_imports([found]) for file in files_of(module)
        for place in places_in(file)
    ]  # fmt: skip


def places_in(file: Path) -> Iterator[str]:
    """Yield the places of a Python file; none if it cannot be parsed."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Importing it says what is wrong, with the line.
        return
    for node in ast.walk(tree):
        if what := dependence(node):
            yield f"{file.name}:{getattr(node, 'lineno', 0)}: {what}"


def dependence(node: ast.AST) -> str:
    """Return what of a node may depend on the process; empty if nothing does."""
    if isinstance(node, ast.Set | ast.SetComp):
        return "a set"
    if isinstance(node, ast.Name) and node.id in NAMES:
        return node.id
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        return node.attr
    if isinstance(node, ast.BinOp) and isinstance(node.op, SETS) and has_keys(node):
        return "a set of keys"
    return ""


def has_keys(node: ast.BinOp) -> bool:
    """Return whether one side of an operation is a call of `keys` or `items`."""
    return any(
        isinstance(side, ast.Call)
        and isinstance(side.func, ast.Attribute)
        and side.func.attr in {"keys", "items"}
        for side in (node.left, node.right)
    )
