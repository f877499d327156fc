"""From a TOML file and a preset to one document."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symstudy.errors import Mistake, StudyFileError, UserError, unknown_name
from symstudy.study.lines import index_keys

__all__ = ["FLAT", "TABLES", "Document", "apply_preset", "read_document", "table_of"]

TABLES = ("model", "data", "train", "program", "config", "probe", "pairs", "pack")
FLAT = ("sweep", "space", "derive")
"""Tables from dotted fields to ranges or expressions, which are replaced whole."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A study file as nested tables, its sweep flattened to dotted fields.

    Attributes:
        source: Path of the file, or what stands for it in messages.
        values: The tables.
        lines: Line of each dotted key; empty for a study built in Python.
        preset: Name of the preset that was applied, if any.
        overrides: Settings `key=value` of the command line that were applied, as they were typed.
        notes: What a reader should be told about how it came to be.
        beneath: Dotted keys that are given beneath a preset or settings of the command line, which
            may have chosen a component that does not read them.
    """

    source: str
    values: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    beneath: frozenset[str] = frozenset()

    def given(self) -> frozenset[str]:
        """Return the dotted keys of all tables of components."""
        return given_keys(self.values)


def read_document(path: Path) -> Document:
    """Return the study file at `path`.

    Raises:
        UserError: If there is no such file.
        StudyFileError: If it is not TOML 1.0.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(
            f"STUDY must be a readable TOML file, but {str(path)!r} is not: {reason}. "
            "List the studies of this project with: symstudy list studies"
        ) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = getattr(error, "lineno", 0) or 0
        mistake = Mistake(line=line, key="(syntax)", what=f"must be TOML 1.0: {error}")
        raise StudyFileError(str(path), [mistake]) from error
    return Document(source=str(path), values=normalised(values), lines=index_keys(text))


def normalised(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with sweeps, spaces and derived keys flat: each by its dotted field."""
    result = dict(values)
    for table in ("sweep", "derive"):
        if isinstance(result.get(table), dict):
            result[table] = flat(result[table])
    if isinstance(result.get("search"), dict):
        search = result["search"] = dict(result["search"])
        if isinstance(search.get("space"), dict):
            search["space"] = flat(search["space"])
        confirm = search.get("confirm")
        if isinstance(confirm, dict) and isinstance(confirm.get("set"), dict):
            search["confirm"] = {**confirm, "set": flat(confirm["set"])}
    presets = result.get("presets")
    if isinstance(presets, dict):
        result["presets"] = {
            name: normalised(preset) if isinstance(preset, dict) else preset
            for name, preset in presets.items()
        }
    return result


def is_range(value: Mapping[str, Any], *, is_field: bool) -> bool:
    """Return whether a table in a sweep is what one field takes, and not a table of fields.

    Args:
        value: The table.
        is_field: Whether its key is a field already, with a table before it.
    """
    return bool(value.keys() & {"log", "linear", "num"}) or (
        is_field and bool(value.keys() & {"values", "when"})
    )


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, with dotted keys; a range table is a value.

    Raises:
        UserError: If a field is there twice, as a quoted and as a dotted key.
    """
    result: dict[str, Any] = {}
    for key, value in table.items():
        is_table = isinstance(value, dict) and not is_range(value, is_field="." in f"{prefix}{key}")
        found = flat(value, f"{prefix}{key}.") if is_table else {f"{prefix}{key}": value}
        for name in found:
            if name in result:
                raise UserError(
                    f"a sweep must have each field once, but got {name!r} both in quotes and as a "
                    "dotted key. Keep one of them."
                )
        result.update(found)
    return result


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` merged in: tables merge, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both and key not in FLAT else value
        if both and key in FLAT:
            result[key] = {**base[key], **value}
    return result


def apply_preset(document: Document, name: str | None) -> Document:
    """Return `document` with the preset `name` merged over it.

    Without a name the file's own `preset` is taken, if it has one; the name `none` takes no preset.

    Raises:
        UnknownNameError: If the file has no such preset.
    """
    presets = document.values.get("presets", {})
    default = document.values.get("preset")
    chosen = default if name is None else name
    values = {
        key: value for key, value in document.values.items() if key not in ("presets", "preset")
    }
    if chosen is None or chosen == "none":
        return Document(source=document.source, values=values, lines=document.lines)
    if not isinstance(presets, dict) or chosen not in presets:
        raise unknown_name(f"--preset of {document.source}", str(chosen), [*presets, "none"])
    if not isinstance(presets[chosen], dict):
        raise UserError(
            f"presets.{chosen} of {document.source} must be a table, but got {presets[chosen]!r}. "
            f"Type [presets.{chosen}] and its keys below."
        )
    # A key that the preset sets is shown with the preset's line.
    head = f"presets.{chosen}."
    lines = dict(document.lines)
    lines.update(
        {
            key.removeprefix(head): line
            for key, line in document.lines.items()
            if key.startswith(head)
        }
    )
    notes = (f"preset {chosen}",) if name is None else ()
    return Document(
        source=document.source,
        values=merged(giving_way(values, presets[chosen]), presets[chosen]),
        lines=lines,
        preset=str(chosen),
        notes=notes,
        beneath=given_keys(values) - given_keys(presets[chosen]),
    )


def given_keys(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the dotted keys that the tables of components hold."""
    return frozenset(f"{head}.{key}" for head in TABLES for key in table_of(values, head))


def giving_way(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` without what a preset writes in another way: derived, or given or varied."""
    result = {key: dict(v) if isinstance(v, dict) else v for key, v in values.items()}
    search = result.get("search")
    if isinstance(search, dict) and isinstance(search.get("space"), dict):
        search["space"] = dict(search["space"])
    for name in table_of(over, "derive"):
        head, _, key = name.partition(".")
        for table, place in (
            (table_of(result, head), key),
            (table_of(result, "sweep"), name),
            (table_of(table_of(result, "search"), "space"), name),
        ):
            table.pop(place, None)
    varied = [*table_of(over, "sweep"), *table_of(table_of(over, "search"), "space")]
    for name in (*varied, *given_keys(over)):
        table_of(result, "derive").pop(name, None)
    return result


def table_of(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a table of nested tables; an empty one if there is none."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}
