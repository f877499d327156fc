"""Thousands of planted studies of a claim, judged in memory by the claim's own evidence and rules.

A claim reads one planted study from Parquet. The rows of one of its seeds are repeated for the
seeds of thousands of studies, and the numbers of every part are written into them. From there the
claim's own selections choose rows, its rules make tables and the number of each seed, once for all
seeds, since these are functions of a seed; then each study's seeds are judged by themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from plants import Columns, Slot, is_inside, write
from two_way_plants import write_table

from symstudy.findings import AbstractRule, All, Evidence, Explained, Monotone, Needed, Ratio
from symstudy.findings.conclude import Measured
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import AbstractSeedRule, Data, groups
from symstudy.findings.rules.combined import Reported, Settled, Shown, left_open
from symstudy.findings.rules.given import Given, on_condition
from symstudy.findings.rules.ratio import log_ratios
from symstudy.statistics.part import Part

__all__ = ["Pool", "Tables", "deciding", "pool_of"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """The parts of a claim, and the rows of one seed.

    Attributes:
        rule: The claim's rule without what is only reported or shown.
        frames: Rows of one seed, by the evidence that they are.
        slots: The parts that chance decides or that one run decides, with those of conditions.
    """

    rule: AbstractRule
    frames: dict[Evidence, pd.DataFrame]
    slots: tuple[Slot, ...]

    def is_condition(self, place: int) -> bool:
        """Return whether a part may hinder support and refutes nothing."""
        return self.slots[place].rule in conditions(self.rule)

    def planted(self, numbers: Sequence[Numbers]) -> "Tables":
        """Return the tables of so many seeds, with the numbers of each part written into them.

        Args:
            numbers: For each slot a number a seed.

        Raises:
            AssertionError: If a rule finds other numbers than were written.
        """
        seeds = len(numbers[0])
        columns = {base: repeated(frame, seeds) for base, frame in self.frames.items()}
        for base, frame in columns.items():
            pairs = [
                (slot, wanted)
                for slot, wanted in zip(self.slots, numbers, strict=True)
                if slot.rule.runs.base == base
            ]
            if any(isinstance(slot.rule, Explained) for slot, _ in pairs):
                write_table([slot for slot, _ in pairs], frame, [wanted for _, wanted in pairs])
                continue
            # Sweeps are written last: they keep what orders have left at their largest place.
            for slot, wanted in sorted(pairs, key=lambda pair: not_an_order(pair[0])):
                write(slot, frame, wanted)
        for settled in settled_rules(self.rule):
            frame = columns[settled.rule.runs.base]
            frame[settled.earlier] = frame[settled.rule.value]
        data = Data({base: Counted(as_frame(some), ()) for base, some in columns.items()})
        tables = Tables(self.rule, self.slots, data, seeds)
        tables.check(numbers)
        return tables


@dataclass(frozen=True)
class Tables:
    """What the rules of a claim make of the rows of many seeds.

    Attributes:
        rule: The claim's rule.
        slots: Its parts.
        data: Rows of all seeds.
        seeds: How many there are.
    """

    rule: AbstractRule
    slots: tuple[Slot, ...]
    data: Data
    seeds: int

    @cached_property
    def tables(self) -> list[pd.DataFrame]:
        """The table of each part, a row a seed; a seed without numbers has NaN."""
        rows = {slot.rule.runs: self.data.rows(slot.rule.runs) for slot in self.slots}
        tables = [slot.rule.table(of_group(rows[slot.rule.runs], slot)) for slot in self.slots]
        tables = [table.reindex(range(self.seeds)) for table in tables]
        assert not any(s.rule.lacking(t) for s, t in zip(self.slots, tables, strict=True))
        return tables

    @cached_property
    def numbers(self) -> list[pd.Series]:
        """The number of each seed for each part."""
        pairs = zip(self.slots, self.tables, strict=True)
        return [numbers_of(slot.rule, table) for slot, table in pairs]

    def check(self, numbers: Sequence[Numbers]) -> None:
        """Hold the numbers that rules find to be on the side of their ends that was written."""
        for slot, found, wanted in zip(self.slots, self.numbers, numbers, strict=True):
            assert found.notna().all(), f"{slot.rule.rule}: a seed has no number"
            same = is_inside(slot, found.to_numpy(float)) == is_inside(slot, wanted)
            assert same.all(), f"{slot.rule.rule}: other numbers than were written"

    def studies(self, seeds: int) -> Iterator[tuple[Part, ...]]:
        """Yield the parts of one study after another, each of so many seeds.

        What a rule says of a study depends on how many of its numbers lie on either side of both
        ends alone, so each such outcome is judged once.
        """
        outcomes = [self.outcomes(place, seeds) for place, _ in enumerate(self.slots)]
        known: dict[tuple[int, tuple[int, ...]], Part] = {}
        for study in range(self.seeds // seeds):
            judged: dict[AbstractRule, list[Part]] = {}
            for place, slot in enumerate(self.slots):
                key = place, tuple(outcomes[place][study])
                if key not in known:
                    known[key] = self.part(place, slice(study * seeds, (study + 1) * seeds))
                judged.setdefault(slot.rule, []).append(known[key])
            yield tuple(composed(self.rule, judged))

    def outcomes(self, place: int, seeds: int) -> list[list[int]]:
        """Return how many numbers of each study are below and above the range of a part, or lack.

        Of ratios, for every pair of places.
        """
        slot, table = self.slots[place], self.tables[place]
        low, high = slot.rule.bound(slot.group)
        columns = [self.numbers[place]]
        if isinstance(slot.rule, Ratio):
            columns = list(log_ratios(table).values())
        counts = []
        for column in columns:
            values = column.to_numpy(float).reshape(-1, seeds)
            sides = (values < low, values > high, np.isnan(values))
            counts += [side.sum(axis=1) for side in sides]
        told: list[list[int]] = np.stack(counts, axis=1).tolist()
        return told

    def part(self, place: int, seeds: slice) -> Part:
        """Return a part of the study that has these seeds."""
        rule, group = self.slots[place].rule, self.slots[place].group
        return rule.judge_table(group, self.tables[place].iloc[seeds], "").part

    def measured(self, seeds: slice) -> Measured:
        """Return the same study as a claim has it, to be judged whole."""
        chosen = range(*seeds.indices(self.seeds))
        loaded = {
            base: Counted(some.frame[some.frame["seed"].isin(chosen)], ())
            for base, some in self.data.loaded.items()
        }
        return Measured(self.rule, Data(loaded))


def numbers_of(rule: AbstractSeedRule, table: pd.DataFrame) -> pd.Series:
    """Return the number of each seed of a table; of all pairs of places the largest ratio's."""
    if isinstance(rule, Ratio):
        # The rule itself takes the pair that differs most in the seeds of one study.
        return pd.DataFrame(log_ratios(table)).abs().max(axis=1)
    return rule.numbers(table)


def not_an_order(slot: Slot) -> bool:
    """Return whether a part is about anything but the order of a sweep."""
    return not isinstance(slot.rule, Monotone)


def pool_of(measured: Measured) -> Pool:
    """Return the pool of a claim from a planted study that it has read."""
    rule = deciding(measured.rule)
    needed = {need.evidence.base for need in rule.needs}
    frames = {}
    for base in needed:
        frame = measured.data.loaded[base].frame
        frames[base] = frame[frame["seed"] == frame["seed"].min()].reset_index(drop=True)
    slots = []
    for leaf in leaves(rule):
        chosen = leaf.runs.choose(frames[leaf.runs.base])
        for group, rows in groups(chosen, leaf.by):
            slots.append(Slot(leaf, group, rows.index.to_numpy(np.int64)))
    return Pool(rule, frames, tuple(slots))


def deciding(rule: AbstractRule) -> AbstractRule:
    """Return a rule without what is only reported or shown."""
    if isinstance(rule, All):
        kept = [each for each in rule.rules if not isinstance(each, Reported | Shown)]
        return All(*map(deciding, kept))
    return rule


def leaves(rule: AbstractRule) -> Iterator[AbstractSeedRule]:
    """Yield the rules on a number a seed of a rule, conditions too, each once."""
    found: dict[AbstractSeedRule, None] = {}
    if isinstance(rule, All):
        found.update(dict.fromkeys(leaf for each in rule.rules for leaf in leaves(each)))
    elif isinstance(rule, Given):
        both = (rule.rule, *rule.conditions)
        found.update(dict.fromkeys(leaf for each in both for leaf in leaves(each)))
    elif isinstance(rule, Settled | Needed):
        found.update(dict.fromkeys(leaves(rule.rule)))
    else:
        assert isinstance(rule, AbstractSeedRule)
        found[rule] = None
    yield from found


def conditions(rule: AbstractRule) -> set[AbstractSeedRule]:
    """Return the rules on a number a seed that may hinder support and refute nothing."""
    if isinstance(rule, All):
        return {leaf for each in rule.rules for leaf in conditions(each)}
    if isinstance(rule, Given):
        return {leaf for each in rule.conditions for leaf in leaves(each)}
    return set(leaves(rule.rule)) if isinstance(rule, Needed) else set()


def settled_rules(rule: AbstractRule) -> Iterator[Settled]:
    """Yield the rules on values that no longer fall."""
    if isinstance(rule, Settled):
        yield rule
    if isinstance(rule, All):
        for each in rule.rules:
            yield from settled_rules(each)


def composed(rule: AbstractRule, judged: dict[AbstractRule, list[Part]]) -> list[Part]:
    """Return the parts of a rule of rules, from those of the rules on a number a seed."""
    if isinstance(rule, All):
        return [part for each in rule.rules for part in composed(each, judged)]
    if isinstance(rule, Given):
        required = [part for each in rule.conditions for part in composed(each, judged)]
        return [on_condition(part, required) for part in composed(rule.rule, judged)]
    if isinstance(rule, Needed):
        return [left_open(part) for part in composed(rule.rule, judged)]
    if isinstance(rule, Settled):
        return composed(rule.rule, judged)
    return judged[rule]


def of_group(rows: pd.DataFrame, slot: Slot) -> pd.DataFrame:
    """Return the rows of the group of a part."""
    for column, value in slot.group.items():
        rows = rows[rows[column] == value]
    return rows


def repeated(frame: pd.DataFrame, seeds: int) -> Columns:
    """Return the columns of the rows of one seed, repeated for so many."""
    columns = {
        name: np.tile(frame[name].to_numpy(), (seeds, 1)) for name in frame if name != "seed"
    }
    return {**columns, "seed": np.repeat(np.arange(seeds), len(frame)).reshape(seeds, -1)}


def as_frame(columns: Columns) -> pd.DataFrame:
    """Return the columns of all seeds as rows."""
    return pd.DataFrame({name: column.ravel() for name, column in columns.items()})
