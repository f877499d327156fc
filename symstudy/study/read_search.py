"""Reads the `[search]` table of a study file, with everything that is wrong in it."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from symstudy.components import check_table
from symstudy.components.own_modules import search_places
from symstudy.errors import Mistake, StudyFileError
from symstudy.study.dependent import RuleError, Rules, read_rules
from symstudy.study.program_cells import flattened
from symstudy.study.search import Point, Search, cells_of
from symstudy.study.search_keys import (
    COMMON_KEYS,
    KEYS_OF_METHOD,
    MODELS,
    SUBTABLES,
    ConfirmConfig,
    HaltConfig,
    SearchConfig,
)
from symstudy.study.space import Dimension, read_space
from symstudy.study.sweep import Axis, Sweep
from symstudy.study.whole_numbers import whole_numbers

__all__ = ["Around", "read_search"]


class Around(NamedTuple):
    """What a study file says around its search.

    Attributes:
        tables: `model`, `data`, `train` and `probe`, or `program` and `config`, as written.
        sweep: Axes, conditions and seeds.
        derived: Expression of each derived key.
        is_seeded: Whether the sweep names its seeds.
    """

    tables: Mapping[str, Mapping[str, Any]]
    sweep: Sweep
    derived: Mapping[str, Any]
    is_seeded: bool

    @property
    def swept(self) -> set[str]:
        """Fields that the sweep varies."""
        return {name for axis in self.sweep.axes for name in axis.fields}


def rules_of(
    around: Around, lines: Mapping[str, int], parts: "Parts | None" = None
) -> tuple[Rules, list[Mistake]]:
    """Return the rules of a study by which keys follow from others, and what is wrong with them.

    Args:
        around: The study file.
        lines: Line of each dotted key.
        parts: Tables of its search, if it has one.
    """
    varied = {name: f"sweep.{name}" for name in around.swept}
    conditions = dict(around.sweep.conditions)
    if parts is not None:
        varied.update({name: f"search.space.{name}" for name in parts.space_names})
        varied.update({name: f"search.confirm.set.{name}" for name in parts.confirm_set})
        conditions.update(parts.conditions)
    return read_rules(around.tables, around.derived, conditions, varied, lines)


class Parts(NamedTuple):
    """The tables of a search, read one by one.

    Attributes:
        config: The table's own keys; None where they are wrong.
        space: What may vary.
        conditions: Condition of each field that is searched only under one.
        space_names: Fields of the space, as written.
        confirm: How finds are trained again, if they are.
        confirm_set: Fields that a find is trained again with.
        halt: How hopeless runs are stopped, if they are.
    """

    config: SearchConfig | None
    space: tuple[Dimension, ...]
    conditions: dict[str, Any]
    space_names: tuple[str, ...]
    confirm: ConfirmConfig | None
    confirm_set: dict[str, Any]
    halt: HaltConfig | None


def read_search(
    table: Mapping[str, Any], around: Around, lines: Mapping[str, int]
) -> tuple[Search | None, list[Mistake]]:
    """Return the search that a `[search]` table declares, or None and what is wrong with it.

    Args:
        table: As written, its space flat: dotted field to range or list.
        around: The rest of the study file.
        lines: Line of each dotted key.
    """
    parts, mistakes = read_parts(table, around.tables, lines)
    config = parts.config
    if config is not None:
        found = method_mistakes(config, table, is_seeded=around.is_seeded)
        mistakes += [search_mistake(lines, key, what) for key, what in found]
    mistakes += [search_mistake(lines, key, what) for key, what in field_mistakes(parts, around)]
    mistakes += [search_mistake(lines, key, what) for key, what in halt_mistakes(parts, around)]
    rules, found_rules = rules_of(around, lines, parts)
    mistakes += found_rules
    if mistakes or config is None:
        return None, mistakes
    branches, mistakes = branches_of(around, parts, rules, lines)
    if mistakes:
        return None, mistakes
    places = {f"sweep.{name}": lines.get(f"search.space.{name}", 0) for name in parts.space_names}
    for values in ({}, parts.confirm_set) if parts.confirm else ({},):
        for branch in branches:
            fixed = {**branch, **values}
            found_there = space_mistakes(
                parts.space, around.tables, fixed, {**lines, **places}, rules
            )
            mistakes += [in_space(mistake, parts.space_names) for mistake in found_there]
    if mistakes:
        return None, mistakes
    return Search(
        config=config,
        space=parts.space,
        confirm=parts.confirm,
        confirm_set=dict(parts.confirm_set),
        halt=parts.halt,
        branches=branches,
        seeds=tuple(range(config.looks[-1])) if config.looks else around.sweep.seeds,
        tables={name: dict(values) for name, values in around.tables.items()},
        places=search_places(),
        rules=rules,
    ), []


def search_mistake(lines: Mapping[str, int], key: str, what: str) -> Mistake:
    """Return a mistake in a key of the search, at its line or that of the table it is in."""
    name = f"search.{key}"
    heads = [name, *(f"search.{part}" for part in ("confirm.set", "confirm", "space"))]
    at = next((lines[head] for head in heads if name.startswith(head) and head in lines), 0)
    return Mistake(line=at or lines.get("search", 0), key=name, what=what)


def in_space(mistake: Mistake, names: Sequence[str]) -> Mistake:
    """Return a mistake in a cell of the space as one in the space, where it is about it."""
    name = mistake.key.removeprefix("sweep.")
    key = f"search.space.{name}" if name in names else mistake.key
    return dataclasses.replace(mistake, key=key)


def read_parts(
    table: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], lines: Mapping[str, int]
) -> tuple[Parts, list[Mistake]]:
    """Return the tables of a search, and what is wrong with each by itself."""
    own = {key: value for key, value in table.items() if key not in ("space", *SUBTABLES)}
    config, mistakes = check_table(SearchConfig, own, "search", lines)
    read: dict[str, Any] = {"confirm": None, "halt": None}
    confirm_set: dict[str, Any] = {}
    for key, cls in (("confirm", ConfirmConfig), ("halt", HaltConfig)):
        values = table.get(key)
        if isinstance(values, dict):
            fields = {name: value for name, value in values.items() if name != "set"}
            confirm_set = values.get("set", {}) if key == "confirm" else confirm_set
            read[key], found = check_table(cls, fields, f"search.{key}", lines)
            mistakes.extend(found)
        elif values is not None:
            what = f"must be a table [search.{key}], but got {values!r}"
            mistakes.append(search_mistake(lines, key, what))
    space_table = table.get("space", {})
    if not isinstance(space_table, dict):
        what = f"must be a table [search.space], but got {space_table!r}"
        mistakes.append(search_mistake(lines, "space", what))
        space_table = {}
    space, found = read_space(space_table, lines, functools.partial(whole_numbers, tables))
    mistakes.extend(found)
    names = tuple(space_table)
    parts = Parts(
        config,
        space.dimensions,
        space.conditions,
        names,
        read["confirm"],
        confirm_set,
        read["halt"],
    )
    return parts, mistakes


def field_mistakes(parts: Parts, around: Around) -> Iterable[tuple[str, str]]:
    """Yield key and mistake for fields that are in two places."""
    for name in parts.space_names:
        head, _, rest = name.partition(".")
        given = flattened(around.tables.get(head, {}))
        if name in around.swept:
            yield f"space.{name}", "must be searched or swept, but is in [sweep] too"
        elif rest in given:
            what = f"must be searched or fixed, but is {given[rest]!r} in [{head}]"
            yield f"space.{name}", f"{what}. Leave it out there"
    for name in parts.confirm_set:
        if name in around.swept or name in parts.space_names:
            what = "must be a fixed field, but it is searched or swept"
            yield f"confirm.set.{name}", what


def halt_mistakes(parts: Parts, around: Around) -> Iterable[tuple[str, str]]:
    """Yield key and mistake where the steps at which programs would be stopped are not known."""
    program = around.tables.get("program")
    if program is not None and parts.halt is not None and not program.get("steps"):
        what = "must be with [program] steps = N, the step of the last report, which rungs are of"
        yield "halt", what


def method_mistakes(
    config: SearchConfig, table: Mapping[str, Any], *, is_seeded: bool
) -> Iterable[tuple[str, str]]:
    """Yield key and mistake for what the method does not read, or lacks."""
    method = config.method
    allowed = (*COMMON_KEYS, *KEYS_OF_METHOD[method])
    if method in MODELS:
        allowed += SUBTABLES
    for key in table:
        if key not in allowed and (key in SUBTABLES or key in vars(config) or key == "space"):
            yield key, f"must be left out for {method}, which reads {', '.join(allowed)}"
    ranges = table.get("space", {})
    yield from space_of_method(method, ranges if isinstance(ranges, dict) else {})
    if method == "replicate":
        yield from looks_mistakes(config, is_seeded=is_seeded)


def space_of_method(method: str, ranges: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield key and mistake where a method cannot search a space."""
    if method in MODELS and not ranges:
        yield "space", 'must name at least one field, such as "train.gamma" = { log = [1e-4, 1] }'
    if method == "bisect" and len(ranges) != 1:
        yield "space", f"must name the one field that is bisected, but has {len(ranges)}"
    if method == "cmaes" and len(ranges) == 1:
        yield "space", "must name at least two fields for cmaes, but has 1"
    if method in ("bisect", "cmaes"):
        for name, values in ranges.items():
            if isinstance(values, dict) and "when" in values:
                yield f"space.{name}", f"must be searched everywhere for {method}; leave out `when`"
            if isinstance(values, list):
                yield f"space.{name}", f"must be a range for {method}, but got a list"


def looks_mistakes(config: SearchConfig, *, is_seeded: bool) -> Iterable[tuple[str, str]]:
    """Yield key and mistake for the looks and the range of replicate."""
    looks = config.looks or ()
    if not looks:
        yield "looks", "must be given for replicate, such as [5, 10, 20, 40]"
    elif looks[0] < 2 or list(looks) != sorted(set(looks)):
        yield "looks", f"must be growing numbers of at least 2 seeds, but got {list(looks)}"
    if config.low is None and config.high is None:
        yield "low", "at least one of search.low and search.high must be given"
    elif config.low is not None and config.high is not None and config.low >= config.high:
        yield "high", f"must be above search.low = {config.low}, but got {config.high}"
    if is_seeded:
        yield "looks", "gives the seeds of replicate; leave sweep.seed out"


def branches_of(
    around: Around, parts: Parts, rules: Rules, lines: Mapping[str, int]
) -> tuple[tuple[Point, ...], list[Mistake]]:
    """Return the different branches of a search, and what is wrong with the sweep's conditions.

    A field of the sweep whose condition does not hold in a branch is left out of it.
    """
    swept = [name for name in around.sweep.conditions if name in rules.conditions]
    for name in swept:
        searched = [read for read in rules.reads[name] if read in parts.space_names]
        if searched:
            what = f"must not depend on what is searched, but its `when` reads {searched[0]}"
            return (), [rules.mistake(RuleError(name, what), lines)]
    points: dict[str, Point] = {}
    for point in grid(around.sweep.axes):
        try:
            held = rules.applied(around.tables, point, swept) if swept else point
        except RuleError as error:
            return (), [rules.mistake(error, lines)]
        branch = {name: value for name, value in point.items() if name in held}
        points.setdefault(repr(sorted(branch.items())), branch)
    return tuple(points.values()), []


def grid(axes: Sequence[Axis]) -> Iterable[dict[str, Any]]:
    """Yield the values of every combination of the axes' places, in grid order."""
    if not axes:
        yield {}
        return
    for point in axes[0].points:
        for rest in grid(axes[1:]):
            yield {**dict(zip(axes[0].fields, point, strict=True)), **rest}


def space_mistakes(
    space: Sequence[Dimension],
    tables: Mapping[str, Mapping[str, Any]],
    fixed: Point,
    lines: Mapping[str, int],
    rules: Rules,
) -> list[Mistake]:
    """Return what is wrong with a space: an end of a field that is valid nowhere.

    Fields may depend on each other, as a batch on the number of samples, so each end is tried where
    all others are at their lower ends, and where they are at their upper ones.
    """
    others = [{d.field: d.ends[side] for d in space} for side in (0, -1)]
    found: list[Mistake] = []
    ends: list[Point] = [{d.field: end} for d in space for end in d.ends]
    for end in ends or [{}]:
        wrong: list[Mistake] = []
        for other in others:
            try:
                cells_of(tables, [{**other, **end, **fixed}], lines, rules)
            except StudyFileError as error:
                wrong = wrong or list(error.mistakes)
            else:
                wrong = []
                break
        found += wrong
    return found
