"""The contract of a claim: a falsifiable statement with its decision rule, written before the data.

A claim is a file of the folder `claims` of a package of analyses. It is mostly a declaration, a
function of the file's own name that returns a rule:

    @claim(title=..., statement=..., study=..., reference=...)
    def width_saturation(runs: Evidence) -> All:
        return All(Flat(runs.done().at_largest("gamma"), "rank", along="width", within=0.1))

Its prose, parts, power and figure are derived from the rule; a function `draw(measured)` in the
file draws another figure. What does not fit is written as three functions instead, with the
docstring of the file saying why:

* `measure(db) -> NamedTuple` is the only one that sees SQL; it returns plain numbers and frames;
* `judge(measured) -> Finding` is pure and decides by the rule; it carries the decorator `claim`;
* `draw(measured) -> Figure` is the only one that sees seaborn.

A claim must be right on a store with planted truth, and wrong at most as often as its level says on
a planted null; `tests/claims` holds every claim to that. The rule is hashed with all the code that
decides, and frozen when the claim's study first runs, so a later change shows. What the decorator
says of its `tests` is for planning and decides nothing, so it is not in the hash.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from symstudy.errors import ProjectError
from symstudy.findings.conclude import Measured, conclude
from symstudy.findings.deciding import deciding_code
from symstudy.findings.evidence import Evidence
from symstudy.findings.figures import draw_rule
from symstudy.findings.finding import Finding
from symstudy.findings.machinery import machinery
from symstudy.findings.power import SeedTest
from symstudy.findings.rules.base import AbstractRule, read_data
from symstudy.identity import digest
from symstudy.plots.figures import Figure
from symstudy.store import Store

__all__ = ["SHIPPED", "Claim", "claim", "declarations", "restore"]

SHIPPED = "symstudy_shipped_analyses"
"""Name that the claims which come with symstudy are imported under, beside a project's own."""


Declared = TypeVar("Declared", bound=Callable[[Any], Any])


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
        rule_hash: Hash of the rule and of all code that decides.
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


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A function with the decorator `claim`, in a module that may not be whole yet.

    Attributes:
        function: The function.
        about: Title, statement, study and reference.
        rule: Rule of a function `judge`.
        tests: Tests of a function `judge`.
    """

    function: Callable[[Any], Any]
    about: dict[str, str]
    rule: str
    tests: tuple[SeedTest, ...]

    @property
    def module(self) -> ModuleType:
        """The module of the claim."""
        return sys.modules[self.function.__module__]

    @cached_property
    def claim(self) -> Claim:
        """The claim, once its module is whole.

        Raises:
            ProjectError: If the module lacks one of its functions.
        """
        name = self.function.__module__.rsplit(".", 1)[-1]
        if self.function.__name__ == name:
            return by_rule(self.function, self.module, self.about)
        return by_functions(self.function, self.module, self.about, self.rule, self.tests)


REGISTERED: dict[str, Declaration] = {}


def claim(
    *,
    title: str,
    statement: str,
    study: str,
    reference: str,
    rule: str = "",
    tests: tuple[SeedTest, ...] = (),
) -> Callable[[Declared], Declared]:
    """Declare a function of a module, and with it the module, to be a claim.

    Args:
        title: What it is about, in a few words.
        statement: What is claimed, in a sentence.
        study: Study made for it.
        reference: Where it comes from: paper, theorem or figure.
        rule: Of a function `judge`: when it counts as supported, refuted or undecided; fixed before
            the data. Of a declared rule it is derived.
        tests: Of a function `judge`: what it tests on a number a seed, so that `symstudy plan` can
            say what the seeds of a study can show; a 95 % interval against a bound is assumed if
            none is given. Of a declared rule they are derived.

    Raises:
        ProjectError: If another module has a claim of that name that does not come with symstudy.
    """

    def register(declared: Declared) -> Declared:
        name = declared.__module__.rsplit(".", 1)[-1]
        taken = REGISTERED.get(name)
        if taken is not None and declared.__module__.startswith(f"{SHIPPED}."):
            # A project's own claim of that name counts.
            return declared
        is_shipped = taken is not None and taken.function.__module__.startswith(f"{SHIPPED}.")
        is_other = taken is not None and taken.function.__module__ != declared.__module__
        if taken is not None and is_other and not is_shipped:
            raise ProjectError(
                f"claims must have different names, but {taken.function.__module__} and "
                f"{declared.__module__} are both called {name!r}. Rename one of the files."
            )
        about = {"title": title, "statement": statement, "study": study, "reference": reference}
        REGISTERED[name] = Declaration(function=declared, about=about, rule=rule, tests=tests)
        return declared

    return register


def by_rule(
    declared: Callable[[Evidence], AbstractRule], module: ModuleType, about: dict[str, str]
) -> Claim:
    """Return the claim that a function declares by a rule."""
    rule = declared(Evidence())

    def measure(db: Store) -> Measured:
        return Measured(rule, read_data(db, rule.needs))

    return Claim(
        name=declared.__name__,
        **about,
        rule=rule.prose,
        rule_hash=hash_rule(rule.prose, module, [declared.__name__]),
        measure=measure,
        judge=conclude,
        draw=getattr(module, "draw", draw_rule),
        tests=rule.tests,
    )


def by_functions(
    judge: Callable[[Any], Finding],
    module: ModuleType,
    about: dict[str, str],
    rule: str,
    tests: tuple[SeedTest, ...],
) -> Claim:
    """Return the claim that the functions measure, judge and draw of a module make.

    Raises:
        ProjectError: If the function is not called `judge`, or another one is missing.
    """
    name = module.__name__.rsplit(".", 1)[-1]
    missing = [part for part in ("measure", "judge", "draw") if not hasattr(module, part)]
    if judge.__name__ != "judge" or missing:
        raise ProjectError(
            f"{module.__file__} must define `def {name}(runs)` with @claim, returning a rule, or "
            f"measure, then judge with @claim, then draw, but {(missing or ['judge'])[0]} is not "
            "there."
        )
    return Claim(
        name=name,
        **about,
        rule=rule,
        rule_hash=hash_rule(rule, module, ["judge", "measure"]),
        measure=module.measure,
        judge=judge,
        draw=module.draw,
        tests=tests,
    )


def hash_rule(rule: str, module: ModuleType, names: list[str]) -> str:
    """Return the hash of a rule and of all that decides.

    That is what the functions `names` of a module reach, how evidence is read, and how parts become
    a verdict.
    """
    path = Path(str(module.__file__))
    return digest(rule + machinery() + deciding_code(inspect.getsource(module), path, names))


def declarations() -> dict[str, Declaration]:
    """Return the claims of every module that is imported, by name.

    A module that was taken out of `sys.modules` again, as notebooks do, has none.
    """
    return {
        name: each for name, each in REGISTERED.items() if each.function.__module__ in sys.modules
    }


def restore(before: Mapping[str, Declaration]) -> None:
    """Take back what has been declared since `before`, by a module that failed."""
    REGISTERED.clear()
    REGISTERED.update(before)
