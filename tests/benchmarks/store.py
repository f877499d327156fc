"""Plans and results at scale: a million runs planned, opened, counted and queried.

Each part runs in a process of its own, so that its peak of memory is its own: `python
tests/benchmarks/store.py`, or one part by name. Beside each figure stands the limit it is held to.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from documented import table, tell
from workload import median_seconds

from symstudy.store import Store, StudyFolder, open_location, open_store, read_account
from symstudy.store.files.compaction import compact
from symstudy.store.files.repair import repair
from symstudy.store.tables.ledger import ended_runs, planned_runs, read_pack
from symstudy.store.tables.schema import SCHEMA_VERSION
from symstudy.store.tables.settling import settle
from symstudy.store.tables.writer import write_pack, write_packs, write_plan
from symstudy.study import Run, Study, make_study, plan_packs
from symstudy.testing.stores import PLANTED

PROBES = 100
PACKS = (1000, 250)
"""Runs of a pack: a million runs are 1,000 packs and 3,000 files, or 4,000 and 12,000."""
RUNS_QUERY = "select width, gamma, avg(test_loss), count(*) from runs group by all"
HISTORY_QUERY = "select step, width, avg(test_loss), stddev(test_loss) from history group by all"


SHOWN: dict[str, float] = {}
"""Seconds of the processor of what was timed last, by its name; of the wall where others rest."""


def show(what: str, seconds: float, limit: float | None = None, busy: float | None = None) -> None:
    """Print a figure, the processor's time in it, and its limit if it has one.

    Where other programs share the cores, the processor's time says what it would be without them.
    """
    SHOWN[what] = seconds if busy is None else busy
    beside = f", {busy:6.2f} s of the CPU" if busy is not None else ""
    beside += f" (limit {limit:g} s)" if limit else ""
    print(f"  {what:42s} {seconds:7.3f} s{beside}", flush=True)


def timed(what: str, action: Callable[[], Any], limit: float | None = None) -> Any:
    """Do something once and print how long it took."""
    start, busy = time.perf_counter(), time.process_time()
    result = action()
    show(what, time.perf_counter() - start, limit, time.process_time() - busy)
    return result


def peak_gigabytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def sweep(rates: int, seeds: int, name: str = "large") -> Study:
    """Return a study of 5,000 cells for each learning rate."""
    return make_study(
        {
            "schema": 1,
            "name": name,
            "title": "Large",
            "model": {"kind": "fcn"},
            "data": {"kind": "digits"},
            "train": {"lr": 0.01, "batch_size": 100, "steps": 1000},
            "sweep": {
                "model.width": list(range(1, 101)),
                "train.gamma": {"log": [1e-5, 1.0], "num": 50},
                "train.lr": [0.01 * (1 + place) for place in range(rates)],
                "seed": seeds,
            },
        }
    )


def new_folder(place: str, name: str) -> StudyFolder:
    """Return the folder of a new study."""
    filesystem, path = open_location(place)
    folder = StudyFolder(filesystem, f"{path}/{name}")
    folder.write_study({"name": name, "title": name, "schema_version": SCHEMA_VERSION})
    return folder


def plan() -> None:
    """Expand, hash, pack and write a million runs: 200,000 cells with 5 seeds."""
    start, busy = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as place:
        study = timed("200,000 cells expanded and hashed", lambda: sweep(40, 5))
        runs = timed("1,000,000 runs hashed", study.runs)
        packs = timed("planned into packs", lambda: plan_packs(runs, study.pack, workers=64))
        folder = new_folder(place, "large")
        timed("plan written", lambda: write_plan(folder, "large", "bench", runs))
        timed("packs written", lambda: write_packs(folder, "bench", packs))
        show("all of it", time.perf_counter() - start, 60, time.process_time() - busy)
        print(
            f"  {f'peak memory, {len(packs):,} packs':42s} {peak_gigabytes():7.2f} GB (limit 4 GB)"
        )
        place_of = packs[len(packs) // 2].pack_id
        found = median_seconds(lambda: read_pack(folder, "bench", place_of))
        show("a worker finds its pack", found)
        tell(
            "store.plan",
            f"To expand, hash, plan into {len(packs):,} packs and write {len(runs):,} runs of "
            f"{len(study.cells):,} cells takes {SHOWN['all of it']:.0f} s, with "
            f"{peak_gigabytes():.2f} GB of memory at most.",
        )


def write_results(
    folder: StudyFolder, study: Study, runs: Sequence[Run], *, probes: int, pack: int
) -> None:
    """Write plan and rows of all runs, in packs."""
    rng = np.random.default_rng(0)
    write_plan(folder, study.name, "bench", runs)
    for start in range(0, len(runs), pack):
        part = runs[start : start + pack]
        count = len(part)
        ids = np.array([run.run_id for run in part])
        steps = np.linspace(0, 1000, probes).astype(np.int64)
        history: dict[str, Any] = {
            "run_id": np.repeat(ids, probes),
            "step": np.tile(steps, count),
            "test_loss": rng.normal(size=count * probes),
            "train_loss": rng.normal(size=count * probes),
        }
        write_pack(
            folder,
            study.name,
            f"{start:020x}",
            part,
            PLANTED,
            run_columns={
                "outcome": ["done"] * count,
                "steps_done": [1000] * count,
                "test_loss": rng.normal(size=count),
                "mean_distinct_neurons": rng.normal(size=count),
            },
            history=history,
            layers={},
        )


def million() -> None:
    """Open, count and query a million runs in thousands of packs, and again in few files."""
    study = sweep(40, 5)
    runs = study.runs()
    columns = {}
    for pack in PACKS:
        with tempfile.TemporaryDirectory() as place:
            folder = new_folder(place, "large")
            timed(
                f"1,000,000 runs written in packs of {pack}",
                partial(write_results, folder, study, runs, probes=2, pack=pack),
            )
            files = sum(1 for _ in Path(place).rglob("*.parquet"))
            print(f"  in {files:,} files:")
            columns[f"{files:,} files"] = ask(place, folder)
            done = timed("compacted", partial(compact, folder, grace_s=0))
            print(f"  in {done.files_after} files:")
            columns.setdefault("compacted", ask(place, folder))
    print(f"  {'peak memory':42s} {peak_gigabytes():7.2f} GB")
    rows = [
        [what, *(f"{seconds[what]:.2g}" for seconds in columns.values())]
        for what in columns["compacted"]
    ]
    tell("store.million", table(["seconds of the processor", *columns], rows))


def ask(place: str, folder: StudyFolder) -> dict[str, float]:
    """Time what users and drivers ask of a million runs, and return the seconds by what it is."""
    SHOWN.clear()
    store: Store = timed("open", lambda: open_store(place), 2)
    timed("status", lambda: read_account(store), 2)
    timed("group runs, first", lambda: store.sql(RUNS_QUERY), 2)
    timed("group runs, again", lambda: store.sql(RUNS_QUERY), 2)
    timed("group cells", lambda: store.sql("select width, avg(test_loss) from cells group by all"))
    timed("driver: read every byte, repair nothing", lambda: repair(folder))
    timed("driver: nothing twice", lambda: settle(folder))
    timed("driver: what is planned", lambda: planned_runs(folder))
    timed("driver: what has ended", lambda: ended_runs(folder, failed_count=True))
    return dict(SHOWN)


def history() -> None:
    """Group the history of ten thousand runs with a hundred probes each."""
    study = sweep(1, 2)
    runs = study.runs()
    with tempfile.TemporaryDirectory() as place:
        folder = new_folder(place, "large")
        write_results(folder, study, runs, probes=PROBES, pack=250)
        store = open_store(place)
        print(f"  {len(runs):,} runs x {PROBES} probes in {len(runs) // 250} packs:")
        seconds = median_seconds(lambda: store.sql(HISTORY_QUERY))
        show("group history", seconds, 0.2)
        tell(
            "store.history",
            f"To group the history of {len(runs):,} runs with {PROBES} probes takes "
            f"{seconds:.2g} s.",
        )
        show("group runs", median_seconds(lambda: store.sql(RUNS_QUERY)))


PARTS = {"plan": plan, "million": million, "history": history}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        PARTS[sys.argv[1]]()
    else:
        for part in PARTS:
            subprocess.run([sys.executable, __file__, part], check=True)
