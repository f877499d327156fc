"""The `[pairs]` table: which runs of a study are compared with each other, and by what."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, NamedTuple

from annotated_types import Ge

from symstudy.components import Component, component, source_of
from symstudy.errors import Mistake, ModelError, UnknownNameError, choices
from symstudy.identity import canonical_json, digest
from symstudy.measures.catalogue import PAIR_MEASURES, columns_of_pair, find_pair_measure
from symstudy.study.cell import Cell, Run

__all__ = ["SEED", "PairOfRuns", "PairsConfig", "pairs_mistakes", "pairs_of_runs"]

SEED = "seed"
"""In the place of a key: runs of one cell with different seeds."""


@component
class PairsConfig(Component):
    """Pairs of runs whose representations are compared once both have ended.

    Nothing here changes a run: pairs may be declared when the runs are there already, as long as
    these have kept their representations.
    """

    table: ClassVar[str] = "pairs"

    between: tuple[str, ...]
    """Keys, such as "model.width", or "seed": every two runs make a pair that differ in some of
    these and in nothing else. The first of a pair is the one whose cell the grid comes to first."""
    measures: tuple[str, ...] = tuple(item.name for item in PAIR_MEASURES)
    """Measures of pairs: built-in ones, or package.module:name of your own."""
    draws: Annotated[int, Ge(0)] = 200
    """Permutations of the second run's samples that each value at the last probe of both is held
    against; 0 for none."""

    @property
    def settings(self) -> str:
        """Hash of what the rows of a pair follow from, beside its runs."""
        sources = [source_of(path) for path in self.own_measures]
        return digest(canonical_json([list(self.measures), self.draws, *sources]))

    @property
    def own_measures(self) -> list[str]:
        """Import paths of the measures of the user's own."""
        return [name for name in self.measures if ":" in name]


class PairOfRuns(NamedTuple):
    """Two runs that are compared.

    Attributes:
        first: The run that the grid comes to first.
        second: The other.
    """

    first: Run
    second: Run


def pairs_of_runs(config: PairsConfig, runs: Sequence[Run]) -> list[PairOfRuns]:
    """Return every pair that `[pairs] between` asks for, in the order of the runs."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(rest_of(run, config.between), []).append(run)
    return [
        PairOfRuns(first, second)
        for group in groups.values()
        for first, second in itertools.combinations(group, 2)
    ]


def rest_of(run: Run, between: Sequence[str]) -> str:
    """Return what a run has in common with those that it is paired with, as text."""
    tables = json.loads(run.cell.config)
    for name in between:
        table, _, key = name.partition(".")
        tables.get(table, {}).pop(key, None)
    return canonical_json([tables, None if SEED in between else run.seed])


def measures_mistakes(config: PairsConfig, lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield which measures are none of pairs, or would be a column that is there."""
    taken: dict[str, str] = {}
    for name in config.measures:
        try:
            found = find_pair_measure(name)
            # SQL takes `Apart` and `apart` for one column.
            for column in columns_of_pair(found.name):
                if (other := taken.setdefault(column.lower(), name)) != name:
                    what = f"would be {column!r}, as {other!r} is. Rename the function"
                    what = f"must name measures that are no other column, but {name!r} {what}"
                    yield config.where(lines, "measures", what)
                    break
        except (ModelError, UnknownNameError) as error:
            what = str(error).removeprefix(f"{config.table}.measures ")
            yield config.where(lines, "measures", what)


def pairs_mistakes(
    config: PairsConfig, swept: Sequence[str], cells: Sequence[Cell], lines: Mapping[str, int]
) -> Iterator[Mistake]:
    """Yield what is wrong with `[pairs]`, for a grid of cells.

    Args:
        config: The table.
        swept: Dotted names of the fields that vary.
        cells: All cells of the study.
        lines: Line of each dotted key.
    """
    if not config.between:
        yield config.where(lines, "between", "must name at least one key, but got []")
    for name in config.between:
        if name != SEED and name not in swept:
            what = f"must name keys that are swept, or 'seed', but got {name!r}"
            yield config.where(lines, "between", f"{what}. {choices(name, [*swept, SEED])}")
    yield from measures_mistakes(config, lines)
    if any(cell.is_program for cell in cells):
        yield config.where(lines, "between", "must be left out of a study of a [program]")
        return
    if any(not cell.probe.representations for cell in cells):
        yield config.where(
            lines,
            "between",
            "must have representations to compare, but probe.representations is 0. Type "
            "probe.representations=256",
        )
    if len({cell.probe.representations for cell in cells}) > 1:
        what = "must compare runs on equally many samples, but probe.representations is swept"
        yield config.where(lines, "between", what)
