"""Settings of a command line, `key=value`, written over a document."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

from symstudy.errors import UserError
from symstudy.study.document import TABLES, Document, table_of

__all__ = ["apply_overrides", "parse_value"]

LIST_KEYS = ("probe.measures", "program.command")
"""Keys whose one value is a list."""
DERIVE = "derive."


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return `document` with `key=value` settings from a command line.

    A value is TOML, or a bare word. A list or range for a field sweeps it; one value for a swept
    field fixes it.

    Raises:
        UserError: If an override is not of the form key=value, or sets a key twice.
    """
    draft = Draft(document)
    given: dict[str, str] = {}
    for override in overrides:
        key, separator, text = override.partition("=")
        key = key.strip()
        if not separator or not key:
            raise UserError(
                f"an override must be key=value, as in train.steps=500, but got {override!r}."
            )
        plain = field_of(key)
        if plain in given:
            raise UserError(
                f"an override must set each key once, but got {given[plain]!r} and {override!r}."
            )
        given[plain] = override
        is_derived = key.startswith(DERIVE)
        draft.set(key, parse_expression(text) if is_derived else parse_value(key, text.strip()))
    return replace(draft.document(), overrides=tuple(overrides))


def field_of(key: str) -> str:
    """Return the field that an override is about: `sweep.model.width` is `model.width` too."""
    plain = key.replace('"', "").removeprefix("search.space.").removeprefix("sweep.")
    plain = plain.removeprefix(DERIVE)
    return "seed" if plain == "seeds" else plain


@final
class Draft:
    """A document that overrides are written into."""

    def __init__(self, document: Document) -> None:
        """Copy what overrides may change."""
        self.source = document
        self.values = {
            key: dict(value) if isinstance(value, dict) else value
            for key, value in document.values.items()
        }
        search = self.values.get("search")
        if isinstance(search, dict) and isinstance(search.get("space"), dict):
            search["space"] = dict(search["space"])
        self.lines = dict(document.lines)
        self.notes = list(document.notes)
        self.set_keys: set[str] = set()

    def document(self) -> Document:
        """Return the document with all overrides."""
        return Document(
            source=self.source.source,
            values=self.values,
            lines=self.lines,
            preset=self.source.preset,
            notes=tuple(self.notes),
            beneath=self.beneath(),
        )

    def beneath(self) -> frozenset[str]:
        """Return the keys that were there before the settings of the command line."""
        if not self.set_keys:
            return self.source.beneath
        return (self.source.beneath | self.source.given()) - self.set_keys

    @property
    def sweep(self) -> dict[str, Any]:
        """The sweep's flat table."""
        sweep: dict[str, Any] = self.values.setdefault("sweep", {})
        return sweep

    @property
    def space(self) -> dict[str, Any]:
        """The flat table of the space of the search; a new empty one if there is no search."""
        search = self.values.get("search", {})
        space = search.get("space", {}) if isinstance(search, dict) else {}
        return space if isinstance(space, dict) else {}

    def set(self, key: str, value: Any) -> None:
        """Write one override, which no line of the file is to blame for."""
        if key in ("seed", "seeds"):
            key = "sweep.seed"
        table, _, rest = key.partition(".")
        self.set_keys.add(key)
        self.forget_line(key)
        if table == "sweep":
            field = rest.replace('"', "")
            self.sweep[field] = value
            self.drop_derived(field, "swept")
        elif key.startswith(DERIVE):
            self.derive(rest.replace('"', ""), value)
        elif key.startswith("search.space."):
            field = key.removeprefix("search.space.").replace('"', "")
            self.values.setdefault("search", {}).setdefault("space", {})[field] = value
            self.drop_derived(field, "searched")
        elif key in self.space and isinstance(value, dict) and "num" not in value:
            self.space[key] = value
            self.forget_line(f"search.space.{key}")
        elif table in TABLES and rest and is_axis(key, value):
            self.sweep_over(key, value)
        elif rest:
            self.fix(key, value)
        else:
            self.values[key] = value

    def forget_line(self, key: str) -> None:
        """Take note that a key no longer has the value that its line gives it."""
        # Without a line of its own it would be given that of its table.
        self.lines[key] = 0

    def drop_derived(self, key: str, now: str) -> None:
        """Take note that a derived key is so no longer."""
        if table_of(self.values, "derive").pop(key, None) is not None:
            self.notes.append(f"{key} is {now} and no longer derived")

    def derive(self, key: str, text: str) -> None:
        """Make a key follow from others."""
        head, _, rest = key.partition(".")
        for table, place, was in (
            (self.sweep, key, "swept"),
            (self.space, key, "searched"),
            (table_of(self.values, head), rest, "fixed"),
        ):
            if table.pop(place, None) is not None:
                self.notes.append(f"{key} is derived and no longer {was}")
        self.values.setdefault("derive", {})[key] = text

    def sweep_over(self, key: str, values: Any) -> None:
        """Make a field an axis of the grid."""
        self.drop_derived(key, "swept")
        if self.space.pop(key, None) is not None:
            self.notes.append(f"{key} is swept and no longer searched")
        self.sweep[key] = values
        self.forget_line(f"sweep.{key}")

    def fix(self, key: str, value: Any) -> None:
        """Give a field one value.

        Raises:
            UserError: If it is one of several axes that move together, or what it is a key of is
                no table.
        """
        zipped = self.sweep.get("zip", [])
        groups = [group for group in zipped if isinstance(group, list) and key in group]
        if groups:
            others = ", ".join(name for name in groups[0] if name != key)
            raise UserError(
                f"{key} must be given as a list, since it is swept together with {others} "
                f"(sweep.zip), but got {value!r}. Fix these too, or type sweep.zip=[]."
            )
        self.drop_derived(key, f"fixed at {value!r}")
        if self.sweep.pop(key, None) is not None:
            self.notes.append(f"{key} is fixed at {value!r} and no longer swept")
        if self.space.pop(key, None) is not None:
            self.notes.append(f"{key} is fixed at {value!r} and no longer searched")
        *heads, last = key.split(".")
        target = self.values
        for place, head in enumerate(heads, 1):
            target = target.setdefault(head, {})
            if not isinstance(target, dict):
                inner = ".".join(heads[:place])
                raise UserError(
                    f"{key} must be a key of a table, but {inner} is {target!r}. Type {inner}=..."
                )
        target[last] = value


def is_axis(key: str, value: object) -> bool:
    """Return whether an override's value sweeps the field `key`."""
    if key in LIST_KEYS:
        return isinstance(value, list) and any(isinstance(item, list) for item in value)
    return isinstance(value, list) or (
        isinstance(value, dict) and bool(value.keys() & {"log", "linear", "values", "when"})
    )


def parse_expression(text: str) -> str:
    """Return the expression of an override, with or without quotes around all of it."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
    return value if isinstance(value, str) else text.strip()


def parse_value(key: str, text: str) -> Any:
    """Return `text` read as a TOML value, or as a bare word where it is none.

    Raises:
        UserError: If it is a list or table that TOML cannot read, several values without brackets,
            or a number that TOML writes otherwise.
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        hint = meant(key, text)
        if hint:
            raise UserError(
                f"{key} must be one word, number, list or table, but got {text!r}. Type {hint}"
            ) from error
        return text


def meant(key: str, text: str) -> str:
    """Return what to type in place of a value that is neither TOML nor a bare word, or nothing."""
    if re.fullmatch(r"[+-]?(\.\d+|\d+\.)([eE][+-]?\d+)?", text):
        return f"{key}={float(text):g}"
    if text.startswith("["):
        words = [word.strip() for word in text.strip("[]").split(",") if word.strip()]
        return f"'{key}=[{', '.join(map(quoted, words))}]'"
    if text.startswith("{"):
        return f"'{key}={{log = [1e-4, 1e-1], num = 7}}'"
    if "," in text:
        words = [word.strip() for word in text.split(",") if word.strip()]
        return f"'{key}=[{', '.join(map(quoted, words))}]' to sweep over them"
    return ""


def quoted(word: str) -> str:
    """Return a word as TOML has it in a list: in quotes, unless it is a number, true or false."""
    try:
        tomllib.loads(f"value = {word}")
    except tomllib.TOMLDecodeError:
        return f'"{word}"'
    return word
