"""Results of one or more studies, as one object to ask from Python."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from symstudy.cli.claims import evaluate_all, make_report
from symstudy.errors import UserError, unknown_name
from symstudy.escaping import printable
from symstudy.findings import Finding
from symstudy.findings.evaluate import Evaluated
from symstudy.plots.plotter import Plots
from symstudy.store import Answer, ExplorerFrame, Store, find_studies, open_store, read_account

__all__ = ["Results", "Verdicts", "open_results"]


class Verdicts(Sequence[Evaluated]):
    """Claims as they were judged on results: a table in a notebook, a list elsewhere.

    Attributes:
        failed: What is wrong with each claim that could not be tested.
    """

    def __init__(self, evaluated: Sequence[Evaluated], failed: Sequence[str]) -> None:
        """Keep what was evaluated, and why the rest was not."""
        self.evaluated = tuple(evaluated)
        self.failed = tuple(failed)

    def __len__(self) -> int:
        """Return the number of verdicts."""
        return len(self.evaluated)

    def __getitem__(self, index: Any) -> Any:
        """Return one of them, by its place."""
        return self.evaluated[index]

    def __iter__(self) -> Iterator[Evaluated]:
        """Iterate over them."""
        return iter(self.evaluated)

    def finding(self, claim: str) -> Finding:
        """Return the finding on a claim, as it stands in its family.

        Raises:
            UnknownNameError: If no claim of that name was judged.
        """
        found = {item.claim.name: item.held for item in self.evaluated}
        if claim not in found:
            raise unknown_name("claim", claim, sorted(found))
        return found[claim]

    def df(self) -> pd.DataFrame:
        """Return one row a verdict: claim, study, verdict, effect, interval, seeds, p, rule."""
        columns = ["claim", "study", "verdict", "effect", "low", "high", "seeds", "p", "rule"]
        return pd.DataFrame([row_of(item) for item in self.evaluated], columns=columns)

    def __repr__(self) -> str:
        """Return a line a verdict."""
        lines = [f"{item.claim.name} on {item.place}: {item.headline}" for item in self.evaluated]
        return printable("\n".join([*lines, *self.failed]) or "no claim was judged")

    def _repr_html_(self) -> str:
        """Return a table of the verdicts, for notebooks."""
        rows = "".join(
            f"<tr><td>{escape(item.claim.name)}</td><td>{escape(item.study)}</td>"
            f"<td><b>{escape(item.headline)}</b></td><td>{escape(item.held.reason)}</td></tr>"
            for item in self.evaluated
        )
        failed = "".join(f"<p>{escape(printable(message))}</p>" for message in self.failed)
        if not rows:
            return failed or "<p>no claim was judged</p>"
        head = "".join(f"<th>{name}</th>" for name in ("claim", "study", "verdict", "why"))
        return f"<table><tr>{head}</tr>{rows}</table>{failed}"


def row_of(item: Evaluated) -> list[Any]:
    """Return the row of a verdict in a frame."""
    held = item.held
    low, high = (None, None) if held.interval is None else held.interval[:2]
    return [
        *(item.claim.name, item.study, held.verdict.label, held.effect, low, high),
        *(held.seeds, item.standing.adjusted, item.claim.rule_hash),
    ]


class Results:
    """Results of the studies at a location: frames, SQL, figures, verdicts, report.

    Attributes:
        location: Path or URI: a study's folder, or a folder of such folders.
        stopped: Why the launch that made them was stopped before its end; empty if it was not.
    """

    def __init__(self, location: str) -> None:
        """See the class."""
        self.location = location
        self.stopped = ""

    @cached_property
    def store(self) -> Store:
        """The store, as it was when it was first asked or last `refresh`ed."""
        return open_store(self.location)

    def refresh(self) -> "Results":
        """Look at the files again, and return these results: more may have been trained since."""
        self.__dict__.pop("store", None)
        return self

    def df(self, query: str = "from runs") -> pd.DataFrame:
        """Return the answer to a SELECT statement as a pandas frame; all runs by default.

        Raises:
            QueryError: If `query` is no SELECT statement, or DuckDB refuses it.
            StoreError: If the results cannot be read.
        """
        return self.store.df(query)

    def sql(self, query: str) -> Answer:
        """Return the answer to a SELECT statement as columns and rows.

        Raises:
            QueryError: If `query` is no SELECT statement, or DuckDB refuses it.
            StoreError: If the results cannot be read.
        """
        return self.store.sql(query)

    def explore(self, height: int = 900) -> ExplorerFrame:
        """Show the explorer of these results in a frame, for notebooks on this machine.

        Args:
            height: Height of the frame, in pixels.

        Raises:
            StoreError: If it does not start.
        """
        return self.store.explore(height)

    @property
    def plot(self) -> Plots:
        """Figures of any columns, by kind: `results.plot.scaling(x="width", y="test_loss")`."""
        return self.store.plot

    def analyze(self, *claims: str, project: Path | str | None = None) -> Verdicts:
        """Judge the claims that the studies serve, or those named, and keep the findings.

        Args:
            claims: Names of claims.
            project: Folder of the project that holds them; None to look for it above the working
                directory.

        Raises:
            UserError: If there is no such claim, or the project is none.
        """
        where = None if project is None else Path(project)
        evaluations = evaluate_all(self.location, list(claims) or None, where)
        return Verdicts([found.item for found in evaluations.found], evaluations.failed)

    def report(self, *, project: Path | str | None = None) -> str:
        """Judge all claims, draw their figures, write the HTML page, and return its path.

        Raises:
            UserError: If the project is none, or the page cannot be written.
        """
        where = None if project is None else Path(project)
        path, _ = make_report(self.location, where)
        return path

    def __repr__(self) -> str:
        """Return where they are and how many runs ended how."""
        return printable(f"Results({self.location!r}): {'; '.join(self.counts())}")

    def _repr_html_(self) -> str:
        """Return how many runs of each study ended how, for notebooks."""
        items = "".join(f"<li>{escape(line)}</li>" for line in self.counts())
        return f"<p>Results in <code>{escape(printable(self.location))}</code></p><ul>{items}</ul>"

    def counts(self) -> list[str]:
        """Return a line a study: runs planned, done, stopped early, failed and missing."""
        try:
            accounts = read_account(open_store(self.location))
        except UserError as error:
            return [str(error)]
        return [
            f"{one.study}: {one.planned} planned, {one.done} done, {one.stopped} stopped early, "
            f"{sum(one.failed.values())} failed, {one.missing} missing"
            for one in accounts
        ]


def open_results(location: Path | str = "results") -> Results:
    """Return the results at a location: a study's folder, or a folder of such folders.

    Args:
        location: Path or URI.

    Raises:
        StoreError: If there is no study.
    """
    find_studies([str(location)])
    return Results(str(location))
