"""From the tables of a program to cells: every combination of the values swept in [config]."""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from symstudy.components import check_table, field_names, texts_of
from symstudy.errors import Mistake, nearest
from symstudy.identity import canonical_json, cell_id
from symstudy.study.cell import Cell, Grid
from symstudy.study.cells import lines_of_cells
from symstudy.study.dependent import NO_RULES, Rules
from symstudy.study.program import PLACEHOLDERS, Program, ProgramSettings, unknown_names
from symstudy.study.sweep import Axis
from symstudy.study.variants import idle_axes, write_tables

__all__ = ["expand_programs", "flattened", "nested", "read_program_cell"]

TABLES = ("program", "config")
KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}


def expand_programs(
    tables: Mapping[str, Mapping[str, Any]],
    axes: Sequence[Axis],
    lines: Mapping[str, int],
    rules: Rules = NO_RULES,
) -> tuple[Grid, list[Mistake]]:
    """Return the cells of a study of a program in grid order, and what is wrong with its tables.

    Args:
        tables: `program` and `config` as written.
        axes: Axes of the sweep.
        lines: Line of each dotted key.
        rules: Keys that follow from others.

    Returns:
        All cells and no mistakes, or no cells and all mistakes.
    """
    found_lines = lines_of_cells(axes, lines, rules)
    tables = {**tables, "config": flattened(tables.get("config", {}))}
    mistakes = list(unknown_axes(axes, tables["config"], lines))
    written = {}
    for name in TABLES:
        written[name], wrong = write_tables(name, tables, axes, rules, lines)
        mistakes += wrong
    if mistakes:
        return Grid([], []), mistakes
    programs = [read_program(table, found_lines) for table in written["program"].tables]
    mistakes += [mistake for _, wrong in programs for mistake in wrong]
    settings = written["config"].tables
    mistakes += list(wrong_settings(settings, found_lines))
    # A command names what every run has.
    always = sorted(set.intersection(*map(set, settings)))
    for program, _ in programs:
        if program is not None:
            for what in unknown_names(program.command, always):
                mistakes.append(program.where(found_lines, "command", what))
    if mistakes:
        return Grid([], []), list(dict.fromkeys(mistakes))
    of_config = [ProgramSettings(arguments=values) for values in settings]
    cells: dict[str, int] = {}
    grid = Grid([], [], idle_axes(rules, written.values()))
    for place in itertools.product(*(range(len(axis.points)) for axis in axes)):
        program = programs[written["program"].at(place)][0]
        assert program is not None, "there are no mistakes"
        cell = make_program_cell(program, of_config[written["config"].at(place)])
        at = cells.setdefault(cell.cell_id, len(grid.cells))
        if at == len(grid.cells):
            grid.cells.append(cell)
        grid.places.append(at)
    return grid, []


def make_program_cell(program: Program, settings: ProgramSettings) -> Cell:
    """Return the cell of a program with its hyperparameters."""
    texts = texts_of(program)
    values = canonical_json(settings.arguments)
    identity, config = (
        f'{{"config":{values},"program":{text}}}' for text in (texts.identity, texts.full)
    )
    return Cell(cell_id(identity), (program, settings), identity, config, texts.shape)


def read_program_cell(config: str) -> Cell:
    """Return the cell of a program whose `config`, its canonical JSON, a plan holds."""
    tables = json.loads(config)
    known = set(field_names(Program)) | {"program_source"}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in tables["program"].items()
        if key in known
    }
    return make_program_cell(Program(**values), ProgramSettings(arguments=tables["config"]))


def read_program(
    table: Mapping[str, Any], lines: Mapping[str, int]
) -> tuple[Program | None, list[Mistake]]:
    """Return a `[program]` table with what identifies its code, or None and what is wrong."""
    values = dict(table)
    if callable(values.get("entry")):
        found_entry = name_of(values["entry"])
        if not found_entry:
            what = (
                f"must be importable by name, but {values['entry']!r} is not. Define it at the top "
                'of a module that is imported, or name it: "module:function"'
            )
            return None, [Mistake(line=0, key="program.entry", what=what)]
        values["entry"] = found_entry
    if isinstance(values.get("env"), dict):
        wrong = [key for key, value in values["env"].items() if not isinstance(value, str)]
        if wrong:
            key = f"program.env.{wrong[0]}"
            what = f"must be a text in quotes, but got {values['env'][wrong[0]]!r}"
            return None, [Mistake(line=lines.get(key, lines.get("program", 0)), key=key, what=what)]
        values["env"] = [f"{key}={value}" for key, value in sorted(values["env"].items())]
    found, mistakes = check_table(Program, values, "program", lines)
    if found is None:
        return None, mistakes
    program, wrong_keys = found.identified()
    found_mistakes = [program.where(lines, *item) for item in wrong_keys]
    found_mistakes += [
        program.where(lines, "env", f"must be NAME=value each, but got {item!r}")
        for item in program.env
        if not item.partition("=")[0] or "=" not in item or item.startswith("SYMSTUDY_")
    ]
    return (None if found_mistakes else program), found_mistakes


def name_of(function: Any) -> str:
    """Return `module:name` of a function; empty where another process could not import it so."""
    module = getattr(function, "__module__", "") or ""
    name = getattr(function, "__qualname__", "")
    is_found = getattr(sys.modules.get(module), name, None) is function
    return f"{module}:{name}" if is_found and module != "__main__" else ""


def unknown_axes(
    axes: Sequence[Axis], config: Mapping[str, Any], lines: Mapping[str, int]
) -> Iterator[Mistake]:
    """Yield a mistake for each swept field that is no key of [config] or [program]."""
    program = [f"program.{name}" for name in ("entry", "command", "env")]
    for name in (name for axis in axes for name in axis.fields):
        table, _, rest = name.partition(".")
        if (table == "config" and rest) or name in program:
            continue
        close = nearest(f"config.{name}", [*(f"config.{key}" for key in config), *program])
        hint = f". Did you mean {close[0]!r}?" if close else f'. Type "config.{name}"'
        key = f"sweep.{name}"
        what = f"must be a key of [config], such as config.lr, where there is a program{hint}"
        yield Mistake(line=lines.get(key, 0), key=key, what=what)


def wrong_settings(
    settings: Sequence[Mapping[str, Any]], lines: Mapping[str, int]
) -> Iterator[Mistake]:
    """Yield what is wrong with the hyperparameters of a program, over all that the sweep makes."""
    kinds: dict[str, str] = {}
    words: dict[str, str] = {}
    for key, value in ((key, value) for values in settings for key, value in values.items()):
        at = f"config.{key}"
        what = wrong_value(key, value)
        kind = KINDS.get(type(value), "")
        before = kinds.setdefault(key, kind)
        twin = words.setdefault(key.lower().replace(".", "_"), key)
        if not what and kind != before:
            what = f"must be of one type in all cells, but is {before} and {kind} ({value!r})"
        if not what and twin != key:
            what = f"must have a name of its own, but SQL takes it and config.{twin} for one column"
        if what:
            line = lines.get(at, lines.get("config", lines.get("program", 0)))
            yield Mistake(line=line, key=at, what=what)


def wrong_value(key: str, value: Any) -> str:
    """Return what is wrong with one hyperparameter; empty if nothing is."""
    if key in PLACEHOLDERS:
        use = "seeds are those of [sweep] seed" if key == "seed" else "a command may name it itself"
        return f"must have another name: {use}"
    if not all(part and all(c.isalnum() or c in "_-" for c in part) for part in key.split(".")):
        return "must be named by letters, digits, _ and -"
    if type(value) not in KINDS:
        return f"must be a number, a text, true or false, or a list, but got {value!r}"
    try:
        canonical_json(value)
    except (TypeError, ValueError):
        return f"must hold finite numbers, texts, truths or lists of these, but got {value!r}"
    return ""


def flattened(table: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    """Return nested tables as one, with dotted keys."""
    result: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            result.update(flattened(value, f"{head}{key}."))
        else:
            result[f"{head}{key}"] = value
    return result


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys as nested tables: what `run.config` is."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        *heads, last = key.split(".")
        at = result
        for head in heads:
            at = at.setdefault(head, {})
        at[last] = value
    return result
