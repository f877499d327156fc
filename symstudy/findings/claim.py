"""The contract of a claim: a falsifiable statement with its decision rule, written before the data.

A claim is a file of the package `analysis` with three functions:

* `measure(db) -> NamedTuple` is the only one that sees SQL; it returns plain numbers and frames;
* `judge(measured) -> Finding` is pure and decides by the rule; it carries the decorator `claim`;
* `draw(measured) -> Figure` is the only one that sees seaborn.

`judge` must be right on a store with planted truth, and wrong at most as often as its level says on
a planted null; `tests/claims` holds every claim to that. The rule is hashed with the code of
`measure` and `judge`, and frozen when the claim's study first runs, so a later change shows. What
the decorator says of its `tests` is for planning and decides nothing, so it is not in the hash.
"""

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from symstudy.errors import ProjectError
from symstudy.findings.finding import Finding
from symstudy.findings.power import SeedTest
from symstudy.identity import digest
from symstudy.plots.figures import Figure
from symstudy.store import Store

__all__ = ["Claim", "claim", "registered_claims"]

Judge = TypeVar("Judge", bound=Callable[[Any], Finding])


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim as the program knows it.

    Attributes:
        name: Name of its file.
        title: What it is about, in a few words.
        statement: What is claimed, in a sentence.
        study: Study made for it.
        reference: Where it comes from.
        rule: When it counts as supported, refuted or undecided.
        rule_hash: Hash of the rule and of the code that measures and judges.
        measure: From a store to numbers.
        judge: From numbers to a finding.
        draw: From numbers to a figure.
        tests: What it tests on a number a seed, for planning the number of seeds.
    """

    name: str
    title: str
    statement: str
    study: str
    reference: str
    rule: str
    rule_hash: str
    measure: Callable[[Store], Any]
    judge: Callable[[Any], Finding]
    draw: Callable[[Any], Figure]
    tests: tuple[SeedTest, ...] = ()


REGISTERED: dict[str, Claim] = {}


def claim(
    *,
    title: str,
    statement: str,
    study: str,
    reference: str,
    rule: str,
    tests: tuple[SeedTest, ...] = (),
) -> Callable[[Judge], Judge]:
    """Declare the function `judge` of a module, and with it the module, to be a claim.

    Args:
        title: What it is about, in a few words.
        statement: What is claimed, in a sentence.
        study: Study made for it.
        reference: Where it comes from: paper, theorem or figure.
        rule: When it counts as supported, refuted or undecided; fixed before the data.
        tests: What it tests on a number a seed, so that `symstudy plan` can say what the seeds of a
            study can show; a 95 % interval against a bound is assumed if none is given.

    Raises:
        ProjectError: If the module has no `measure` and `draw`, or the name is taken.
    """

    def register(judge: Judge) -> Judge:
        module = sys.modules[judge.__module__]
        name = judge.__module__.rsplit(".", 1)[-1]
        missing = [part for part in ("measure",) if not hasattr(module, part)]
        if missing or judge.__name__ != "judge":
            raise ProjectError(
                f"{module.__file__} must define measure, then judge with @claim, then draw, but "
                f"{missing[0] if missing else 'judge'} is not there."
            )
        taken = REGISTERED.get(name)
        if taken is not None and taken.judge.__module__ != judge.__module__:
            raise ProjectError(
                f"claims must have different names, but {taken.judge.__module__} and "
                f"{judge.__module__} are both called {name!r}. Rename one of the files."
            )
        REGISTERED[name] = Claim(
            name=name,
            title=title,
            statement=statement,
            study=study,
            reference=reference,
            rule=rule,
            rule_hash=digest(
                rule + deciding_code(inspect.getsource(module), Path(str(module.__file__)).parent)
            ),
            measure=module.measure,
            judge=judge,
            draw=lambda measured: module.draw(measured),  # noqa: PLW0108  # not there yet
            tests=tests,
        )
        return judge

    return register


def registered_claims() -> dict[str, Claim]:
    """Return the claims of every module that has been imported, by name."""
    return dict(REGISTERED)


def deciding_code(source: str, folder: Path | None = None) -> str:
    """Return all that `measure` and `judge` reach in their module, without comments and docstrings.

    What only the drawing uses does not count, nor where in the file a thing stands. What they take
    from a module beside theirs, `from .evidence import ...`, counts like their own.

    Args:
        source: Of the module.
        folder: Where the modules beside it are; without one they are not followed.
    """
    reached: dict[str, str] = {}
    follow(source, ["judge", "measure"], "", folder, reached)
    return "\n".join(reached[name] for name in sorted(reached))


def follow(
    source: str, names: list[str], module: str, folder: Path | None, reached: dict[str, str]
) -> None:
    """Add to `reached`, by module and name, all that `names` of a module rest on."""
    bound = {name: node for node in ast.parse(source).body for name in bound_names(node)}
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        place = f"{module}:{name}"
        if name not in bound or place in reached:
            continue
        node = bound[name]
        if isinstance(node, ast.Import | ast.ImportFrom):
            reached[place] = imported(node, name)
            path = None
            if folder and isinstance(node, ast.ImportFrom) and node.level == 1:
                path = folder / f"{node.module}.py"
            if path and path.is_file():
                (original,) = (a.name for a in node.names if (a.asname or a.name) == name)
                beside = path.read_text(encoding="utf-8")
                follow(beside, [original], path.stem, folder, reached)
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef):
                for decorator in inner.decorator_list:
                    if isinstance(decorator, ast.Call):
                        rest = [word for word in decorator.keywords if word.arg != "tests"]
                        decorator.keywords = rest
            if isinstance(inner, ast.FunctionDef | ast.ClassDef):
                kept = [item for item in inner.body if not is_docstring(item)]
                inner.body = kept or [ast.Pass()]
        reached[place] = ast.dump(node)
        open_names += [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]


def bound_names(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a module gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return [
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    ]


def imported(node: ast.Import | ast.ImportFrom, name: str) -> str:
    """Return where an imported name comes from."""
    alias = next(a for a in node.names if (a.asname or a.name).split(".")[0] == name)
    return f"{getattr(node, 'module', '')}:{alias.name}:{name}"


def is_docstring(node: ast.stmt) -> bool:
    """Return whether `node` is a string standing alone."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
