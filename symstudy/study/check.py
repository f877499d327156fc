"""One table of a study file against its dataclass, with messages a person can act on."""

import dataclasses
import functools
import json
import re
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from symstudy.errors import Mistake, choices, nearest

__all__ = ["check_table", "field_names"]

T = TypeVar("T")

RELATIONS = {
    "greater_than_equal": ("ge", "at least {}"),
    "greater_than": ("gt", "greater than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
}
TYPES = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a string in quotes",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "finite_number": "a finite number",
}


@functools.cache
def adapter(cls: Any) -> TypeAdapter[Any]:
    """Return the validator of the dataclass `cls`, built once."""
    return TypeAdapter(cls)


def field_names(cls: type[Any]) -> list[str]:
    """Return the keys that a table of `cls` may have."""
    return [field.name for field in dataclasses.fields(cls)]


def check_table(
    cls: type[T], table: dict[str, Any], prefix: str, lines: dict[str, int]
) -> tuple[T | None, list[Mistake]]:
    """Return the table as a `cls`, or None and what is wrong with it.

    Args:
        cls: A dataclass of constrained fields.
        table: Keys and values as TOML gave them.
        prefix: Name of the table, before each key in messages.
        lines: Line of each dotted key.
    """
    try:
        text = json.dumps(table)
    except TypeError:
        bad = next(key for key, value in table.items() if not is_plain(value))
        key = f"{prefix}.{bad}"
        what = f"must be a number, string, boolean or list, but got {table[bad]!r}"
        return None, [Mistake(line=lines.get(key, 0), key=key, what=what)]
    try:
        validator: TypeAdapter[T] = adapter(cls)  # type: ignore[arg-type]  # a class is hashable
        return validator.validate_json(text, strict=True), []
    except ValidationError as error:
        return None, mistakes_of(cls, error, prefix, lines)


def is_plain(value: object) -> bool:
    """Return whether `value` has a JSON form."""
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def mistakes_of(
    cls: type[Any], error: ValidationError, prefix: str, lines: dict[str, int]
) -> list[Mistake]:
    """Translate what pydantic found, one mistake a key."""
    found: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors():
        name = str(detail["loc"][0]) if detail["loc"] else ""
        found.setdefault(name, []).append(detail)
    mistakes = []
    for name, details in found.items():
        key = f"{prefix}.{name}" if name else prefix
        what = describe(cls, name, details)
        mistakes.append(Mistake(line=lines.get(key, lines.get(prefix, 0)), key=key, what=what))
    return mistakes


def describe(cls: type[Any], name: str, details: list[ErrorDetails]) -> str:
    """Say what must hold for `name` and what was given."""
    first = details[0]
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key. {choices(name, field_names(cls))}"
    if first["type"] == "missing":
        return "must be given"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    wanted: list[str] = []
    for detail in details:
        kind = detail["type"]
        context = detail.get("ctx", {})
        if kind in RELATIONS:
            bound, text = RELATIONS[kind]
            # A number out of range is the whole story; the other members of a union are noise.
            return f"must be {text.format(context[bound])}, but got {detail['input']!r}"
        if kind == "literal_error":
            wanted.append(f"one of {context['expected']}")
        else:
            wanted.append(TYPES.get(kind, detail["msg"]))
    text = " or ".join(dict.fromkeys(wanted))
    close = nearest(str(first["input"]), re.findall(r"'([^']+)'", text))
    hint = f". Did you mean {close[0]!r}?" if close else ""
    return f"must be {text}, but got {first['input']!r}{hint}"
