"""One table of a study file against its dataclass, with messages a person can act on."""

import dataclasses
import functools
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from symstudy.components.component import Field, fields_of
from symstudy.components.registry import find_component, load_all
from symstudy.errors import Mistake, ModelError, UnknownNameError, choices, nearest

__all__ = ["SMALLEST", "check_table", "field_names", "is_too_small"]

T = TypeVar("T")

SMALLEST = sys.float_info.min
"""Smallest normal number of 64 bits, 2^-1022; kernels flush those below to 0."""
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
def validator(cls: Any) -> type[BaseModel]:
    """Return the pydantic model of a dataclass' keys, without those that name components."""
    keys: dict[str, Any] = {}
    for field in fields_of(cls):
        if field.is_key and field.choice is None:
            word = Literal[field.word] if field.word else None
            annotation = field.annotation if word is None else field.annotation | word
            default = ... if field.default is dataclasses.MISSING else field.default
            keys[field.name] = (annotation, default)
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())
    return create_model(cls.__name__, __config__=config, **keys)


def field_names(cls: type[Any]) -> list[str]:
    """Return the keys that a table of `cls` may have, without those of components that it names."""
    return [field.name for field in fields_of(cls) if field.is_key]


def check_table(
    cls: type[T], table: Mapping[str, Any], prefix: str, lines: Mapping[str, int]
) -> tuple[T | None, list[Mistake]]:
    """Return the table as a `cls`, or None and what is wrong with it.

    Keys of the components that the table names are read with it. A key that only another component
    of the same group reads is passed over, so that a sweep over optimisers may hold keys of each.

    Args:
        cls: A dataclass of constrained fields, such as a component.
        table: Keys and values as TOML gave them.
        prefix: Name of the table, before each key in messages.
        lines: Line of each dotted key.
    """
    wrong = not_plain(table, prefix, lines)
    if wrong:
        return None, wrong
    # From Python, None stands for a key that is not given.
    # -0.0 is 0.0: they train alike, so they are one cell.
    rest = {key: unsigned(value) for key, value in table.items() if value is not None}
    chosen, mistakes = read_choices(cls, rest, prefix, lines)
    values: dict[str, Any] = {}
    try:
        form: Any = cls
        checked = validator(form).model_validate_json(json.dumps(rest))
        values = {name: getattr(checked, name) for name in type(checked).model_fields}
    except ValidationError as error:
        known = [*field_names(cls), *(name for part in chosen.values() for name in names_of(part))]
        mistakes.extend(mistakes_of(known, error, prefix, lines))
    if mistakes:
        return None, mistakes
    words = {field.name: field for field in fields_of(cls) if field.word}
    for name, field in words.items():
        if values[name] == field.word:
            values[name] = field.default
    try:
        return cls(**values, **chosen), []
    except ValueError as error:
        return None, [Mistake(line=lines.get(prefix, 0), key=prefix, what=str(error))]


def names_of(part: Any) -> list[str]:
    """Return the keys of a chosen component; none if there is none."""
    return [] if part is None else [name for name in field_names(type(part)) if name != "kind"]


def read_choices(
    cls: type[Any], rest: dict[str, Any], prefix: str, lines: Mapping[str, int]
) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the components that a table names, read from its keys, which are taken out of `rest`.

    A component that cannot be read is None.
    """
    fields = [field for field in fields_of(cls) if field.choice is not None]
    found = {field.name: find_choice(field, rest, prefix, lines) for field in fields}
    chosen: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    taken = {field.name for field in fields_of(cls)}
    for name, part in found.items():
        if isinstance(part, Mistake):
            mistakes.append(part)
            chosen[name] = None
            continue
        own = {key for key in field_names(part) if key != "kind"}
        twice = sorted(own & taken)
        if twice:
            what = (
                f"must name what has keys of its own, but {twice[0]!r} of {part_name(part)} is "
                f"another key of the table {prefix!r} too. Give the argument another name"
            )
            mistakes.append(Mistake(line=lines.get(prefix, 0), key=f"{prefix}.{name}", what=what))
            chosen[name] = None
            continue
        taken |= own
        table = {key: rest.pop(key) for key in own & set(rest)}
        chosen[name], wrong = check_table(part, table, prefix, lines)
        mistakes.extend(wrong)
    for field in fields:
        for key in (unread_keys(field) - set(field_names(cls))) & set(rest):
            del rest[key]
    return chosen, mistakes


def part_name(part: type[Any]) -> str:
    """Return the name of a component's class in a study file."""
    return str(getattr(part, "kind", "") or part.__name__)


def find_choice(
    field: Field, rest: dict[str, Any], prefix: str, lines: Mapping[str, int]
) -> type[Any] | Mistake:
    """Return the class of the component that a table names; the name is taken out of `rest`."""
    assert field.choice is not None, "the field names a component"
    name = rest.pop(field.name, field.choice.default)
    key = f"{prefix}.{field.name}"
    line = lines.get(key, lines.get(prefix, 0))
    if not isinstance(name, str):
        return Mistake(line=line, key=key, what=f"must be a name in quotes, but got {name!r}")
    try:
        return find_component(field.choice.group, name)
    except (UnknownNameError, ModelError) as error:
        return Mistake(line=line, key=key, what=str(error).removeprefix(f"{key} "))


@functools.cache
def unread_keys(field: Field) -> set[str]:
    """Return the keys that some known component of a field's group reads."""
    assert field.choice is not None, "the field names a component"
    classes = load_all(field.choice.group).values()
    return {key for cls in classes for key in field_names(cls)} - {"kind"}


def not_plain(table: Mapping[str, Any], prefix: str, lines: Mapping[str, int]) -> list[Mistake]:
    """Return a mistake if a value has no JSON form, such as a date, or is no number of a column.

    Integers may be too large for one, and numbers so small that training takes them for 0.
    """
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if not is_plain(value):
            what = f"must be a number, string, boolean or list, but got {value!r}"
            return [Mistake(line=lines.get(key, 0), key=key, what=what)]
        if large := next(filter(is_too_large, numbers_in(value)), None):
            what = f"must be an integer below 2^63, as a column can hold it, but got {large}"
            return [Mistake(line=lines.get(key, 0), key=key, what=what)]
        if small := next(filter(is_too_small, numbers_in(value)), None):
            what = (
                f"must be 0, or at least {SMALLEST:.3g} in size, as training tells it from 0, "
                f"but got {small!r}. Type 0"
            )
            return [Mistake(line=lines.get(key, 0), key=key, what=what)]
    return []


def numbers_in(value: object) -> Iterator[object]:
    """Yield a value, or the values of nested lists and tables."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers_in(item)
    else:
        yield value


def is_too_large(value: object) -> bool:
    """Return whether `value` is an integer that 64 bits cannot hold."""
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def is_too_small(value: object) -> bool:
    """Return whether `value` is a number that kernels take for 0: its cell would train as that."""
    return isinstance(value, float) and 0.0 < abs(value) < SMALLEST


def unsigned(value: Any) -> Any:
    """Return `value`; 0.0 for -0.0."""
    return 0.0 if isinstance(value, float) and value == 0 else value


def is_plain(value: object) -> bool:
    """Return whether `value` has a JSON form."""
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def mistakes_of(
    known: Sequence[str], error: ValidationError, prefix: str, lines: Mapping[str, int]
) -> list[Mistake]:
    """Translate what pydantic found, one mistake a key."""
    found: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors():
        name = str(detail["loc"][0]) if detail["loc"] else ""
        found.setdefault(name, []).append(detail)
    mistakes = []
    for name, details in found.items():
        key = f"{prefix}.{name}" if name else prefix
        what = describe(known, name, details)
        mistakes.append(Mistake(line=lines.get(key, lines.get(prefix, 0)), key=key, what=what))
    return mistakes


def describe(known: Sequence[str], name: str, details: list[ErrorDetails]) -> str:
    """Say what must hold for `name` and what was given."""
    first = details[0]
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key. {choices(name, known)}"
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
    if first["type"] in ("list_type", "tuple_type"):
        # KEY=["a", "b"] of the command line asks for two values, each of which should be a list.
        hint = ". A list of values is an axis; one value that is a list is typed as [[...]]"
    return f"must be {text}, but got {first['input']!r}{hint}"
