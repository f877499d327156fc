"""Keys that follow from others: those of `[derive]`, and axes that vary only under a condition.

They are worked out for each combination of the values of the axes that they depend on, in an order
in which each comes after the keys that it reads.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotated_types import Gt

from symstudy.components import Field, fields_of, find_component
from symstudy.errors import Mistake, ModelError, UnknownNameError, nearest
from symstudy.study.expressions import ExpressionError, Lookup, read_expression
from symstudy.study.sections import ProbeConfig
from symstudy.study.train import WRITTEN_AS, Train

__all__ = ["NO_RULES", "RuleError", "Rules", "read_rules"]

GROUPS = {"model": "models", "data": "datasets"}
EXAMPLE = '"model.mlp_width" = "4 * model.width"'


class RuleError(ValueError):
    """A rule that has no value for some values of the keys that it reads.

    Attributes:
        name: The key that follows from others.
    """

    def __init__(self, name: str, what: str) -> None:
        """Keep which rule it is, and what must hold."""
        super().__init__(what)
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Which keys of a study follow from others.

    Attributes:
        derived: Expression of each derived key.
        conditions: For each axis that varies only where a condition holds, the condition; by field.
        order: All of these keys, each after those that it reads.
        reads: For each of these keys all that it reads, what these read included.
        places: Key of the study file that each is written at, for messages.
    """

    derived: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def of_table(self, table: str) -> list[str]:
        """Return the keys of a table that follow from others."""
        return [name for name in self.order if name.startswith(f"{table}.")]

    def deciding(self, table: str) -> set[str]:
        """Return all keys that the keys of a table follow from, and these themselves."""
        names = self.of_table(table)
        return {*names, *(read for name in names for read in self.reads[name])}

    def applied(
        self,
        tables: Mapping[str, Mapping[str, Any]],
        point: Mapping[str, Any],
        wanted: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Return the values of a point with what follows from them.

        A field whose condition does not hold is left out; derived keys are added.

        Args:
            tables: Tables of the study as written.
            point: Value of each field that varies.
            wanted: Keys that are to be worked out; all if not given.

        Raises:
            RuleError: If one has no value.
        """
        values = dict(point)
        lookup = reader_of(tables, values)
        needed = None
        if wanted is not None:
            needed = {*wanted, *(read for name in wanted for read in self.reads[name])}
        for name in self.order:
            if needed is not None and name not in needed:
                continue
            try:
                if name in self.derived:
                    values[name] = derived_value(self.derived[name], lookup)
                elif name in values and not condition_holds(self.conditions[name], lookup):
                    del values[name]
            except ExpressionError as error:
                raise RuleError(name, str(error)) from error
        return values

    def mistake(self, error: RuleError, lines: Mapping[str, int]) -> Mistake:
        """Return what is wrong with a rule, at its line."""
        key = self.places[error.name]
        return Mistake(line=lines.get(key, 0), key=key, what=str(error))


NO_RULES = Rules()


def derived_value(text: str, lookup: Lookup) -> Any:
    """Return the value of a derived key.

    Raises:
        ExpressionError: If it has none that a study file could hold.
    """
    value = read_expression(text).evaluate(lookup)
    if not isinstance(value, int | float | str):
        raise ExpressionError(f"must give a number, string, true or false, but gave {value!r}")
    return value


def condition_holds(text: str, lookup: Lookup) -> bool:
    """Return whether a condition holds.

    Raises:
        ExpressionError: If it is neither true nor false.
    """
    value = read_expression(text).evaluate(lookup)
    if not isinstance(value, bool):
        raise ExpressionError(f"must give true or false, but {text!r} gave {value!r}")
    return value


def reader_of(tables: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> Lookup:
    """Return what reads a key: as it varies, as its table has it, or its default."""

    def lookup(name: str) -> Any:
        if name in values:
            return values[name]
        head, _, key = name.partition(".")
        written = given_at(tables.get(head, {}), key)
        if written is not None:
            return written
        return default_of(name, lookup)

    return lookup


def given_at(table: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key of a table, whose parts may be tables in it; None without it."""
    if key in table:
        return table[key]
    head, _, rest = key.partition(".")
    inner = table.get(head)
    return given_at(inner, rest) if rest and isinstance(inner, Mapping) else None


def keys_in(table: Mapping[str, Any], head: str) -> Iterator[str]:
    """Yield the dotted name of each key of a table and of the tables in it."""
    for key, value in table.items():
        yield f"{head}.{key}"
        if isinstance(value, Mapping):
            yield from keys_in(value, f"{head}.{key}")


def default_of(name: str, lookup: Lookup) -> Any:
    """Return the default of a key.

    Raises:
        ExpressionError: If there is no such key, or it has no default.
    """
    head, _, key = name.partition(".")
    if key == "kind":
        raise ExpressionError(f"must read keys that have a value, but {name} is not given")
    known: list[str] = []
    found = None
    try:
        for item in fields_at(head, lookup):
            known.append(item.name)
            if item.is_key and item.name == key:
                found = item
                break
    except (UnknownNameError, ModelError) as error:
        raise ExpressionError(str(error)) from error
    if found is None:
        close = nearest(key, known)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise ExpressionError(f"must read keys that are there, but {name} is not{hint}")
    if found.choice is not None:
        return found.choice.default
    if found.word:
        return found.word
    if not is_default(found):
        raise ExpressionError(f"must read keys that have a value, but {name} is not given")
    return found.default


def is_default(item: Field) -> bool:
    """Return whether a field has a default that holds, and does not stand for a missing value."""
    if not isinstance(item.default, int | float | str | tuple):
        return False
    bounds = getattr(item.annotation, "__metadata__", ())
    above = [mark.gt for mark in bounds if isinstance(mark, Gt)]
    return all(item.default > bound for bound in above)  # type: ignore[operator]  # of one kind


def fields_at(head: str, lookup: Lookup) -> Iterator[Field]:
    """Yield the fields of a table and of the components that it names."""
    if head in GROUPS:
        kind = lookup(f"{head}.kind")
        yield from fields_of(find_component(GROUPS[head], str(kind)))
    elif head == "train":
        yield from fields_of(Train)
        for item in fields_of(Train):
            if item.choice is not None:
                kind = lookup(f"train.{item.name}")
                yield from fields_of(find_component(item.choice.group, str(kind)))
    elif head == "probe":
        yield from fields_of(ProbeConfig)


def choosing(name: str) -> list[str]:
    """Return the keys that decide which component a key's default is that of."""
    head = name.partition(".")[0]
    keys = [f"{head}.kind"] if head in GROUPS else []
    if head == "train":
        keys = [f"train.{item.name}" for item in fields_of(Train) if item.choice is not None]
    return [] if name in keys else keys


def read_rules(
    tables: Mapping[str, Mapping[str, Any]],
    derived: Mapping[str, Any],
    conditions: Mapping[str, str],
    varied: Mapping[str, str],
    lines: Mapping[str, int],
) -> tuple[Rules, list[Mistake]]:
    """Return the rules that a study file declares, and what is wrong with them.

    Args:
        tables: Tables of the study that a cell is made of, as written.
        derived: The flat table `[derive]`.
        conditions: Condition of each field that varies only under one.
        varied: For each field that varies, the key that says so, such as `sweep.train.lr`.
        lines: Line of each dotted key.
    """
    fixed = {name for head, table in tables.items() for name in keys_in(table, head)}
    steady = (fixed | set(varied)) - set(conditions)
    given = fixed | set(varied) | set(derived)
    places = {name: f"derive.{name}" for name in derived}
    places.update({name: varied[name] for name in conditions})

    def wrong(name: str, what: str) -> Mistake:
        key = places[name]
        return Mistake(line=lines.get(key, lines.get(key.partition(".")[0], 0)), key=key, what=what)

    names: dict[str, tuple[str, ...]] = {}
    mistakes: list[Mistake] = []
    for name, text in [*derived.items(), *conditions.items()]:
        if name in derived and (what := misplaced(name, tables, varied)):
            mistakes.append(wrong(name, what))
            continue
        try:
            names[name] = names_in(text)
        except ExpressionError as error:
            mistakes.append(wrong(name, str(error)))
            continue
        whats = (unreadable(read, tables, steady | set(derived), given) for read in names[name])
        mistakes += [wrong(name, what) for what in whats if what]
    if mistakes:
        return NO_RULES, mistakes

    def direct(name: str) -> list[str]:
        found = list(names.get(name, ()))
        if name not in steady and name not in derived:
            found += choosing(name)
        return found

    order, reads, cycle = sorted_rules(list(names), direct)
    if cycle:
        what = f"must not follow from itself, but {' reads '.join(cycle)}"
        return NO_RULES, [wrong(next(name for name in cycle if name in places), what)]
    return Rules(
        derived=dict(derived),
        conditions=dict(conditions),
        order=tuple(name for name in order if name in names),
        reads={name: reads[name] for name in names},
        places=places,
    ), []


def names_in(text: object) -> tuple[str, ...]:
    """Return the keys that an expression reads.

    Raises:
        ExpressionError: If it is none.
    """
    if not isinstance(text, str):
        raise ExpressionError(f"must be an expression in quotes, as in {EXAMPLE}, but got {text!r}")
    return read_expression(text).names


def misplaced(name: str, tables: Mapping[str, Mapping[str, Any]], varied: Mapping[str, str]) -> str:
    """Return why a key cannot be derived; empty if it can."""
    head, _, key = name.partition(".")
    if head not in tables or not key:
        return f"must be a key of {', '.join(tables)}, as in {EXAMPLE}, but got {name!r}"
    written = given_at(tables[head], key)
    if written is not None:
        return f"must be derived or given, but is {written!r} in [{head}] too"
    if name in varied:
        table = varied[name].removesuffix(f".{name}")
        return f"must be derived or varied, but is in [{table}] too. Leave it out of one"
    return ""


def unreadable(
    read: str, tables: Mapping[str, Any], always: Collection[str], given: Collection[str]
) -> str:
    """Return why an expression cannot read a key; empty if it can.

    Args:
        read: The key.
        tables: Tables that a cell is made of.
        always: Keys that every cell is given.
        given: Keys that some cell is given.
    """
    head, _, key = read.partition(".")
    if head not in tables or not key:
        return f"must read keys of {', '.join(tables)}, such as model.width, but got {read!r}"
    twin = f"train.{WRITTEN_AS[key]}" if head == "train" and key in WRITTEN_AS else ""
    if read not in always and twin in given:
        return f"must read {twin}, which is given, and not {read}, which is not"
    return ""


def sorted_rules(
    names: Sequence[str], direct: Callable[[str], list[str]]
) -> tuple[list[str], dict[str, tuple[str, ...]], list[str]]:
    """Return keys sorted so that each comes after what it reads, all that each reads, and a cycle.

    Args:
        names: Keys to begin with.
        direct: From a key to those that it reads itself.
    """
    order: list[str] = []
    reads: dict[str, tuple[str, ...]] = {}
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in reads:
            return []
        path.append(name)
        for read in direct(name):
            if cycle := visit(read):
                return cycle
        path.pop()
        below = direct(name)
        reads[name] = tuple(dict.fromkeys([*below, *(r for b in below for r in reads[b])]))
        order.append(name)
        return []

    for name in names:
        if cycle := visit(name):
            return [], {}, cycle
    return order, reads, []
