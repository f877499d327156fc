"""What every rule can do, and how a rule on one number a seed is decided."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from symstudy.findings.evidence import Counted, Evidence, load
from symstudy.findings.power import SeedTest
from symstudy.statistics.intervals import Interval, finite
from symstudy.statistics.part import ALPHA, Part
from symstudy.statistics.tests import Decided, decide_median, fewest_seeds
from symstudy.statistics.verdict import Verdict
from symstudy.store import Store

__all__ = [
    "AbstractRule",
    "AbstractSeedRule",
    "Data",
    "Group",
    "Headline",
    "Need",
    "Tested",
    "label",
    "read_data",
]

Group = dict[str, Any]
"""Values of the columns that a rule is judged by apart, such as `{"depth": 3}`."""


class Need(NamedTuple):
    """What a rule reads.

    Attributes:
        evidence: Runs that it is about.
        columns: Columns of these runs.
    """

    evidence: Evidence
    columns: tuple[str, ...]


class Data(NamedTuple):
    """The runs that a rule reads, by the evidence that they are.

    Attributes:
        loaded: Evidence before its selections, with its rows.
    """

    loaded: dict[Evidence, Counted]

    def rows(self, evidence: Evidence) -> pd.DataFrame:
        """Return the rows that an evidence chooses."""
        return evidence.choose(self.loaded[evidence.base].frame)

    @property
    def excluded(self) -> tuple[tuple[str, int], ...]:
        """Runs left out of any evidence, by why; the largest number where several leave out."""
        counts: dict[str, int] = {}
        for counted in self.loaded.values():
            for why, count in counted.excluded:
                counts[why] = max(count, counts.get(why, 0))
        return tuple(counts.items())

    @property
    def unchecked(self) -> int:
        """Runs of programs of which nothing says whether they have converged."""
        return max((counted.unchecked for counted in self.loaded.values()), default=0)


def read_data(db: Store, needs: Sequence[Need]) -> Data:
    """Read what rules need: one query for each base evidence, with the columns of all of them."""
    columns: dict[Evidence, dict[str, None]] = {}
    for need in needs:
        wanted = columns.setdefault(need.evidence.base, {})
        chosen = (name for selection in need.evidence.selections for name in selection.needs)
        wanted.update(dict.fromkeys([*need.columns, *chosen]))
    return Data({base: load(db, base, tuple(names)) for base, names in columns.items()})


class Tested(NamedTuple):
    """A part of a finding with the numbers that it was decided on.

    Attributes:
        part: The result.
        rule: The rule that it is a part of.
        table: What was tested: a row a seed, a column a place.
        numbers: The number of each seed that was held against the rule.
        group: Values of the columns that it was judged by apart.
        bound: Range in which the number has to lie.
    """

    part: Part
    rule: "AbstractRule"
    table: pd.DataFrame
    numbers: pd.Series
    group: Group
    bound: tuple[float, float]


class Headline(NamedTuple):
    """The numbers that a finding shows first.

    Attributes:
        effect: Main estimate; None where nothing was estimated.
        interval: Its interval.
        unit: Its unit.
        threshold: What it is held against.
    """

    effect: float | None
    interval: Interval | None
    unit: str
    threshold: str


class AbstractRule(ABC):
    """A decision rule, declared before the data.

    A rule is frozen and pure: it reads nothing but what it says in `needs`, and the same data give
    the same parts, in the same order and with the same names. It never raises for data that
    lack runs, seeds or places: such parts are untested or inconclusive, with a note.
    """

    @property
    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """Evidence and columns that it reads; the first is what the claim is mainly about."""

    @property
    @abstractmethod
    def prose(self) -> str:
        """The rule in words, without the data."""

    @property
    @abstractmethod
    def tests(self) -> tuple[SeedTest, ...]:
        """What it tests on a number a seed, for the plan of a study."""

    @abstractmethod
    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return its parts on the data."""

    @abstractmethod
    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return what a finding shows first of the parts of this rule, of which there are some."""


@dataclass(frozen=True)
class AbstractSeedRule(AbstractRule):
    """A rule that holds one number a seed against a range, for each group of runs.

    Attributes:
        runs: Runs that count.
        value: Column that is judged.
    """

    runs: Evidence
    value: str

    @property
    @abstractmethod
    def by(self) -> tuple[str, ...]:
        """Columns whose values are judged apart; every one of them must hold."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """Unit of the number of a seed."""

    @property
    @abstractmethod
    def rule(self) -> str:
        """What must hold, in a few words, the same for all groups: the name of its test."""

    @abstractmethod
    def bound(self, group: Group) -> tuple[float, float]:
        """Return the range in which the median seed has to lie."""

    @abstractmethod
    def title(self, group: Group, where: str) -> str:
        """Return the name of the part on a group."""

    @abstractmethod
    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what is tested of the rows of a group: a row a seed, a column a place."""

    @abstractmethod
    def lacking(self, table: pd.DataFrame) -> str:
        """Return why a table cannot be judged, or nothing."""

    @abstractmethod
    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the number of each seed of a table that can be judged."""

    @property
    @abstractmethod
    def decides(self) -> bool:
        """Whether the claim's verdict rests on it."""

    def words(self, group: Group) -> str:
        """Return what must hold on a group."""
        del group
        return self.rule

    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return a part for each group."""
        rows = data.rows(self.runs)
        where = situation(rows, self.runs, data.loaded[self.runs.base].frame)
        return tuple(
            self.judge_group(group, chosen, where) for group, chosen in groups(rows, self.by)
        )

    def judge_group(self, group: Group, rows: pd.DataFrame, where: str) -> Tested:
        """Return the part on one group."""
        return self.judge_table(group, self.table(rows), where)

    def judge_table(self, group: Group, table: pd.DataFrame, where: str) -> Tested:
        """Return the part on the table of one group, as `table` makes it of its rows."""
        name = self.title(group, where)
        low, high = self.bound(group)
        told = self.words(group)
        lacking = self.lacking(table) if len(table) else "too few runs"
        if lacking:
            verdict = Verdict.UNTESTED if table.empty else Verdict.INCONCLUSIVE
            part = Part(
                name=name, verdict=verdict, rule=told, unit=self.unit, decides=self.decides,
                test=self.rule, note=lacking,
            )  # fmt: skip
            return Tested(part, self, table, pd.Series(dtype=float), group, (low, high))
        numbers = self.numbers(table)
        part = decide_part(self, name, told, numbers, (low, high))
        return Tested(part, self, table, numbers, group, (low, high))

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return the effect of the first part."""
        part = tested[0].part
        return Headline(part.effect, part.interval, part.unit, part.rule)

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """The sign tests of its bound, for the plan."""
        low, high = self.bound({})
        margin = (high - low) / 2 if math.isfinite(low) and math.isfinite(high) else None
        return (SeedTest(rule=self.rule, level=0.9, margin=margin, unit=self.unit, method="sign"),)


def decide_part(
    rule: AbstractSeedRule, name: str, told: str, numbers: pd.Series, bound: tuple[float, float]
) -> Part:
    """Return the part that holds one number a seed against a range."""
    low, high = bound
    values = finite(numbers)
    decided = decide_median(values, low, high)
    is_known = len(values) > 0
    return Part(
        name=name,
        verdict=decided.verdict if is_known else Verdict.INCONCLUSIVE,
        rule=told,
        effect=decided.effect if is_known else None,
        interval=decided.interval if math.isfinite(decided.interval.high) else None,
        unit=rule.unit,
        decides=rule.decides,
        p_value=decided.p_value,
        seeds=len(values),
        spread=float(values.std(ddof=1)) if len(values) > 1 else None,
        test=rule.rule,
        note=seed_note(len(values), len(numbers), decided.verdict) or beyond_note(decided, bound),
    )


def seed_note(known: int, seeds: int, verdict: Verdict) -> str:
    """Return what hinders a decision by so many seeds; nothing if something was decided."""
    notes = []
    if known < seeds:
        notes.append(f"{seeds - known} of {seeds} seeds have no logarithm")
    fewest = fewest_seeds()
    if verdict is Verdict.INCONCLUSIVE and known < fewest:
        notes.append(f"{known} seeds, and no fewer than {fewest} can decide at {ALPHA:.0%}")
    return "; ".join(notes)


def beyond_note(decided: Decided, bound: tuple[float, float]) -> str:
    """Return that the seeds lie outside a range and are too few to refute, where that is so."""
    is_outside = decided.interval.within(*bound) is Verdict.REFUTED
    if decided.verdict is not Verdict.INCONCLUSIVE or not is_outside:
        return ""
    ends = sum(math.isfinite(end) for end in bound)
    return f"outside, and no fewer than {fewest_seeds(ends)} seeds can refute it"


def groups(rows: pd.DataFrame, by: tuple[str, ...]) -> Iterator[tuple[Group, pd.DataFrame]]:
    """Return the rows of each combination of values of `by`; one group if there are no rows."""
    if not by or rows.empty:
        yield {}, rows
        return
    for values, chosen in rows.groupby(list(by)):
        yield dict(zip(by, values, strict=True)), chosen


def situation(rows: pd.DataFrame, evidence: Evidence, base: pd.DataFrame) -> str:
    """Return the values that were selected where there are others, such as `gamma = 0.03`."""
    told = {}
    for selection in evidence.selections:
        values = rows[selection.column].unique()
        is_choice = len(base[selection.column].unique()) > 1
        if selection.pick != "above" and is_choice and len(values) == 1:
            told[label(selection.column)] = shown(values[0])
    return ", ".join(f"{name} = {value}" for name, value in told.items())


def shown(value: Any) -> str:
    """Return a value in a few characters."""
    return value if isinstance(value, str) else f"{float(value):.3g}"


def label(column: str) -> str:
    """Return a column's name as words."""
    return column.replace("_", " ")
