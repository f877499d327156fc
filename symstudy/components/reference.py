"""What every key of a study file means, read from the components that declare it."""

import dataclasses
from typing import Any, Literal, NamedTuple, get_args, get_origin

from symstudy.components.component import Field, bound_words, fields_of, meanings_of
from symstudy.components.registry import load_all

__all__ = ["Key", "keys_of", "keys_of_group"]

NAMES = {int: "integer", float: "number", bool: "true or false", str: "text"}


class Key(NamedTuple):
    """One key of a study file.

    Attributes:
        table: Its table, with the kind where there are several.
        key: Its name.
        default: What holds where it is not given, as TOML writes it.
        values: Which values it takes.
        meaning: A sentence.
    """

    table: str
    key: str
    default: str
    values: str
    meaning: str


def keys_of_group(table: str, group: str) -> list[Key]:
    """Return the keys of every component of a group, under `table KIND`."""
    return [key for kind, cls in load_all(group).items() for key in keys_of(f"{table} {kind}", cls)]


def keys_of(table: str, cls: type[Any], *, without: tuple[str, ...] = ()) -> list[Key]:
    """Return the keys of one table from the dataclass `cls`."""
    meanings = meanings_of(cls)
    return [
        Key(table, field.name, default_of(field), values_of(field), meanings.get(field.name, ""))
        for field in fields_of(cls)
        if field.is_key and field.name not in without
    ]


def default_of(field: Field) -> str:
    """Return a field's default as TOML writes it; empty for none."""
    value = field.default
    if field.choice is not None:
        return f'"{field.choice.default}"'
    if field.word:
        return f'"{field.word}"'
    if value is None or value is dataclasses.MISSING or not is_within(value, field):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[{}]".format(", ".join(f'"{item}"' for item in value))
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def is_within(value: Any, field: Field) -> bool:
    """Return whether a default may be written out: 0 stands for a number that is not given."""
    lower = [getattr(mark, "gt", None) for mark in getattr(field.annotation, "__metadata__", ())]
    return not any(bound is not None and not value > bound for bound in lower)


def values_of(field: Field) -> str:
    """Return in words which values a field takes."""
    if field.choice is not None:
        names = ", ".join(f'"{name}"' for name in load_all(field.choice.group))
        return f"{names} or package.module:Name"
    words = words_of(field.annotation)
    return f'{words} or "{field.word}"' if field.word else words


def words_of(annotation: Any) -> str:
    """Return in words which values an annotated type takes."""
    if hasattr(annotation, "__metadata__"):
        bounds = ", ".join(bound_words(annotation))
        return " ".join([words_of(annotation.__origin__), bounds]).strip()
    if get_origin(annotation) is tuple:
        item = get_args(annotation)[0]
        return "list of names" if item is str else f"list, each {words_of(item)}"
    if get_origin(annotation) is Literal:
        return ", ".join(f'"{part}"' for part in get_args(annotation))
    if get_args(annotation):
        return " or ".join(
            words_of(part) for part in get_args(annotation) if part is not type(None)
        )
    return NAMES[annotation]
