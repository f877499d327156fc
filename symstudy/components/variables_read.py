"""Environment variables that code of the user's own reads: their values decide what it does.

They are found in the source, by name: `os.environ["NAME"]`, `os.environ.get("NAME")` and
`os.getenv("NAME")`. A name that is worked out is not seen. What tells of the machine, and what is
secret, is not counted, since it differs between the nodes of a cluster.
"""

import ast
import functools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["values_of", "variables_in"]

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
