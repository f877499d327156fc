"""Environment variables that code of the user's own reads: their values decide what it does.

They are found in the source, by name: `os.environ["NAME"]`, `os.environ.get("NAME")` and
`os.getenv("NAME")`. A name that is worked out is not seen, nor is one among all, as of
`os.environ.items()`: such uses are told with their lines. What tells of the machine, and what is
secret, is not counted, since it differs between the nodes of a cluster.
"""

import ast
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

__all__ = ["unnamed_in", "values_of", "variables_in"]

MACHINE = re.compile(
    r"HOME|USER|LOGNAME|SHELL|PATH|PWD|TMPDIR|TEMP|TMP|HOST|HOSTNAME|TERM|DISPLAY|LANG|COLUMNS|RANK"
    r"|LOCAL_RANK|NODE_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT|NVIDIA_VISIBLE_DEVICES"
    r"|PYTHONPATH|PYTHONHASHSEED|LD_LIBRARY_PATH|LD_PRELOAD|CONDA_PREFIX|VIRTUAL_ENV|JOB_ID"
    r"|(SYMSTUDY|SLURM|RAY|CUDA|NCCL|KUBERNETES|WANDB|MLFLOW|XDG|LC|PBS|LSB)_\w+|\w+_NUM_THREADS"
)
"""Names of what tells of the machine, its jobs and its trackers."""
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|(^|_)KEY($|_)", re.IGNORECASE)
CALLS = frozenset({"get", "pop"})
SETTERS = frozenset({"setdefault", "update"})
SOURCES = frozenset({"environ", "environb", "getenv", "getenvb"})
"""Names of what variables are read from."""
NAMING = CALLS | {"setdefault"}
"""Methods of `environ` whose first argument names the variable."""
WRITING = frozenset({"update", "clear"})
"""Methods of `environ` that read none."""
LONGEST_CODE = 60
"""Characters of code that are shown."""


def values_of(files: Iterable[Path]) -> list[tuple[str, str | None]]:
    """Return the variables that Python files read, with their values; None where they are unset.

    Variables that the files themselves set are left out.
    """
    found = [variables_in(file) for file in files]
    given = {name for _, sets in found for name in sets}
    names = {name for reads, _ in found for name in reads} - given
    return [(name, os.environ.get(name)) for name in sorted(names)]


def variables_in(file: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the variables that a Python file reads, and those that it sets."""
    try:
        return variables_of(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Importing it says what is wrong, with the line.
        return frozenset(), frozenset()


@functools.lru_cache(maxsize=1000)
def variables_of(source: bytes) -> tuple[frozenset[str], frozenset[str]]:
    """Return what `variables_in` does, of what a file holds."""
    tree = ast.parse(source)
    reads: set[str] = set()
    sets: set[str] = set()
    for name, is_set in uses_in(tree):
        (sets if is_set else reads).add(name)
    counted = {each for each in reads if not MACHINE.fullmatch(each) and not SECRET.search(each)}
    return frozenset(counted), frozenset(sets)


def uses_in(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield the variables that code reads or sets, with whether it sets them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and is_environment(node.value):
            yield from ((name, not isinstance(node.ctx, ast.Load)) for name in text_of(node.slice))
        elif isinstance(node, ast.Compare) and any(map(is_environment, node.comparators)):
            yield from ((name, False) for name in text_of(node.left))
        elif isinstance(node, ast.Call):
            called = node.func
            first = node.args[0] if node.args else None
            if isinstance(called, ast.Name | ast.Attribute) and last_name(called) == "getenv":
                yield from ((name, False) for name in text_of(first))
            elif isinstance(called, ast.Attribute) and is_environment(called.value):
                if called.attr in CALLS:
                    yield from ((name, False) for name in text_of(first))
                elif called.attr in SETTERS:
                    given = [each.arg for each in node.keywords if each.arg]
                    keys = first.keys if isinstance(first, ast.Dict) else [first]
                    yield from ((name, True) for key in keys for name in text_of(key))
                    yield from ((name, True) for name in given)


def unnamed_in(file: Path) -> tuple[tuple[int, str], ...]:
    """Return line and code of each use of variables in a Python file that does not name them."""
    try:
        return unnamed_of(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()


@functools.lru_cache(maxsize=1000)
def unnamed_of(source: bytes) -> tuple[tuple[int, str], ...]:
    """Return what `unnamed_in` does, of what a file holds."""
    tree = ast.parse(source)
    found = {(node.lineno, code_of(node)) for node in unnamed_uses(tree)}
    return tuple(sorted(found))


def unnamed_uses(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yield each use of variables whose names are not written out, or that takes all of them."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            names = [(each.name, each.asname) for each in node.names]
            if any(name in SOURCES and other not in (None, name) for name, other in names):
                yield node
        elif isinstance(node, ast.Name | ast.Attribute) and last_name(node) in SOURCES:
            use = use_of(node, parents)
            if use is not None:
                yield use


def use_of(node: ast.Name | ast.Attribute, parents: Mapping[ast.AST, ast.AST]) -> ast.expr | None:
    """Return the expression that uses `environ` or `getenv`; None if it names its variable."""
    around = parents.get(node)
    if last_name(node).startswith("getenv"):
        is_call = isinstance(around, ast.Call) and around.func is node
        return unless_named(around) if isinstance(around, ast.Call) and is_call else node
    if isinstance(around, ast.Subscript) and around.value is node:
        is_read = isinstance(around.ctx, ast.Load)
        return around if is_read and not text_of(around.slice) else None
    if isinstance(around, ast.Compare) and node in around.comparators:
        return None if text_of(around.left) else around
    return use_of_method(around, parents) if isinstance(around, ast.Attribute) else node


def use_of_method(method: ast.Attribute, parents: Mapping[ast.AST, ast.AST]) -> ast.expr | None:
    """Return the expression that uses a method of `environ`; None if it names its variable."""
    call = parents.get(method)
    if not isinstance(call, ast.Call) or call.func is not method:
        return method
    if method.attr in NAMING:
        return unless_named(call)
    return None if method.attr in WRITING else call


def unless_named(call: ast.Call) -> ast.Call | None:
    """Return a call; None if its first argument is a text that is written out."""
    return None if call.args and text_of(call.args[0]) else call


def code_of(node: ast.AST) -> str:
    """Return code as a line, cut where it is long."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= LONGEST_CODE else f"{text[:LONGEST_CODE]}..."


def is_environment(node: ast.AST) -> bool:
    """Return whether an expression is `environ`, of whatever module it is taken."""
    return isinstance(node, ast.Name | ast.Attribute) and last_name(node) == "environ"


def last_name(node: ast.Name | ast.Attribute) -> str:
    """Return the last name of an expression of names and dots."""
    return node.id if isinstance(node, ast.Name) else node.attr


def text_of(node: ast.AST | None) -> list[str]:
    """Return a text that is written out; none where it is worked out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return []
