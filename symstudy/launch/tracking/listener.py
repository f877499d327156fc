"""An event listener that logs runs to TensorBoard, MLflow or Weights & Biases.

Runs are read from the store: a thread of the driver logs those that have ended and are not logged
yet. So what a killed driver had not logged is logged by the next one, as are runs that ended before
logging was asked for, and a tracker that cannot be reached costs no run.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from symstudy.errors import StoreError
from symstudy.launch.events import Event, LaunchPlanned, PackEnded
from symstudy.launch.tracking.trackers import STEP, LoggedRun, Tracked, check_tracker, make_tracker
from symstudy.store import Store, StudyFolder, quoted
from symstudy.store.files.strangers import TRACKING
from symstudy.store.tables.schema import CURVE_MEASURES, FINAL_LAYER_MEASURES, HISTORY

__all__ = ["RunTracking", "log_runs"]

EVERY_S = 10.0
"""Seconds between two reads of the store, if packs have ended."""
CHUNK = 64
"""Number of runs that are read and noted as logged together; a kill may log these twice."""
FOLDER = "loggers"
"""Folder of the study that lists which runs each tracker has."""


class RunTracking:
    """Logs each run to trackers after its pack has ended; an event listener.

    Used in a `with` block around the launch; its end waits until all is logged, unless it was
    interrupted.

    Attributes:
        failures: Error of each tracker that has stopped, by its name.
    """

    def __init__(self, names: Sequence[str], *, say: Callable[[str], None] | None = None) -> None:
        """Log to the trackers `names`.

        Args:
            names: `tensorboard`, `mlflow`, `wandb`, or import paths of Tune loggers; may be empty.
            say: Called with a message when a tracker has stopped.

        Raises:
            LaunchError: If one is not known, or its package is not installed.
        """
        for name in names:
            check_tracker(name)
        self.names = tuple(dict.fromkeys(names))
        self.say = say or (lambda _: None)
        self.failures: dict[str, str] = {}
        self.has_news = threading.Event()
        self.is_over = threading.Event()
        self.is_aborted = threading.Event()
        self.thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Do nothing yet: the thread starts when the launch is planned."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Log what is left; after an interrupt, end with the run that is being logged."""
        if kind is not None and not issubclass(kind, Exception):
            self.is_aborted.set()
        self.is_over.set()
        if self.thread:
            try:
                self.thread.join()
            except KeyboardInterrupt:
                self.is_aborted.set()
                self.thread.join()

    def __call__(self, event: Event) -> None:
        """Start when the launch is planned; look for new runs when a pack has ended."""
        if isinstance(event, LaunchPlanned):
            self.start(event.folder)
        elif isinstance(event, PackEnded):
            self.has_news.set()

    def start(self, folder: StudyFolder) -> None:
        """Set the trackers up and start the thread.

        Raises:
            LaunchError: If a tracker cannot be set up.
        """
        if not self.names:
            return
        # Tune's own loggers must not be asked for in a thread first: it may import half of them.
        place = place_of(folder)
        trackers = {name: make_tracker(name, folder.name, place) for name in self.names}
        self.thread = threading.Thread(
            target=self.loop, args=(folder, trackers, place), daemon=True
        )
        self.thread.start()

    def loop(self, folder: StudyFolder, trackers: dict[str, Any], place: Path) -> None:
        """Log runs as packs end, until the launch is over: the body of the thread."""
        while not self.is_over.wait(EVERY_S):
            if self.has_news.is_set():
                self.has_news.clear()
                self.log_new(folder, trackers, place)
        self.log_new(folder, trackers, place)

    def log_new(self, folder: StudyFolder, trackers: dict[str, Any], place: Path) -> None:
        """Log the runs that have ended and are not logged yet; a tracker that fails is dropped."""
        for name, tracker in trackers.items():
            if name in self.failures or self.is_aborted.is_set():
                continue
            try:
                log_runs(folder, name, tracker, place, is_wanted=self.is_wanted)
            except Exception as error:  # noqa: BLE001  # a tracker may raise anything; runs go on
                self.failures[name] = f"{type(error).__name__}: {error}"
                self.say(
                    f"--log {name} has stopped: {self.failures[name]}. The runs are kept; once "
                    "that is mended, the same command logs those that are missing there."
                )

    def is_wanted(self) -> bool:
        """Return whether to go on logging."""
        return not self.is_aborted.is_set()


def place_of(folder: StudyFolder) -> Path:
    """Return the local folder that trackers write to: in the study's folder, or here."""
    if folder.is_local:
        return Path(folder.path).absolute() / TRACKING
    return Path.cwd() / TRACKING / folder.name


def log_runs(
    folder: StudyFolder,
    name: str,
    tracker: Any,
    place: Path,
    *,
    is_wanted: Callable[[], bool] = lambda: True,
) -> int:
    """Log to a tracker every run that has ended and that it does not have; return their number.

    Args:
        folder: Folder of the study.
        name: Name of the tracker, under which its runs are listed.
        tracker: Tune logger that is set up.
        place: Local folder that it writes to.
        is_wanted: Returns whether to go on; called before each run.

    Raises:
        StoreError: If the results cannot be read.
    """
    note_name = f"{name.replace(':', '.')}.json"
    try:
        seen = set(folder.read_json(FOLDER, note_name)["runs"])
    except (StoreError, TypeError, LookupError):
        # Not there, or not as it is written below: trackers are told of all runs again.
        seen = set()
    logged = 0
    for chunk in ended_runs_of(folder, seen):
        for run in chunk:
            if not is_wanted():
                break
            log_run(tracker, run, LoggedRun(run, folder.name, place / name.replace(":", ".")))
            seen.add(run.run_id)
            logged += 1
        folder.write_json({"runs": sorted(seen)}, FOLDER, note_name)
        if not is_wanted():
            break
    return logged


def log_run(tracker: Any, run: Tracked, trial: LoggedRun) -> None:
    """Log a run to a tracker as if it were a trial of Tune."""
    tracker.log_trial_start(trial)
    for row in run.rows:
        tracker.log_trial_result(int(row[STEP]), trial, row)
    tracker.log_trial_end(trial, failed=run.failed)


def ended_runs_of(folder: StudyFolder, seen: set[str]) -> Iterator[list[Tracked]]:
    """Yield the runs that have ended and are not in `seen`, in batches.

    Raises:
        StoreError: If the results cannot be read.
    """
    if not folder.list_files("runs", ".parquet"):
        return
    store = Store([folder])
    parameters = [each.name for each in store.hyperparameters]
    names = ", ".join(map(quoted, parameters))
    runs = store.df(f"select run_id, seed, outcome, {names} from runs")  # noqa: S608
    new = runs[~runs["run_id"].isin(seen)].sort_values("run_id")
    for start in range(0, len(new), CHUNK):
        part = new.iloc[start : start + CHUNK]
        rows = rows_of(store, part["run_id"].tolist())
        yield [
            Tracked(
                run_id=run["run_id"],
                name=name_of(run, store.swept),
                parameters={key: run[key] for key in ("seed", *parameters) if is_value(run[key])},
                rows=rows.get(run["run_id"], []),
                failed=run["outcome"] not in ("done", "stopped"),
            )
            for run in part.to_dict("records")
        ]


def rows_of(store: Store, run_ids: list[str]) -> dict[str, list[dict[str, float]]]:
    """Return a row per probe of each run: its curve, and means over layers where taken."""
    curve = [*(column.name for column in CURVE_MEASURES), *store.own_columns(HISTORY)]
    shown = ", ".join(f"history.{quoted(name)}" for name in curve)
    layers = [column.name for column in FINAL_LAYER_MEASURES]
    means = ", ".join(f"avg({name.removeprefix('mean_')}) as {name}" for name in layers)
    frame = store.df(
        f"""
        with means as (
            select run_id, step, {means} from layers
            where run_id in (select unnest(?)) group by all
        )
        select history.run_id, history.step, {shown},
               means.* exclude (run_id, step)
        from history left join means using (run_id, step)
        where history.run_id in (select unnest(?))
        order by history.run_id, history.step
        """,  # noqa: S608  # names of the schema
        [run_ids, run_ids],
    )
    rows: dict[str, list[dict[str, float]]] = {}
    for record in frame.to_dict("records"):
        numbers = {key: record[key] for key in (*curve, *layers) if is_value(record[key])}
        rows.setdefault(record["run_id"], []).append({STEP: int(record["step"]), **numbers})
    return rows


def is_value(value: Any) -> bool:
    """Return whether a value is neither None nor NaN."""
    return value is not None and value == value  # noqa: PLR0124  # NaN is not equal to itself


def name_of(run: dict[str, Any], swept: Sequence[str]) -> str:
    """Return the display name of a run: swept values, seed, and the head of its identifier.

    Args:
        run: Values of its columns.
        swept: Names of the columns that vary.
    """
    varies = [
        f"{key}={run[key]:g}" if isinstance(run[key], float) else f"{key}={run[key]}"
        for key in swept
        if key in run and is_value(run[key])
    ]
    return ",".join([*varies, f"seed={run['seed']}", run["run_id"][:6]])
