"""A study: what to train, what varies, what is measured, which claims it serves."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from symstudy.components import check_table, looking_in
from symstudy.errors import Mistake, StudyFileError, choices
from symstudy.study.cell import Cell, Grid, Run, expand_runs
from symstudy.study.cells import known_fields
from symstudy.study.document import (
    Document,
    apply_preset,
    normalised,
    read_document,
    table_of,
)
from symstudy.study.expand import PROGRAM_TABLES, TRAINED_TABLES, expand_cells
from symstudy.study.notes import idle_notes, merged_notes, missing_files
from symstudy.study.overrides import apply_overrides
from symstudy.study.own_names import unnamed_variables
from symstudy.study.pairs import PairsConfig, pairs_mistakes
from symstudy.study.precision import alike_notes
from symstudy.study.program import names_in
from symstudy.study.read_search import Around, read_search, rules_of
from symstudy.study.search import Search
from symstudy.study.sections import PackConfig
from symstudy.study.sweep import Axis, read_sweep
from symstudy.study.tabulate import check_own_keys
from symstudy.study.unread import unread_mistakes
from symstudy.study.whole_numbers import whole_numbers

__all__ = ["PILOT", "STUDY_KEYS", "Study", "load_study", "make_study"]

SCHEMA = 1
PILOT = "pilot"
KINDS = ("study", PILOT, "replication")
"""What a study is for: to decide, to explore, or to decide again with new seeds."""
LONGEST_NAME = 100
"""Bytes of a study's name, which names a folder and is a part of other names."""
STUDY_KEYS = (
    "schema",
    "name",
    "title",
    "description",
    "kind",
    "replicates",
    "rules",
    "claims",
    "preset",
    "model",
    "data",
    "train",
    "program",
    "config",
    "sweep",
    "derive",
    "search",
    "probe",
    "pairs",
    "pack",
    "presets",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A checked study.

    Attributes:
        name: Identifier; the name of its folder of results.
        title: What it shows, in a line.
        description: More of it.
        claims: Names of the claims that it serves.
        kind: `study`, `pilot` (explores: no verdicts, and its seeds are burnt) or `replication`.
        replicates: Of a replication: name of the study whose question it asks again.
        rules: Of a replication: hash of the decision rule of each claim, as that study froze it.
        cells: Points of the swept hyperparameters, in grid order; none if there is a search, which
            asks for its cells as it goes.
        places: For each place of the grid of `axes`, which of the cells it is; see `Grid`.
        seeds: Replicates of each cell.
        swept: Dotted names of the fields that vary.
        axes: Axes of the grid, in the order in which `cells` vary, the last one fastest.
        search: What decides which runs are asked for, if not the grid.
        pairs: Which of its runs are compared with each other; None for none.
        pack: How its runs are packed; changes no result.
        preset: Preset that was applied, if any.
        overrides: Settings `key=value` of the command line that were applied, as they were typed.
        source: File it came from.
        notes: What a user should be told about how it was read.
        document: The file's tables with preset and settings of the command line, as they were read.
    """

    name: str
    title: str
    description: str = ""
    claims: tuple[str, ...] = ()
    kind: str = "study"
    replicates: str = ""
    rules: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cells: tuple[Cell, ...]
    places: tuple[int, ...] = ()
    seeds: tuple[int, ...]
    swept: tuple[str, ...] = ()
    axes: tuple[Axis, ...] = ()
    search: Search | None = None
    pairs: PairsConfig | None = None
    pack: PackConfig = dataclasses.field(default_factory=PackConfig)
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    source: str = "python"
    notes: tuple[str, ...] = ()
    document: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def num_runs(self) -> int:
        """Number of runs of a grid; 0 of a search."""
        return len(self.cells) * len(self.seeds)

    def runs(self) -> list[Run]:
        """Return every cell with every seed; none of a search."""
        return expand_runs(self.cells, self.seeds)

    def _repr_html_(self) -> str:
        """Return name, title, size and axes, for notebooks."""
        size = f"{len(self.cells)} cells x {len(self.seeds)} seeds"
        if self.search is not None:
            size = f"a search of at most {self.search.num_runs} runs"
        rows = "".join(
            f"<tr><td>{escape(', '.join(axis.fields))}</td><td>{len(axis.points)}</td></tr>"
            for axis in self.axes
        )
        table = f"<table><tr><th>swept</th><th>values</th></tr>{rows}</table>" if rows else ""
        return f"<p><b>{escape(self.name)}</b>: {escape(self.title)}; {size}</p>{table}"

    def expected_runs(self) -> list[Run]:
        """Return the runs of a grid, or examples of what a search may ask for, at most so many."""
        return self.runs() if self.search is None else self.search.examples()

    @property
    def is_program(self) -> bool:
        """Whether its runs are those of a program of the user's own."""
        if self.search is not None:
            return self.search.is_program
        return any(cell.is_program for cell in self.cells[:1])


def load_study(
    path: Path | str, *, preset: str | None = None, overrides: Sequence[str] = ()
) -> Study:
    """Return the study of the TOML file at `path`.

    Args:
        path: The file.
        preset: Preset to merge over it; the file's own default if None, none at all if "none".
        overrides: Settings `key=value` that win over file and preset.

    Raises:
        UserError: If the file cannot be read, or a preset or override is unknown.
        StudyFileError: If anything in the study is wrong; lists everything.
    """
    document = apply_preset(read_document(Path(path)), preset)
    with looking_in(Path(path).absolute().parent):
        return check_study(apply_overrides(document, overrides))


def make_study(
    values: Mapping[str, Any] | None = None, *, preset: str | None = None, **tables: Any
) -> Study:
    """Return the study given as nested tables, as a TOML file would hold them.

    Args:
        values: The whole file, if not by keywords.
        preset: Preset to merge over it; the study's own default if None, none at all if "none".
        tables: Keys and tables of the file by name, which win over `values`. Without `values`,
            `schema` is the present one and `title` the name where they are not given.

    Raises:
        StudyFileError: If anything in it is wrong; lists everything.

    Examples:
        >>> study = make_study(
        ...     name="example",
        ...     model={"kind": "fcn"},
        ...     data={"kind": "identity"},
        ...     train={"lr": 0.01},
        ...     sweep={"model.width": [8, 16], "seed": 3},
        ... )
        >>> len(study.runs())
        6
    """
    given = {**(values or {}), **tables}
    if values is None:
        given = {"schema": SCHEMA, "title": given.get("name", ""), **given}
    document = Document(source="python", values=normalised(given))
    return check_study(apply_preset(document, preset))


def lists_of(search: Search | None) -> Iterator[Axis]:
    """Yield the lists of values that a search chooses from."""
    for dimension in search.space if search is not None else ():
        if dimension.kind == "choice":
            yield Axis((dimension.field,), tuple((value,) for value in dimension.values))


def least_precision(cells: Sequence[Cell], tables: Mapping[str, Any]) -> str:
    """Return the least `train.dtype` of cells; of a search, which has none yet, what is written."""
    if "program" in tables:
        return ""
    if not cells:
        return str(table_of(tables, "train").get("dtype", "float32"))
    return min(cell.train.dtype for cell in cells)


def check_study(document: Document) -> Study:
    """Return the study of a whole document, or raise everything that is wrong with it."""
    values, lines = document.values, document.lines
    mistakes = list(head_mistakes(values, lines))
    tables, found = read_tables(values, lines)
    mistakes += found
    pack, found = check_table(PackConfig, tables.pop("pack"), "pack", lines)
    mistakes.extend(found)
    pairs, found = read_pairs(tables.pop("pairs"), lines)
    mistakes.extend(found)
    is_whole = functools.partial(whole_numbers, tables)
    sweep, found = read_sweep(tables.pop("sweep"), lines, is_whole)
    mistakes.extend(found)
    search_table, derived = tables.pop("search"), tables.pop("derive")
    search: Search | None = None
    grid, found = Grid([], []), []
    around = Around(tables, sweep, derived, is_seeded="seed" in table_of(values, "sweep"))
    if "search" in values:
        search, found = read_search(search_table, around, lines)
    elif all(mistake.key != "sweep" for mistake in mistakes):
        rules, found = rules_of(around, lines)
        grid, found = (grid, found) if found else expand_cells(tables, sweep.axes, lines, rules)
    mistakes.extend(found)
    written = sorted(document.given() - document.beneath)
    written += [name for axis in sweep.axes for name in axis.fields if name not in grid.idle]
    mistakes.extend(unread_mistakes([*written, *derived], grid.cells, lines))
    if pairs is not None and search is not None:
        mistakes.append(pairs.where(lines, "between", "must be left out of a study with [search]"))
    elif pairs is not None and grid.cells:
        axes = [field for axis in sweep.axes for field in axis.fields]
        mistakes.extend(pairs_mistakes(pairs, axes, grid.cells, lines))
    if pack is not None:
        mistakes.extend(pack_mistakes(pack, lines, is_program="program" in values))
    if mistakes or pack is None:
        raise StudyFileError(document.source, mistakes)
    check_own_keys(grid.cells, document.source)
    space = [] if search is None else [dimension.field for dimension in search.space]
    swept = [field for axis in sweep.axes for field in axis.fields] + space
    study = Study(
        name=str(values["name"]),
        title=str(values.get("title", values["name"])),
        description=str(values.get("description", "")),
        claims=tuple(values.get("claims", [])),
        kind=values.get("kind", KINDS[0]),
        replicates=values.get("replicates", ""),
        rules=dict(values.get("rules", {})),
        cells=tuple(grid.cells),
        places=tuple(grid.places),
        seeds=sweep.seeds if search is None else search.seeds,
        swept=tuple(swept),
        axes=sweep.axes,
        search=search,
        pairs=pairs,
        pack=pack,
        preset=document.preset,
        overrides=document.overrides,
        source=document.source,
        notes=(
            *document.notes,
            *missing_files(grid.cells),
            *idle_notes(grid, sweep),
            *merged_notes(grid, sweep),
            *alike_notes(
                (*sweep.axes, *lists_of(search)), dtype=least_precision(grid.cells, tables)
            ),
            *unnamed_fields(swept, tables.get("program", {})),
        ),
        document=values,
    )
    return dataclasses.replace(study, notes=(*study.notes, *unnamed_variables(study)))


def read_tables(
    values: Mapping[str, Any], lines: Mapping[str, int]
) -> tuple[dict[str, dict[str, Any]], list[Mistake]]:
    """Return the tables of a document by name, and what is none or of the other kind of study."""
    tables: dict[str, dict[str, Any]] = {}
    of_cells = PROGRAM_TABLES if "program" in values else TRAINED_TABLES
    mistakes = list(misplaced_tables(values, lines, of_cells))
    for key in (*of_cells, "pairs", "pack", "sweep", "derive", "search"):
        table = values.get(key, {})
        tables[key] = table if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            what = f"must be a table [{key}], but got {table!r}"
            mistakes.append(Mistake(line=lines.get(key, 0), key=key, what=what))
    return tables, mistakes


def read_pairs(
    table: Mapping[str, Any], lines: Mapping[str, int]
) -> tuple[PairsConfig | None, list[Mistake]]:
    """Return the table [pairs]; None where there is none."""
    return check_table(PairsConfig, table, "pairs", lines) if table else (None, [])


def misplaced_tables(
    values: Mapping[str, Any], lines: Mapping[str, int], of_cells: Sequence[str]
) -> Iterator[Mistake]:
    """Yield a mistake for each table that is of the other kind of study."""
    for key in (*TRAINED_TABLES, *PROGRAM_TABLES):
        if key in values and key not in of_cells:
            what = (
                "must be left out where there is a [program], which has [config] in its place"
                if key in TRAINED_TABLES
                else 'must be in a study with [program] entry = "module:function"'
            )
            yield Mistake(line=lines.get(key, 0), key=key, what=what)


def pack_mistakes(
    pack: PackConfig, lines: Mapping[str, int], *, is_program: bool
) -> Iterator[Mistake]:
    """Yield what is wrong with the GPUs of a pack: several are for a run of a program alone."""
    if isinstance(pack.gpus, float) and pack.gpus > 1:
        if not is_program:
            yield pack.where(lines, "gpus", f"must be at most 1, but got {pack.gpus!r}")
        elif pack.gpus != int(pack.gpus):
            yield pack.where(lines, "gpus", f"must be whole above 1, but got {pack.gpus!r}")


def unnamed_fields(swept: Sequence[str], program: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note on each hyperparameter that varies and is not among the words of a command."""
    command = program.get("command", ())
    named = {f"config.{name}" for name in names_in(tuple(command))}
    for name in swept:
        if command and name.startswith("config.") and name not in named:
            yield (
                f"{name} is not among the words of program.command: the script has to read it from "
                "symstudy.current_run().config"
            )


def head_mistakes(values: Mapping[str, Any], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield what is wrong with the keys above the tables."""

    def wrong(key: str, what: str) -> Mistake:
        return Mistake(line=lines.get(key, 0), key=key, what=what)

    for key in values:
        if key not in STUDY_KEYS:
            inside = [name for name in known_fields() if name.rpartition(".")[2] == key]
            hint = f"Did you mean {' or '.join(dict.fromkeys(inside))}? " if inside else ""
            yield wrong(key, f"unknown key. {hint}{choices(key, STUDY_KEYS)}")
    if values.get("schema") != SCHEMA:
        yield wrong("schema", f"must be {SCHEMA}, but got {values.get('schema')!r}")
    name = values.get("name")
    if not (isinstance(name, str) and name and all(c.isalnum() or c in "_-" for c in name)):
        yield wrong("name", f"must be letters, digits, _ and - in quotes, but got {name!r}")
    elif len(name.encode()) > LONGEST_NAME:
        size = len(name.encode())
        yield wrong(
            "name", f"must be at most {LONGEST_NAME} bytes, but got {size}: {name[:20]!r}..."
        )
    for key in ("title", "description"):
        if not isinstance(values.get(key, ""), str):
            yield wrong(key, f"must be a string, but got {values[key]!r}")
    yield from kind_mistakes(values, wrong)
    claims = values.get("claims", [])
    if not (isinstance(claims, list) and all(isinstance(claim, str) for claim in claims)):
        yield wrong("claims", f"must be a list of names of claims, but got {claims!r}")


def kind_mistakes(
    values: Mapping[str, Any], wrong: Callable[[str, str], Mistake]
) -> Iterator[Mistake]:
    """Yield what is wrong with the keys that say what a study is for."""
    kind = values.get("kind", KINDS[0])
    if kind not in KINDS:
        yield wrong("kind", f"must be {', '.join(map(repr, KINDS))}, but got {kind!r}")
    replicates, rules = values.get("replicates", ""), values.get("rules", {})
    if not isinstance(replicates, str) or (kind == "replication") != bool(replicates):
        yield wrong(
            "replicates",
            "must be the name of a study where kind is 'replication', and there alone, but got "
            f"{replicates!r}",
        )
    is_table = isinstance(rules, dict) and all(isinstance(item, str) for item in rules.values())
    if not is_table or (rules and kind != "replication"):
        yield wrong(
            "rules", f"must be a table of hashes of the claims of a replication, but got {rules!r}"
        )
