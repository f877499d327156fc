"""Every key of a study file with its meaning, read from the dataclasses that check it."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
from typing import Any, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

from symstudy.datasets.registry import DATASETS
from symstudy.models.registry import MODELS
from symstudy.study.search import ConfirmConfig, HaltConfig, SearchConfig
from symstudy.study.sections import PackConfig, ProbeConfig, TrainConfig

__all__ = ["Key", "describe_keys"]

WORDS = {Ge: "at least {}", Gt: "above {}", Le: "at most {}", Lt: "below {}"}


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


HEADER = (
    Key("", "schema", "", "1", "Version of the file's form; required."),
    Key("", "name", "", "text", "Name of the study and of its folder of results; required."),
    Key("", "title", "", "text", "What the study is about, in a line."),
    Key("", "description", "", "text", "What a reader of the report should know."),
    Key("", "claims", "[]", "list of names", "Claims that its results are to test."),
    Key("", "preset", "", "name", "Preset that holds where none is named; 'none' leaves it out."),
)
SWEEP = (
    Key(
        "sweep",
        '"table.key"',
        "",
        "list, {log = [low, high], num = n} or {linear = [low, high], num = n}",
        "An axis of the grid: any key of the tables above.",
    ),
    Key("sweep", "seed", "1", "number or list", "Replicates: 5 means the seeds 0 to 4."),
    Key("sweep", "zip", "[]", "list of lists of axes", "Axes that move together, not as a grid."),
)
SPACE = Key(
    "search.space",
    '"table.key"',
    "",
    "{log = [low, high]}, {linear = [low, high]} or list",
    "What may vary: any key of the tables above that is neither fixed nor swept; integers where "
    "both ends are.",
)
CONFIRM_SET = Key(
    "search.confirm",
    "set",
    "{}",
    "table of keys",
    'Keys that a find is trained again with, such as { "train.tolerance" = 1e-12 }.',
)
PRESETS = Key(
    "presets.NAME",
    "any key",
    "",
    "",
    "Merged over the file; tables of the sweep and of the search's space are merged too.",
)


def describe_keys() -> list[Key]:
    """Return all keys in the order in which a study file has them."""
    tables: list[tuple[str, type[Any]]] = [
        *((f"model {kind}", entry.config) for kind, entry in MODELS.items()),
        *((f"data {kind}", entry.config) for kind, entry in DATASETS.items()),
        ("train", TrainConfig),
        ("probe", ProbeConfig),
        ("pack", PackConfig),
    ]
    return [
        *HEADER,
        *(key for name, cls in tables for key in keys_of(name, cls)),
        *SWEEP,
        *keys_of("search", SearchConfig),
        SPACE,
        *keys_of("search.confirm", ConfirmConfig),
        CONFIRM_SET,
        *keys_of("search.halt", HaltConfig),
        PRESETS,
    ]


def keys_of(table: str, cls: type[Any]) -> list[Key]:
    """Return the keys of one table from the dataclass `cls`."""
    meanings = field_docstrings(cls)
    return [
        Key(
            table,
            field.name,
            default_of(field),
            values_of(field.type),
            meanings.get(field.name, ""),
        )
        for field in dataclasses.fields(cls)
    ]


def field_docstrings(cls: type[Any]) -> dict[str, str]:
    """Return the string under each field of a dataclass, of its base classes too."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for node, below in itertools.pairwise(body):
            if not (isinstance(node, ast.AnnAssign) and isinstance(below, ast.Expr)):
                continue
            if isinstance(node.target, ast.Name) and isinstance(below.value, ast.Constant):
                found[node.target.id] = " ".join(str(below.value.value).split())
    return found


def default_of(field: "dataclasses.Field[Any]") -> str:
    """Return a field's default as TOML writes it; empty for none."""
    value = field.default
    if value is None or value is dataclasses.MISSING:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[{}]".format(", ".join(f'"{item}"' for item in value))
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def values_of(annotation: Any) -> str:
    """Return in words which values an annotated type takes."""
    if hasattr(annotation, "__metadata__"):
        bounds = [
            WORDS[type(item)].format(f"{next(iter(vars_of(item))):g}")
            for item in annotation.__metadata__
            if type(item) in WORDS
        ]
        return " ".join([values_of(annotation.__origin__), ", ".join(bounds)]).strip()
    if getattr(annotation, "__origin__", None) is tuple:
        item = annotation.__args__[0]
        return "list of names" if item is str else f"list, each {values_of(item)}"
    parts = getattr(annotation, "__args__", ())
    if getattr(annotation, "__origin__", None) is Literal:
        return ", ".join(f'"{part}"' for part in parts)
    if parts:
        return " or ".join(values_of(part) for part in parts if part is not type(None))
    return {int: "integer", float: "number", bool: "true or false", str: "text"}[annotation]


def vars_of(bound: Ge | Gt | Le | Lt) -> list[float]:
    """Return the number in a bound."""
    return [float(value) for value in dataclasses.astuple(bound)]
