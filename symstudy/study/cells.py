"""From tables and axes to cells.

Tables are checked once for each combination of the values swept in them, not once a cell, so that a
hundred thousand cells cost little more than their identifiers.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from symstudy.components import (
    GROUPS,
    Component,
    Texts,
    check_table,
    field_names,
    fields_of,
    find_component,
    load_all,
    texts_of,
)
from symstudy.datasets import AbstractDatasetConfig
from symstudy.errors import Mistake, ModelError, UnknownNameError, choices, nearest
from symstudy.identity import cell_id
from symstudy.models import AbstractModelConfig
from symstudy.study.cell import Cell, Grid
from symstudy.study.dependent import NO_RULES, Rules
from symstudy.study.measured import wrong_measures
from symstudy.study.precision import too_narrow
from symstudy.study.sections import ProbeConfig
from symstudy.study.sweep import Axis
from symstudy.study.train import Train, resolve_train
from symstudy.study.tried import wrong_functions
from symstudy.study.variants import Written, idle_axes, write_tables
from symstudy.study.width_rules import wrong_width_rules

__all__ = [
    "expand_trained",
    "known_fields",
    "read_trained_cell",
]


def expand_trained(
    tables: Mapping[str, Mapping[str, Any]],
    axes: Sequence[Axis],
    lines: Mapping[str, int],
    rules: Rules = NO_RULES,
) -> tuple[Grid, list[Mistake]]:
    """Return the cells of a study that trains, in grid order, and what is wrong with its tables.

    Args:
        tables: `model`, `data`, `train` and `probe` as written.
        axes: Axes of the sweep.
        lines: Line of each dotted key.
        rules: Keys that follow from others.

    Returns:
        All cells and no mistakes, or no cells and all mistakes.
    """
    mistakes = list(unknown_axes(axes, lines))
    swept_lines = lines_of_cells(axes, lines, rules)
    variants, found = read_variants(tables, axes, swept_lines, rules)
    mistakes.extend(found)
    if found or any(value is None for values in variants.values() for value in values.read):
        return Grid([], []), mistakes
    mistakes.extend(twins(variants["model"].read, "weights", swept_lines))
    mistakes.extend(twins(variants["data"].read, "data", swept_lines))
    texts = {
        name: [texts_of(value) for value in variants[name].read]
        for name in ("model", "data", "probe")
    }
    resolved: dict[tuple[int, int], tuple[Train | None, Texts | None]] = {}
    met: set[tuple[int, int]] = set()
    narrow: set[tuple[str, int, str]] = set()
    cells: dict[str, int] = {}
    grid = Grid([], [], idle_axes(rules, (variant.written for variant in variants.values())))
    for place in itertools.product(*(range(len(axis.points)) for axis in axes)):
        m, d, t, p = (variants[name].written.at(place) for name in READERS)
        if (m, d) not in met:
            met.add((m, d))
            pair = variants["model"].read[m], variants["data"].read[d]
            mistakes.extend(misfits(*pair, swept_lines))
        if (t, d) not in resolved:
            train, found = resolve_train(
                variants["train"].read[t],
                variants["train"].written.tables[t],
                variants["data"].read[d],
                swept_lines,
            )
            mistakes.extend(found)
            resolved[t, d] = (train, texts_of(train) if train else None)
        train, train_texts = resolved[t, d]
        if train is None or train_texts is None:
            continue
        for name, i in (("model", m), ("data", d), ("train", t)):
            if (name, i, train.dtype) not in narrow:
                narrow.add((name, i, train.dtype))
                mistakes.extend(too_narrow(variants[name].read[i], train, swept_lines))
        parts = (texts["data"][d], texts["model"][m], texts["probe"][p], train_texts)
        model, data, probe = (
            variants[name].read[i] for name, i in (("model", m), ("data", d), ("probe", p))
        )
        cell = make_cell(model, data, probe, train, parts)
        at = cells.setdefault(cell.cell_id, len(grid.cells))
        if at == len(grid.cells):
            grid.cells.append(cell)
        grid.places.append(at)
    mistakes = mistakes or [
        *wrong_measures(grid.cells, swept_lines),
        *wrong_functions(grid.cells, swept_lines),
        *wrong_width_rules(grid.cells, swept_lines),
    ]
    return (Grid([], []), mistakes) if mistakes else (grid, [])


def lines_of_cells(axes: Sequence[Axis], lines: Mapping[str, int], rules: Rules) -> dict[str, int]:
    """Return the line of each key of a cell: that of its axis or expression where it has one."""
    found = dict(lines)
    for name in [*(name for axis in axes for name in axis.fields), *rules.derived]:
        place = f"derive.{name}" if name in rules.derived else f"sweep.{name}"
        found[name] = lines.get(place, lines.get(name, 0))
    return found


class Variants(NamedTuple):
    """The different forms of one table.

    Attributes:
        written: As a study file would have them.
        read: As components; None where something is wrong.
    """

    written: Written
    read: list[Any]


def read_variants(
    tables: Mapping[str, Mapping[str, Any]],
    axes: Sequence[Axis],
    lines: Mapping[str, int],
    rules: Rules,
) -> tuple[dict[str, Variants], list[Mistake]]:
    """Return the variants of every table, and what is wrong with them."""
    mistakes: list[Mistake] = []
    variants = {}
    for name, reader in READERS.items():
        written, found = write_tables(name, tables, axes, rules, lines)
        mistakes.extend(found)
        values = []
        for table in written.tables:
            value, found = reader(table, lines)
            mistakes.extend(found)
            values.append(value)
        variants[name] = Variants(written, values)
    return variants, mistakes


def read_trained_cell(config: str) -> Cell:
    """Return the cell of what is trained here whose `config`, its canonical JSON, a plan holds.

    A field that its component no longer has, or has for other kinds only, is passed over.

    Raises:
        UnknownNameError: If it names a component that is not there.
        ModelError: If a component of the user's own cannot be imported.
    """
    tables = json.loads(config)
    model, data = (
        restored(find_component(group, tables[name]["kind"]), tables[name])
        for name, group in (("model", "models"), ("data", "datasets"))
    )
    train = restored(Train, tables["train"])
    probe = restored(ProbeConfig, tables["probe"])
    parts = [texts_of(part) for part in (data, model, probe, train)]
    return make_cell(model, data, probe, train, parts)


def restored(cls: type[Any], table: Mapping[str, Any]) -> Any:
    """Return a component from the canonical JSON of all its fields."""
    values: dict[str, Any] = {}
    for field in fields_of(cls):
        if field.name not in table:
            continue
        value = table[field.name]
        if field.choice is not None:
            chosen = find_component(field.choice.group, value)
            values[field.name] = restored(chosen, {**table, "kind": value})
        else:
            # Lists have come from tuples, as any value of a component is hashable.
            values[field.name] = tuple(value) if isinstance(value, list) else value
    for field in fields_of(cls):
        if field.choice is not None and field.name not in values:
            chosen = find_component(field.choice.group, field.choice.omit or field.choice.default)
            values[field.name] = restored(chosen, table)
    return cls(**values)


def make_cell(
    model: AbstractModelConfig,
    data: AbstractDatasetConfig,
    probe: ProbeConfig,
    train: Train,
    texts: Sequence[Texts],
) -> Cell:
    """Return the cell of four tables; `texts` are those of data, model, probe and train."""
    identity, config, shape = (
        f'{{"data":{data_text},"model":{model_text},"probe":{probe_text},"train":{train_text}}}'
        for data_text, model_text, probe_text, train_text in zip(*texts, strict=True)
    )
    return Cell(cell_id(identity), (model, data, train, probe), identity, config, shape)


def unknown_axes(axes: Sequence[Axis], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each swept field that is in none of the tables."""
    for name in (name for axis in axes for name in axis.fields):
        table, _, rest = name.partition(".")
        key = f"sweep.{name}"
        if table not in READERS or not rest:
            close = nearest(name, dict.fromkeys(known_fields()))
            hint = f". Did you mean {close[0]!r}?" if close else ""
            what = f"must be a field of model, data, train or probe, such as train.gamma{hint}"
            yield Mistake(line=lines.get(key, 0), key=key, what=what)


def known_fields() -> Iterator[str]:
    """Yield the dotted name of every field that may be swept."""
    tables = {"model": "models", "data": "datasets"}
    classes = [(table, cls) for table, group in tables.items() for cls in load_all(group).values()]
    classes += [("train", Train), ("probe", ProbeConfig)]
    groups = [field.choice.group for field in fields_of(Train) if field.choice]
    classes += [("train", cls) for group in groups for cls in load_all(group).values()]
    for table, cls in classes:
        yield from (f"{table}.{field}" for field in field_names(cls))


def read_component(
    group: str, table: Mapping[str, Any], lines: Mapping[str, int]
) -> tuple[Any, list[Mistake]]:
    """Return the component that a table's `kind` names, with the content of its addresses."""
    key = GROUPS[group]
    name = key.partition(".")[0]
    line = lines.get(key, lines.get(name, 0))
    kind = table.get("kind")
    if kind is None:
        what = f"must be given: {', '.join(load_all(group))} or package.module:Name"
        return None, [Mistake(line=line, key=key, what=what)]
    try:
        cls = find_component(group, str(kind))
    except UnknownNameError:
        what = (
            f"must be a known kind, but got {kind!r}. {choices(str(kind), list(load_all(group)))}"
        )
        return None, [Mistake(line=line, key=key, what=what)]
    except ModelError as error:
        return None, [Mistake(line=line, key=key, what=str(error).removeprefix(f"{key} "))]
    found, mistakes = check_table(cls, cls.of_table(dict(table)), name, lines)
    if found is None:
        return None, mistakes
    identified, wrong = found.identified()
    return (None if wrong else identified), [found.where(lines, *item) for item in wrong]


def read_probe(
    table: Mapping[str, Any], lines: Mapping[str, int]
) -> tuple[ProbeConfig | None, list[Mistake]]:
    """Return the probe table, with the sources of the user's own measures."""
    found, mistakes = check_table(ProbeConfig, table, "probe", lines)
    if found is None:
        return None, mistakes
    identified, wrong = found.identified()
    return (None if wrong else identified), [found.where(lines, *item) for item in wrong]


Reader = Callable[[Mapping[str, Any], Mapping[str, int]], tuple[Any, list[Mistake]]]
READERS: dict[str, Reader] = {
    "model": lambda table, lines: read_component("models", table, lines),
    "data": lambda table, lines: read_component("datasets", table, lines),
    "train": lambda table, lines: check_table(Train, table, "train", lines),
    "probe": read_probe,
}
"""What reads each table that may be swept, in the order of a study file."""


def twins(parts: Sequence[Component], noun: str, lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each address whose content another one of `parts` has too.

    They would be one run.
    """
    homes: dict[tuple[str, str], str] = {}
    for part in parts:
        for field in fields_of(type(part)):
            if not (field.known_by and field.is_key and getattr(part, field.known_by)):
                continue
            path = getattr(part, field.name)
            home = homes.setdefault((field.name, texts_of(part).identity), path)
            if home != path:
                key = f"{part.table}.{field.name}"
                what = f"must hold different {noun}, but {home!r} and {path!r} are the same"
                yield Mistake(line=lines.get(key, lines.get("sweep", 0)), key=key, what=what)


def misfits(
    model: AbstractModelConfig, data: AbstractDatasetConfig, lines: Mapping[str, int]
) -> Iterator[Mistake]:
    """Yield a mistake where a model cannot be given the data."""
    if model.needs_data == data.is_absent:
        what = (
            "must be 'none' for model.kind = 'pretrained', and for no other model, but got "
            f"{data.kind!r} for {model.kind!r}"
        )
        yield data.where(lines, "kind", what)
    if not data.is_absent and data.shape.is_integer and not model.reads_integers:
        what = (
            "must be a torch module of your own (package.module:Class) where inputs are integers, "
            f"which {model.kind!r} would take for numbers"
        )
        yield model.where(lines, "kind", what)
    for key, what in model.misfits(data.shape):
        yield model.where(lines, key, what)
