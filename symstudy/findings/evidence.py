"""Which runs a claim counts, and why the others do not.

An `Evidence` declares a table of runs before there are any: a view, conditions on it, and what
makes a run no evidence. Nothing is read until a rule names the columns that it needs; then one
query reads these columns alone. Every step returns a new Evidence:

    minima = runs.where("optimizer = 'lbfgs'").converged(grad_ratio=1e-6)
    strongest = minima.budget(6).at_largest("gamma")
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from symstudy.findings.choices import Derived, Exclusion, Grouped, Selection
from symstudy.measures.catalogue import LAYER_MEASURES
from symstudy.store import Store

__all__ = ["Counted", "Evidence", "load"]

CONVERGENCE = "coalesce(grad_ratio, 1) <= "
"""How the condition begins that a run has converged."""
OF_PROGRAMS = "engine = 'program'"
NOT_DONE = "did not end as planned"
MERGE_TOLERANCE = 1e-9
"""Largest share of the objective that a merge may win at a minimum."""
COLLAPSED = 1e-4
"""A layer none of whose neurons has a larger norm has collapsed."""
RUNS = "runs"
MEAN = "mean_"
"""Before the name of a measure of layers: its mean over the hidden layers of a run."""


class Counted(NamedTuple):
    """Runs that were read, and those left out.

    Attributes:
        frame: One row a run, or what a row of the source is.
        excluded: Rows left out, by why.
        unchecked: Rows of programs that were not left out though nothing says whether they have
            converged.
    """

    frame: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]
    unchecked: int = 0


@dataclass(frozen=True)
class Evidence:
    """A declared table of runs: where they come from, which count, which are chosen.

    Attributes:
        source: View or sub-query of SQL that the rows come from; it has a column `seed`. In `runs`
            the name of a measure of layers is its mean over the hidden layers of the run.
        columns: Names of columns that the source does not have, each with its SQL.
        scope: SQL conditions on what the claim is about; other rows are not told of.
        exclusions: Conditions on evidence; rows that do not meet one are counted.
        derived: Columns, or rows of groups, worked out in Python, in order.
        selections: Choices among rows that are evidence, in order.

    Examples:
        >>> runs = Evidence().where("depth > 1").done().at_largest("gamma")
        >>> runs.words
        'depth > 1; left out: did not end as planned; at the largest gamma'
    """

    source: str = "runs"
    columns: tuple[tuple[str, str], ...] = ()
    scope: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    derived: tuple[Derived | Grouped, ...] = ()
    selections: tuple[Selection, ...] = ()

    def of(self, query: str) -> "Evidence":
        """Return the rows of a SELECT over the views, instead of those of `runs`."""
        return replace(self, source=f"(\n{inspect.cleandoc(query)}\n)")

    def where(self, condition: str, *, why: str = "") -> "Evidence":
        """Return the rows that meet an SQL condition.

        Args:
            condition: SQL over the columns of the source.
            why: What is wrong with the others, which are then counted as left out; without it the
                claim is not about them.
        """
        if why:
            return replace(self, exclusions=(*self.exclusions, Exclusion(condition, why)))
        return replace(self, scope=(*self.scope, condition))

    def done(self) -> "Evidence":
        """Leave out runs that did not end as planned."""
        if any(item.why == NOT_DONE for item in self.exclusions):
            return self
        return self.where("outcome = 'done'", why=NOT_DONE)

    def converged(self, *, grad_ratio: float) -> "Evidence":
        """Leave out runs that did not end as planned, or whose gradient is not small.

        A program of the user's own has no gradient here: one that reports `converged` counts where
        that is true, and one that does not counts too and is told of as not checked.

        Args:
            grad_ratio: Largest |gradient| / (1 + |objective|); a run without one does not count.
        """
        return self.done().where(
            f"{CONVERGENCE}{grad_ratio!r}",
            why=f"gradient above {grad_ratio:g} of 1 + objective",
        )

    def budget(self, least: float) -> "Evidence":
        """Leave out runs that weight decay has not had the time to act on.

        Args:
            least: Smallest decay budget of runs with gamma > 0; a neuron without signal has shrunk
                by exp(-budget).
        """
        return self.done().where(
            f"gamma = 0 or decay_budget is null or decay_budget >= {least!r}",
            why=f"decay budget below {least:g}",
        )

    def merged(self, *, within: float = 0.1, grad_ratio: float = 1e-6) -> "Evidence":
        """Leave out runs whose equal neurons may not have merged yet.

        A run counts if the gradient of its objective has died, and no merge of two neurons lowers
        it; or if the distinct neurons of every hidden layer are as many as at a third of the time,
        and fewer than the layer has. Of a layer with as many distinct neurons as it has, nothing
        tells whether any of them are about to merge.

        Args:
            within: Largest relative change of a count.
            grad_ratio: Largest |gradient| / (1 + |objective|) that has died.

        The source needs the columns study and run_id. Derivation: docs/design/evidence.md.
        """
        dead = f"grad_ratio <= {grad_ratio!r} and coalesce(merge_gain, 0) <= {MERGE_TOLERANCE!r}"
        return self.done().where(
            of_convergence(f"({dead}) or (count_change <= {within!r} and fullness < 1)"),
            why="neurons still merge, or all are distinct without a minimum",
        )

    def separated(self, *, within: float = 0.1, grad_ratio: float = 1e-6) -> "Evidence":
        """Leave out runs in which nothing tells distinct neurons from copies not equal yet.

        A run counts if the merge heights of every hidden layer have a gap, and either the gradient
        has died or the distance above the gap is that at a third of the time: copies on their way
        to each other come closer.

        Args:
            within: Largest relative change of the distance.
            grad_ratio: Largest |gradient| / (1 + |objective|) that has died.

        The source needs the columns study and run_id.
        """
        dead = f"grad_ratio <= {grad_ratio!r} and coalesce(merge_gain, 0) <= {MERGE_TOLERANCE!r}"
        return self.done().where(
            of_convergence(f"distance > 0 and (({dead}) or distance_change <= {within!r})"),
            why="no gap between copies and distinct neurons, or it still moves",
        )

    def learned(self, *, loss: float = 0.5, accuracy: float = 0.8) -> "Evidence":
        """Leave out runs that do not do clearly better than a constant answer.

        Args:
            loss: Smallest share of the loss of the best constant answer that is learned away, on
                test data; for regression.
            accuracy: Smallest share of the errors of always answering the largest class that is
                learned away; for classification.

        The source needs the columns study and run_id. A result that does not say what a constant
        answer gets, since it is older, is no evidence.
        """
        share = f"learned_accuracy >= {accuracy!r}"
        known = f"learned_accuracy is null and learned_loss >= {loss!r}"
        return self.done().where(
            of_convergence(f"{share} or ({known})"),
            why="not clearly better than a constant answer",
        )

    def alive(self, *, norm: float = COLLAPSED) -> "Evidence":
        """Leave out runs with a hidden layer that has collapsed: it has no neurons to count.

        Args:
            norm: Norm that the largest neuron of every hidden layer must exceed.

        The source needs the columns study and run_id.
        """
        return self.done().where(of_convergence(f"least_norm > {norm!r}"), why="a layer collapsed")

    def complete(self, *columns: str, share: float = 0.8) -> "Evidence":
        """Leave out settings at which too few runs are evidence.

        Otherwise the few runs that converge at a setting would speak for all, and the largest
        gamma would be the one at which a single run has learned.

        Args:
            columns: Columns of the source whose values make a setting.
            share: Smallest share of the runs of a setting that must meet all conditions before.
        """
        met = " and ".join(f"coalesce({item.condition}, false)" for item in self.exclusions)
        return self.where(
            f"avg(case when {met or 'true'} then 1.0 else 0.0 end) "
            f"over (partition by {', '.join(columns)}) >= {share!r}",
            why=f"fewer than {share:.0%} of the runs with its {' and '.join(columns)} are evidence",
        )

    def define(self, **columns: str) -> "Evidence":
        """Add columns by SQL expressions over those of the source."""
        return replace(self, columns=(*self.columns, *columns.items()))

    def derive(self, **functions: Callable[..., Any]) -> "Evidence":
        """Add columns by functions of a row, whose parameters are named for columns."""
        more = tuple(Derived(name, function) for name, function in functions.items())
        return replace(self, derived=(*self.derived, *more))

    def per(self, *keys: str, **functions: Callable[..., Any]) -> "Evidence":
        """Return a row for each seed and each value of `keys`, with numbers made of its rows.

        Conditions and exclusions are about the rows before that, wherever they are written.

        Args:
            keys: Columns whose values are told apart, beside the seed.
            functions: By the name of a new column, a function whose parameters are named for
                columns. It gets their values over the rows of a group as arrays and returns a
                number, NaN where there is none.

        Examples:
            >>> runs = Evidence().per("depth", learned=lambda rank: (rank > 0).mean())
            >>> runs.reads(("learned",))
            ('depth', 'seed', 'rank')
        """
        grouped = Grouped(tuple(dict.fromkeys([*keys, "seed"])), tuple(functions.items()))
        return replace(self, derived=(*self.derived, grouped))

    def at(self, column: str, value: Any) -> "Evidence":
        """Return the rows where `column` has a value."""
        return self.select(Selection(column, "value", value))

    def at_largest(self, column: str, *, over: str = "", places: int = 0) -> "Evidence":
        """Return the rows with the largest value of `column` among those that are evidence.

        Args:
            column: Column that is looked at.
            over: Column of which a value of `column` must have `places` values to be chosen.
            places: Fewest values of `over`.
        """
        return self.select(Selection(column, "largest", over=over, places=places))

    def at_smallest(self, column: str) -> "Evidence":
        """Return the rows with the smallest value of `column` among those that are evidence."""
        return self.select(Selection(column, "smallest"))

    def above(self, column: str, value: float) -> "Evidence":
        """Return the rows where `column` is above a value."""
        return self.select(Selection(column, "above", value))

    def select(self, selection: Selection) -> "Evidence":
        """Return the rows that a selection chooses."""
        return replace(self, selections=(*self.selections, selection))

    @property
    def words(self) -> str:
        """What counts, in words, for the prose of a rule."""
        told = [" and ".join(self.scope)] if self.scope else []
        if self.exclusions:
            told.append("left out: " + ", ".join(item.why for item in self.exclusions))
        if self.selections:
            told.append("at " + ", ".join(selection.words for selection in self.selections))
        return "; ".join(told)

    @property
    def base(self) -> "Evidence":
        """The evidence before any selection: what a figure shows."""
        return replace(self, selections=())

    def choose(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the base that the selections choose."""
        for selection in self.selections:
            frame = selection.apply(frame)
        return frame

    def reads(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of SQL that it takes to know `columns` and the selections."""
        chosen = (name for selection in self.selections for name in selection.needs)
        wanted = dict.fromkeys([*columns, *chosen])
        for step in reversed(self.derived):
            wanted = step.before(wanted)
        return tuple(wanted)


def of_convergence(condition: str) -> str:
    """Return the SQL condition that the row of a run in the view `convergence` meets another."""
    # Conditions are made of numbers.
    rows = f"select (study, run_id) from convergence where {condition}"  # noqa: S608
    return f"(study, run_id) in ({rows})"


def named_runs(text: str) -> str:
    """Return the view `runs`, with the measures of layers that `text` names under these names too.

    A claim speaks of the rank of a run: the mean of the ranks of its hidden layers, which is
    `mean_rank` in SQL.
    """
    words = set(re.findall(r"\w+", text))
    names = [measure.name for measure in LAYER_MEASURES if measure.name in words]
    if not names:
        return RUNS
    shown = ", ".join(f"{MEAN}{name} as {name}" for name in names)
    return f"(select *, {shown} from {RUNS})"  # noqa: S608  # names of measures


def load(db: Store, evidence: Evidence, columns: tuple[str, ...]) -> Counted:
    """Read the base of an evidence: the runs that count, before any selection.

    Args:
        db: Results of a study.
        evidence: What to read.
        columns: Columns that are needed; nothing else is read.
    """
    names = list(dict.fromkeys(["seed", *evidence.reads(columns)]))
    defined = dict(evidence.columns)
    shown = [f"{defined[name]} as {name}" if name in defined else name for name in names]
    flags = [
        f"coalesce({condition_on(evidence, item.condition)}, false)" for item in evidence.exclusions
    ]
    shown += [f"{flag} as is_evidence_{i}" for i, flag in enumerate(flags)]
    if needs_gradient(evidence):
        shown.append(f"{OF_PROGRAMS} and has_converged is null as {UNCHECKED}")
    conditions = " and ".join(f"({condition})" for condition in evidence.scope) or "true"
    # Written in the files of claims; the connection is read-only.
    source = evidence.source
    if source == RUNS:
        source = named_runs(" ".join([*shown, conditions]))
    query = f"select {', '.join(shown)}\nfrom {source}\nwhere {conditions}\norder by all"
    frame = db.df(query)
    excluded: dict[str, int] = {}
    for i, exclusion in enumerate(evidence.exclusions):
        counts = frame[f"is_evidence_{i}"].astype(bool)
        lost = int((~counts).sum())
        if lost:
            excluded[exclusion.why] = excluded.get(exclusion.why, 0) + lost
        frame = frame[counts]
    unchecked = int(frame[UNCHECKED].sum()) if UNCHECKED in frame else 0
    kept = frame[names].reset_index(drop=True)
    for step in evidence.derived:
        kept = step.apply(kept)
    return Counted(kept, tuple(excluded.items()), unchecked)


UNCHECKED = "is_unchecked"


def needs_gradient(evidence: Evidence) -> bool:
    """Return whether runs of `runs` are left out that have not converged."""
    conditions = (item.condition for item in evidence.exclusions)
    return evidence.source == RUNS and any(text.startswith(CONVERGENCE) for text in conditions)


def condition_on(evidence: Evidence, condition: str) -> str:
    """Return an exclusion's condition as it is asked: of programs, what they say of themselves."""
    if evidence.source == RUNS and condition.startswith(CONVERGENCE):
        return f"case when {OF_PROGRAMS} then coalesce(has_converged, true) else {condition} end"
    return condition
