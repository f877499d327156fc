"""The results that a page shows: their rows in memory, and what they were when last looked at."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from symstudy.errors import StoreError, UserError
from symstudy.explore.box import SqlBox
from symstudy.explore.columns import columns_of
from symstudy.explore.panels import Source, answer_panel, finish_panel
from symstudy.explore.verdicts import read_verdicts
from symstudy.explore.view import RequestError, View, literal, read_view
from symstudy.plots.figures import PALETTE
from symstudy.store import (
    Store,
    StudyFolder,
    find_studies,
    open_store,
    quoted,
    read_launches,
    worker_times,
)
from symstudy.store.tables.curves import PackedRun, curve_measures, read_curves
from symstudy.store.tables.loaded import LoadedRuns, check_there
from symstudy.store.tables.recorded import recorded_columns

__all__ = ["MOST_CURVES", "MOST_SQL_ROWS", "QUERY_S", "Session"]

QUERY_S = 5.0
"""Seconds that a query of the page may take."""
MEMORY = "4GB"
MOST_SQL_ROWS = 10_000
MOST_QUERIES = 20
MOST_PANELS = 64
ENDED = "the explorer has ended."
MOST_CURVES = 50
"""Runs whose learning curves are drawn together."""
PER_STUDY = "select study, count(*) from runs group by study"
FIRST = ("test_loss",)
"""Measures that are loaded before anybody asks."""


class Session:
    """The rows of some studies, shared by all pages that look at them; safe from many threads.

    Attributes:
        locations: What the user named.
        columns: The columns of runs.
        changes: Grows whenever rows were added.
        error: Why the results cannot be read any more; empty while they can.
        is_ending: Whether nothing is answered any more.
    """

    def __init__(self, locations: Sequence[str]) -> None:
        """Open the results and load what varies in them.

        Raises:
            StoreError: If there are none, or they cannot be read.
        """
        self.locations = tuple(locations)
        self.lock = threading.Lock()
        self.box_lock = threading.Lock()
        self.box = SqlBox(locations, memory=MEMORY, timeout_s=QUERY_S)
        self.changes = 0
        self.error = ""
        self.is_ending = False
        self.signature = self.sign()
        store = open_store(*locations, memory=MEMORY, timeout_s=60.0)
        self.columns = columns_of(store)
        swept = [column.name for column in self.columns.values() if column.is_swept]
        self.runs = LoadedRuns(store, columns=(*swept, *FIRST, "reason"), timeout_s=QUERY_S)
        self.source = Source.of(self.runs)
        self.census: tuple[int, dict[str, Any]] | None = None

    @property
    def folders(self) -> tuple[StudyFolder, ...]:
        """The studies' folders."""
        return self.runs.store.folders

    def panels(self, filters: object, asked: object) -> list[dict[str, Any]]:
        """Return what each of the panels that a page asks for shows; an error for one that cannot.

        Raises:
            RequestError: If the request is of another form.
        """
        if not isinstance(asked, list) or len(asked) > MOST_PANELS:
            raise RequestError(
                f"want must be a list of up to {MOST_PANELS} panels, but got {asked!r}."
            )
        with self.lock:
            view = read_view(filters, self.columns)
        return [self.panel(view, each) for each in asked]

    def warm(self) -> None:
        """Work out what the first page asks for, so that it need not wait for it.

        A page that asks meanwhile is answered in between.
        """
        swept = [column.name for column in self.columns.values() if column.is_swept]
        for name in (*swept, *FIRST, "outcome", "seed"):
            self.panels({}, [{"panel": "histogram", "column": name}])

    def open_box(self) -> None:
        """Start what answers the user's own queries, so that the first need not wait for it."""
        with self.box_lock, contextlib.suppress(UserError):
            if not self.is_ending:
                self.box.start()

    def panel(self, view: View, asked: object) -> dict[str, Any]:
        """Return what a panel shows, or what is wrong with what it asks for.

        Args:
            view: What the page looks at.
            asked: What the panel asks for; its `and` holds more conditions.
        """
        try:
            self.check_open()
            if not isinstance(asked, dict):
                raise RequestError(f"a panel must be an object, but got {asked!r}.")
            more = read_view(asked.get("and", {}), self.columns)
            own = view._replace(conditions=(*view.conditions, *more.conditions))
            with self.lock:
                answer = answer_panel(self.source, own, asked)
            return finish_panel(answer, asked).to_json()
        except UserError as error:
            return {"error": str(error)}

    def check_open(self) -> None:
        """Raise if the explorer ends.

        Raises:
            RequestError: If it does.
        """
        if self.is_ending:
            raise RequestError(ENDED)

    def end(self) -> None:
        """Answer nothing any more, and end the queries that somebody waits for."""
        self.is_ending = True
        self.runs.interrupt()
        self.box.kill()
        with self.box_lock:
            self.box.close()

    def sql(self, queries: object, most_rows: object = 1000) -> list[Any]:
        """Return the first rows of the answer to each query, or what is wrong with it.

        Args:
            queries: One SELECT statement each, about all tables.
            most_rows: Rows of an answer.

        Raises:
            RequestError: If the request is of another form.
        """
        listed = queries if isinstance(queries, list) else None
        if not listed or len(listed) > MOST_QUERIES or not all(type(q) is str for q in listed):
            raise RequestError(f"queries must be 1 to {MOST_QUERIES} texts, but got {queries!r}.")
        if type(most_rows) is not int or not 0 < most_rows <= MOST_SQL_ROWS:
            raise RequestError(
                f"rows must be a number from 1 to {MOST_SQL_ROWS:,}, but got {most_rows!r}. For "
                "more type: symstudy query RESULTS SQL -o rows.parquet"
            )
        answers = []
        for query in listed:
            try:
                self.check_open()
                with self.box_lock:
                    answers.append(self.ask(query, most_rows))
            except UserError as error:
                said = ENDED if self.is_ending else str(error)
                answers.append({"columns": [], "rows": [], "is_all": True, "error": said})
        return answers

    def ask(self, query: str, most_rows: int) -> dict[str, Any]:
        """Return the first rows of an answer about all tables.

        Raises:
            QueryError: If the query is refused.
            StoreError: If the results are gone.
        """
        found = self.box.ask(query, most_rows, self.changes)
        try:
            check_there(self.runs.store)
        except StoreError:
            self.box.changes = -1  # what it knows of the files is that there are none
            raise
        return found

    def curves(self, run_ids: object, measure: object) -> dict[str, Any]:
        """Return the learning curves of up to `MOST_CURVES` runs.

        Raises:
            RequestError: If the request is of another form.
        """
        listed = run_ids if isinstance(run_ids, list) else []
        if not listed or len(listed) > MOST_CURVES or not all(type(r) is str for r in listed):
            raise RequestError(
                f"runs must be 1 to {MOST_CURVES} identifiers, but got {len(listed)}. Choose fewer."
            )
        with self.lock:
            rows = self.runs.rows(
                "select study, run_id, pack_id from runs where run_id in "
                f"({', '.join(map(literal, listed))})"
            )
            runs = self.runs
        packed = [PackedRun(*row) for row in rows]
        with runs.reading:
            table = read_curves(runs.store, packed, str(measure))
        curves: dict[tuple[str, str], list[tuple[int, Any]]] = {
            (r.study, r.run_id): [] for r in packed
        }
        for study, run_id, step, value in zip(*(c.to_pylist() for c in table.columns), strict=True):
            curves[study, run_id].append((step, value))
        return {
            "measure": str(measure),
            "curves": [
                {"study": study, "run_id": run_id, "points": points}
                for (study, run_id), points in curves.items()
            ],
        }

    def meta(self) -> dict[str, Any]:
        """Return what a page must know before it asks for anything."""
        with self.lock:
            store = self.runs.store
            counts = dict(self.source.counts(PER_STUDY, [quoted("study")], []))
            studies = [describe(folder, store, counts) for folder in store.folders]
            measures = curve_measures(store)
        return {
            "location": ", ".join(self.locations),
            "changes": self.changes,
            "studies": studies,
            "columns": [column.to_json() for column in self.columns.values()],
            "curve_measures": measures,
            "palette": PALETTE,
            "limits": {
                "query_s": QUERY_S,
                "sql_rows": MOST_SQL_ROWS,
                "curves": MOST_CURVES,
            },
        }

    def verdicts(self) -> dict[str, Any]:
        """Return the findings kept with the results, each as it stands in its family.

        The fingerprint of a million runs takes a second, in which panels are answered.
        """
        runs = self.runs
        with runs.reading:
            return read_verdicts(runs.store.folders, runs.store.fingerprint_of)

    def provenance(self) -> dict[str, Any]:
        """Return the launches of the studies, and what each claim has cost."""
        runs = self.runs
        with runs.reading:
            folders = runs.store.folders
            return {
                "launches": [
                    launch._asdict() for folder in folders for launch in read_launches(folder)
                ],
                "claims": [time._asdict() for time in worker_times(runs.store)],
            }

    def ran(self, study: object, launch: object, file: object) -> dict[str, str]:
        """Return one text of what a launch ran.

        Args:
            study: Name of the study.
            launch: Identifier of the launch.
            file: `packages.txt`, `changes.diff` or `sources/...`.

        Raises:
            RequestError: If there is no such launch.
            StoreError: If it kept no such text, or it is not as it was written.
        """
        for folder in self.folders:
            for record in read_launches(folder) if folder.name == study else ():
                if record.launch == launch:
                    return {"text": record.text(folder, str(file)).decode(errors="replace")}
        raise RequestError(f"a launch must be one of a study here, but got {study}/{launch}.")

    def present(self) -> dict[str, Any]:
        """Return which columns hold any value: the page offers no others.

        It looks at every file, so pages ask for it once they show something.
        """
        self.check_open()
        if self.census is None or self.census[0] != self.changes:
            store = open_store(*self.locations, memory=MEMORY, timeout_s=60.0)
            found = recorded_columns(store, self.columns)
            self.census = (self.changes, {"columns": sorted(found)})
        return self.census[1]

    def sign(self) -> tuple[Any, ...]:
        """Return what changes when files are added or written again; cheap to find.

        Raises:
            StoreError: If the results cannot be read.
        """
        return tuple(
            (folder.path, table, info.path, info.size, info.mtime_ns)
            for folder in find_studies(list(self.locations))
            for table in ("runs", "plan")
            for info in folder.list_infos(table, ".parquet")
        )

    def refresh(self) -> bool:
        """Read the rows that have been added; return whether there were any.

        Where the results are gone or damaged, `error` says so, and the rows stay as they were.
        """
        try:
            self.check_open()
            now = self.sign()
            if now == self.signature and not self.error:
                return False
            # Opening many files takes seconds, in which pages are answered from the rows there are.
            store = open_store(*self.locations, memory=MEMORY, timeout_s=60.0)
            with self.lock:
                self.take_in(store, now)
        except UserError as error:
            is_new, self.error = str(error) != self.error, str(error)
            return is_new
        self.error = ""
        self.changes += 1
        return True

    def take_in(self, store: Store, now: tuple[Any, ...]) -> None:
        """Bring the rows in memory up to date with a store that was opened since."""
        before = {entry[0] for entry in self.signature}
        if {entry[0] for entry in now} != before:
            # Another study is there, or one is gone: what varies may be something else.
            loaded = {name for names in self.runs.loaded.values() for name in names}
            self.runs = LoadedRuns(store, columns=loaded, timeout_s=QUERY_S)
        else:
            self.runs.refresh(store)
        with self.runs.reading:
            self.columns = columns_of(self.runs.store)
        self.source = Source.of(self.runs)
        self.signature = now


def describe(folder: StudyFolder, store: Store, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return what a page must know of a study."""
    frozen = folder.read_study()
    swept = (store.column_of(key) for key in frozen.get("swept", []))
    return {
        "name": folder.name,
        "path": folder.path,
        "title": str(frozen.get("title", folder.name)),
        "description": str(frozen.get("description", "")),
        "swept": [name for name in swept if name is not None],
        "runs": counts.get(folder.name, 0),
    }
