"""Plans and queries at scale: cells a second, and a grouped query over many rows."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from workload import median_seconds

from symstudy.store import Store, StudyFolder, open_location, open_store
from symstudy.store.schema import SCHEMA_VERSION
from symstudy.store.writer import write_pack, write_plan
from symstudy.study import make_study, plan_packs
from symstudy.testing.stores import PLANTED

CELLS = 100_000
RUNS = 10_000
PROBES = 100
PACK = 250


def plan() -> None:
    """Expand, hash and pack a hundred thousand cells."""
    start = time.perf_counter()
    study = make_study(
        {
            "schema": 1,
            "name": "large",
            "title": "Large",
            "model": {"kind": "fcn"},
            "data": {"kind": "digits"},
            "train": {"lr": 0.01, "batch_size": 100},
            "sweep": {
                "model.width": list(range(1, 101)),
                "train.gamma": {"log": [1e-5, 1.0], "num": 50},
                "train.lr": {"log": [1e-5, 1.0], "num": 20},
            },
        }
    )
    packs = plan_packs(study.runs(), study.pack, workers=64)
    seconds = time.perf_counter() - start
    print(
        f"  {CELLS:,} cells expanded, hashed and planned into {len(packs):,} packs: {seconds:.1f} s"
    )


def query() -> None:
    """Group the history of ten thousand runs with a hundred probes each."""
    study = make_study(
        {
            "schema": 1,
            "name": "rows",
            "title": "Rows",
            "model": {"kind": "fcn"},
            "data": {"kind": "digits"},
            "train": {"lr": 0.01, "batch_size": 100, "steps": 1000},
            "sweep": {
                "model.width": list(range(1, 21)),
                "train.gamma": {"log": [1e-5, 1.0], "num": 50},
                "seed": 10,
            },
        }
    )
    runs = study.runs()
    assert len(runs) == RUNS
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        filesystem, path = open_location(place)
        folder = StudyFolder(filesystem, f"{path}/rows")
        folder.write_json({"name": "rows", "schema_version": SCHEMA_VERSION}, "study.json")
        write_plan(folder, "rows", "bench", runs)
        for start in range(0, RUNS, PACK):
            part = runs[start : start + PACK]
            ids = np.array([run.run_id for run in part])
            history: dict[str, Any] = {
                "run_id": np.repeat(ids, PROBES),
                "step": np.tile(np.arange(PROBES), PACK),
                "test_loss": rng.normal(size=PACK * PROBES),
                "train_loss": rng.normal(size=PACK * PROBES),
            }
            write_pack(
                folder,
                "rows",
                f"{start:08d}",
                part,
                PLANTED,
                run_columns={"outcome": ["done"] * PACK, "test_loss": rng.normal(size=PACK)},
                history=history,
                layers={},
            )
        size = sum(file.stat().st_size for file in Path(place).rglob("*.parquet"))
        print(f"  {RUNS:,} runs x {PROBES} probes in {RUNS // PACK} packs: {size / 2**20:.0f} MiB")
        opened = median_seconds(lambda: open_store(place))
        store: Store = open_store(place)
        runs_query = "select width, gamma, avg(test_loss), count(*) from runs group by all"
        steps_query = (
            "select step, width, avg(test_loss), stddev(test_loss) from history group by all"
        )
        for name, seconds in (
            ("open", opened),
            ("group runs", median_seconds(lambda: store.sql(runs_query))),
            ("group history", median_seconds(lambda: store.sql(steps_query))),
        ):
            print(f"  {name:14s} {seconds:.3f} s")


if __name__ == "__main__":
    plan()
    query()
