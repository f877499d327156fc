"""Whether a key is of whole numbers: what a range between two integers holds depends on it.

`{ linear = [0, 1], num = 5 }` is 0, 0.25, ... of a coefficient, and 0 and 1 of a number of layers.
"""

import typing
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union

from symstudy.components import Field, fields_of, find_component, load_all
from symstudy.errors import ModelError, UnknownNameError
from symstudy.study.sections import ProbeConfig
from symstudy.study.train import Train

__all__ = ["Whole", "whole_numbers"]

Whole = bool | None
"""Whether a key is of whole numbers; None where nothing says."""

GROUPS = {"model": "models", "data": "datasets"}


def whole_numbers(tables: Mapping[str, Mapping[str, Any]], name: str) -> Whole:
    """Return whether the key `name` is of whole numbers, as its component declares it.

    Of a program the number in `[config]` says; of an argument without a type its default. Where the
    component is itself varied, those of all components are asked that have the key.

    Args:
        tables: Tables of the study as written.
        name: Dotted name of a key.

    Examples:
        >>> whole_numbers({"model": {"kind": "fcn"}}, "model.width")
        True
        >>> whole_numbers({}, "train.gamma")
        False
    """
    head, _, key = name.partition(".")
    if head == "config":
        return kind_of_value(value_at(tables.get(head, {}), key))
    kinds = {kind_of(field) for field in fields_at(tables, head) if field.name == key}
    # A key that is unknown is told of where it is read.
    return False if not kinds else kinds.pop() if len(kinds) == 1 else None


def value_at(table: Mapping[str, Any], key: str) -> Any:
    """Return the value of a dotted key of a table, None without it."""
    value: Any = table
    for part in [key] if key in table else key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def fields_at(tables: Mapping[str, Mapping[str, Any]], head: str) -> Iterator[Field]:
    """Yield the fields of a table and of the components that it names, or may name."""
    if head in GROUPS:
        yield from fields_of_group(GROUPS[head], tables.get(head, {}).get("kind"))
    elif head == "train":
        for field in fields_of(Train):
            yield field
            if field.choice is not None:
                written = tables.get(head, {}).get(field.name)
                yield from fields_of_group(field.choice.group, written)
    elif head == "probe":
        yield from fields_of(ProbeConfig)


def fields_of_group(group: str, written: object) -> Iterator[Field]:
    """Yield the fields of the component that is written, of all of its group where none is."""
    classes = list(load_all(group).values())
    if isinstance(written, str):
        try:
            classes = [find_component(group, written)]
        except (UnknownNameError, ModelError):
            # Told where the component is read.
            classes = []
    for cls in classes:
        yield from fields_of(cls)


def kind_of(field: Field) -> Whole:
    """Return whether a field is of whole numbers."""
    types = set(types_of(field.annotation))
    if int in types and float not in types:
        return True
    if float in types and int not in types:
        return False
    return kind_of_value(field.default)


def types_of(annotation: Any) -> Iterator[type[Any]]:
    """Yield the types that an annotation allows."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from types_of(typing.get_args(annotation)[0])
    elif origin is Literal:
        yield from (type(each) for each in typing.get_args(annotation))
    elif origin in (Union, UnionType):
        for each in typing.get_args(annotation):
            yield from types_of(each)
    elif isinstance(annotation, type):
        yield annotation


def kind_of_value(value: object) -> Whole:
    """Return whether a value is a whole number; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return isinstance(value, int)
