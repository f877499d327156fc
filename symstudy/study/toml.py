"""Writing a study's tables as a TOML file that reads back as the same study."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from symstudy.study.document import FLAT

__all__ = ["key_text", "scalar_text", "to_toml"]

WIDE = 96


def to_toml(values: Mapping[str, Any], heading: str = "") -> str:
    """Return tables as TOML: keys first, then a section for each table.

    Args:
        values: Tables as a study's document has them; sweeps are flat, with dotted keys.
        heading: Comment above them.
    """
    lines = [f"# {line}" for line in heading.splitlines()]
    return "\n".join([*lines, *table_lines(values, ())]) + "\n"


def table_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: its values, then the tables inside it."""
    # In a flat table a table is a range.
    is_flat = bool(path) and path[-1] in (*FLAT, "set")
    tables = {
        key: value for key, value in table.items() if isinstance(value, Mapping) and not is_flat
    }
    for key, value in table.items():
        if key not in tables:
            yield f"{key_text(key)} = {value_text(value)}"
    for key, inner in tables.items():
        yield ""
        yield f"[{'.'.join(map(key_text, (*path, key)))}]"
        yield from table_lines(inner, (*path, key))


def key_text(key: str) -> str:
    """Return a key, in quotes where it must be."""
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else json.dumps(key)


def scalar_text(value: Any) -> str:
    """Return a number, text or truth as TOML writes it.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for this one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise ValueError(f"must be numbers, texts, truths or lists of these, but has {value!r}")


def value_text(value: Any) -> str:
    """Return a value as TOML writes it.

    Raises:
        ValueError: If it is of a type that a study file cannot hold.
    """
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key_text(key)} = {value_text(each)}" for key, each in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        items = [value_text(each) for each in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) < WIDE else "[\n" + "".join(rows_of(items)) + "]"
    return scalar_text(value)


def rows_of(items: Sequence[str]) -> Iterator[str]:
    """Yield the items of a long list as indented lines."""
    line = ""
    for item in items:
        if line and len(line) + len(item) > WIDE - 6:
            yield f"    {line}\n"
            line = ""
        line += f"{' ' if line else ''}{item},"
    yield f"    {line}\n"
