"""Hyperparameters as columns: every key of every component of a cell, by name, with its value.

A key's column bears the key's own name, prefixed by its table where an earlier table has the name:
`samples` is the data's and `probe_samples` the probe's. A key that chooses a component has its role
for a name: `model`, `data`, `optimizer`, `schedule`, `loss`. Quantities that follow from several
keys are columns too, such as `temperature`.

SQL does not tell `Width` from `width`, so names are compared without regard to case.
"""

import functools
import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin

from symstudy.components import Component, Field, Role, fields_of, items_of, load_all
from symstudy.components.component import meanings_of
from symstudy.datasets import AbstractDatasetConfig
from symstudy.study.cell import Cell
from symstudy.study.program import Program
from symstudy.study.sections import ProbeConfig
from symstudy.study.train import Train

__all__ = [
    "DERIVED",
    "Hyperparameter",
    "Kind",
    "builtin_columns",
    "builtin_hyperparameters",
    "builtin_names",
    "hyperparameters_of",
    "own_column",
    "pairs_of",
    "plain",
    "widest",
]

Kind = Literal["count", "number", "text", "truth"]


class Hyperparameter(NamedTuple):
    """A hyperparameter as a column.

    Attributes:
        name: Name of the column in SQL.
        kind: `count` (int), `number` (float), `text` or `truth` (bool).
        meaning: A sentence; empty for a key of the user's own without one.
        table: Table of a study file that it is in; empty for what follows from several keys.
        key: Its key in that table.
    """

    name: str
    kind: Kind
    meaning: str
    table: str = ""
    key: str = ""


class Derived(NamedTuple):
    """A quantity that follows from several keys.

    Attributes:
        column: Its column.
        of_tables: How it is worked out from the data and the train table.
    """

    column: Hyperparameter
    of_tables: Callable[[AbstractDatasetConfig, Train], Any]


DERIVED = (
    Derived(
        Hyperparameter("input_dim", "count", "Number of inputs."),
        lambda data, _: data.shape.inputs,
    ),
    Derived(
        Hyperparameter("output_dim", "count", "Number of outputs or classes."),
        lambda data, _: data.shape.outputs,
    ),
    Derived(
        Hyperparameter(
            "samples", "count", "Number of training samples; 0 where every batch is drawn anew."
        ),
        lambda data, _: data.shape.train,
    ),
    Derived(
        Hyperparameter("lr_over_batch", "number", "Peak learning rate over batch size."),
        lambda _, train: train.lr / max(train.batch_size, 1),
    ),
    Derived(
        Hyperparameter(
            "temperature",
            "number",
            "lr / (1 - momentum) / batch_size: the noise temperature T of SGD.",
        ),
        lambda _, train: train.temperature,
    ),
    Derived(
        Hyperparameter("weight_decay", "number", "2 gamma, what torch calls weight_decay."),
        lambda _, train: 2.0 * train.gamma,
    ),
)


@functools.cache
def builtin_names(
    reserved: frozenset[str] = frozenset(),
) -> dict[tuple[str, str], Hyperparameter]:
    """Return the column of every key of a built-in or installed component, by table and key.

    Args:
        reserved: Names of other columns, in lower case, which a key of an installed component gives
            way to.
    """
    names: dict[tuple[str, str], Hyperparameter] = {}
    taken = {item.column.name: item.column for item in DERIVED}
    owners = dict.fromkeys(taken, "")
    for table, cls in component_classes():
        for field in fields_of(cls):
            if field.role in NO_COLUMN or (table, field.name) in names:
                continue
            name, meaning = field.name, meanings_of(cls).get(field.name, "")
            if name == "kind" and table == "train":
                continue  # the field that chooses it is a column
            if name == "kind":
                name, meaning = table, f"Kind of {table}."
            word = name.lower()
            owners[word] = owners.get(word) or table
            gives_way = word in reserved and not is_ours(cls)
            if owners[word] != table or gives_way:
                name = f"{table}_{name}"
            names[table, field.name] = taken.get(
                name, Hyperparameter(name, kind_of(field), meaning, table, field.name)
            )
    return names


def is_ours(cls: type[Any]) -> bool:
    """Return whether a component comes with symstudy, and not with an installed package."""
    return cls.__module__.split(".", 1)[0] == "symstudy"


def component_classes() -> Iterator[tuple[str, type[Component]]]:
    """Yield every built-in or installed component with its table, tables in order."""
    yield from (("model", cls) for cls in load_all("models").values())
    yield from (("data", cls) for cls in load_all("datasets").values())
    yield "train", Train
    for field in fields_of(Train):
        if field.choice is not None:
            chosen = load_all(field.choice.group).values()
            # The name of the chosen component is the column of the field that names it.
            yield from (("train", cls) for cls in chosen)
    yield "probe", ProbeConfig
    yield "program", Program


def builtin_hyperparameters(reserved: frozenset[str] = frozenset()) -> tuple[Hyperparameter, ...]:
    """Return the columns of all built-in and installed components, in the order of a study file."""
    columns = [item for (_, key), item in builtin_names(reserved).items() if key not in HIDDEN]
    return tuple(dict.fromkeys([*columns, *(item.column for item in DERIVED)]))


HIDDEN = ("arguments",)
"""Fields that are no column: each argument of a user's own module is one."""
NO_COLUMN = (Role.WRITTEN, Role.LIMIT)
"""Roles of fields that are no column."""


def hyperparameters_of(
    cell: Cell, reserved: Collection[str] = frozenset()
) -> dict[Hyperparameter, Any]:
    """Return the value of every hyperparameter of a cell, by column.

    Args:
        cell: The cell.
        reserved: Names of other columns, in lower case, which a key of the user's own gives way to.
    """
    found: dict[Hyperparameter, Any] = {}
    words = frozenset(reserved)
    for table, component in cell.tables.items():
        for column, value in pairs_of(table, component, words):
            found.setdefault(column, value)
    for item in () if cell.is_program else DERIVED:
        found[item.column] = item.of_tables(cell.data, cell.train)
    return found


def pairs_of(
    table: str, component: Component, reserved: frozenset[str]
) -> Iterator[tuple[Hyperparameter, Any]]:
    """Yield column and value of every field of a table."""
    known = builtin_names(reserved)
    for owner, field, value in items_of(component):
        if field.role in NO_COLUMN:
            continue
        if field.name in HIDDEN:
            for key, argument in value.items():
                yield own_column(table, key, argument, reserved), plain(argument)
            continue
        column = known.get((table, field.name))
        if column is None:
            meaning = meanings_of(type(owner)).get(field.name, "")
            name = own_name(table, field.name, reserved)
            column = Hyperparameter(name, kind_of(field), meaning, table, field.name)
        yield column, plain(value)


def own_column(table: str, key: str, value: Any, reserved: frozenset[str]) -> Hyperparameter:
    """Return the column of a key of the user's own, or of the built-in key that it repeats.

    Args:
        table: Table of the study file that the key is in.
        key: The key.
        value: Its value, whose type is the column's.
        reserved: Names of other columns, in lower case.
    """
    kind = kind_of_value(value)
    if table == "config":
        return setting_column(key, kind, reserved)
    known = builtin_names(reserved).get((table, key))
    if known is not None and known.kind == widest(kind, known.kind):
        return known
    return Hyperparameter(own_name(table, key, reserved), kind, "", table, key)


def setting_column(key: str, kind: Kind, reserved: frozenset[str]) -> Hyperparameter:
    """Return the column of a hyperparameter of a program.

    What is called as a built-in hyperparameter is that column, `lr` or `weight_decay`: runs of
    programs and of what is trained here are compared by it.
    """
    name = key.replace(".", "_")
    shared = builtin_columns(reserved).get(name.lower())
    if shared is not None and (kind == shared.kind or {kind, shared.kind} <= NUMERIC):
        return shared._replace(kind=widest(kind, shared.kind))
    return Hyperparameter(own_name("config", name, reserved), kind, "", "config", key)


NUMERIC = {"count", "number"}


@functools.cache
def builtin_columns(reserved: frozenset[str]) -> dict[str, Hyperparameter]:
    """Return the columns of built-in and installed components by name, in lower case."""
    return {column.name.lower(): column for column in builtin_hyperparameters(reserved)}


def own_name(table: str, key: str, reserved: frozenset[str]) -> str:
    """Return the name of the column of a key of the user's own: prefixed where it is taken."""
    is_taken = key.lower() in builtin_words(reserved) or key.lower() in reserved
    return f"{table}_{key}" if is_taken else key


@functools.cache
def builtin_words(reserved: frozenset[str]) -> frozenset[str]:
    """Return the names of the columns of built-in and installed components, in lower case."""
    return frozenset(column.name.lower() for column in builtin_hyperparameters(reserved))


def widest(one: Kind, other: Kind) -> Kind:
    """Return the kind of column that holds the values of both kinds."""
    if one == other:
        return one
    return "number" if {one, other} == {"count", "number"} else "text"


def kind_of(field: Field) -> Kind:
    """Return the kind of column that holds a field's values."""
    return "text" if field.choice is not None else kind_of_annotation(field.annotation)


def kind_of_annotation(annotation: Any) -> Kind:
    """Return the kind of column that holds values of an annotated type."""
    if hasattr(annotation, "__metadata__"):
        return kind_of_annotation(annotation.__origin__)
    if get_origin(annotation) is Literal:
        return kind_of_value(get_args(annotation)[0])
    if get_origin(annotation) in {tuple, dict, list}:
        return "text"
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return kind_of_annotation(parts[0]) if parts else KINDS.get(annotation, "text")


KINDS: dict[Any, Kind] = {int: "count", float: "number", bool: "truth", str: "text"}


def kind_of_value(value: Any) -> Kind:
    """Return the kind of column that holds a value."""
    if type(value) is int and not -LARGEST <= value < LARGEST:
        return "text"
    return KINDS.get(type(value), "text")


LARGEST = 2**63
"""Integers from this on do not fit a column of counts."""


def plain(value: Any) -> Any:
    """Return a value as a column holds it: a list or table as JSON."""
    return value if isinstance(value, int | float | str | None) else json.dumps(value)
