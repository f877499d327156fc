"""Studies whose results are planted: a claim must find the truth that was put there."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symstudy.measures import LAYER_MEASURES
from symstudy.store import Provenance, Store, StudyFolder, open_location
from symstudy.store.tables.pairs import write_pairs
from symstudy.store.tables.schema import SCHEMA_VERSION
from symstudy.store.tables.writer import write_pack, write_plan
from symstudy.study import Run, Study
from symstudy.study.pairs import PairOfRuns, pairs_of_runs
from symstudy.symmetry.thresholds import CURVE_THRESHOLDS

__all__ = ["PLANTED", "Measures", "PairMeasures", "plant_pack", "plant_store", "plant_study"]

PLANTED = Provenance(
    git_sha=None,
    git_dirty=None,
    symstudy_version="planted",
    torch_version="planted",
    numpy_version="planted",
    python_version="planted",
    host="planted",
)

Measures = Callable[[Run], Mapping[str, Any]]


PairMeasures = Callable[[PairOfRuns], Iterable[Mapping[str, Any]]]


def plant_store(
    location: Path,
    study: Study,
    measures_of: Measures,
    *,
    pack_size: int = 1000,
    pairs_of: PairMeasures | None = None,
) -> Store:
    """Write a study whose runs have the measures that `measures_of` gives; return SQL access to it.

    Args:
        location: Folder that the study's folder is made in.
        study: What was planned; every run of it is written.
        measures_of: From a run to columns of `runs`; `outcome` is `done` if not given. A measure of
            layers has its own name, such as `rank`, and stands for one hidden layer: its number is
            written to `layers`, at the last step, and to `runs` as the mean, `mean_rank`.
            Under `history` and `layers` it may give rows of earlier probes: columns of these tables
            by name, `step` and `layer` among them.
        pack_size: Runs of a pack.
        pairs_of: From a pair of runs of the study to its rows of `pairs`, columns by name; no pair
            is written if not given.
    """
    filesystem, path = open_location(str(location))
    folder = StudyFolder(filesystem, f"{path}/{study.name}")
    runs = study.runs()
    plant_study(folder, study)
    write_plan(folder, study.name, "planted", runs)
    for place, start in enumerate(range(0, len(runs), pack_size)):
        plant_pack(
            folder, study.name, f"pack{place:04d}", runs[start : start + pack_size], measures_of
        )
    if pairs_of is not None:
        plant_pairs(folder, study, pairs_of)
    return Store([folder])


def plant_pairs(folder: StudyFolder, study: Study, pairs_of: PairMeasures) -> None:
    """Write the rows of every pair of runs that the study asks for."""
    assert study.pairs is not None, "pairs are planted where the study asks for some"
    rows = [
        {"run_a": pair.first.run_id, "run_b": pair.second.run_id, **row}
        for pair in pairs_of_runs(study.pairs, study.runs())
        for row in pairs_of(pair)
    ]
    write_pairs(
        folder,
        study.name,
        rows,
        between=study.pairs.between,
        measures=study.pairs.measures,
        settings=study.pairs.settings,
    )


def plant_study(folder: StudyFolder, study: Study) -> None:
    """Write what is planted to `study.json`."""
    folder.write_json(
        {
            "schema_version": SCHEMA_VERSION,
            "name": study.name,
            "title": study.title,
            "claims": list(study.claims),
            "swept": list(study.swept),
            "kind": study.kind,
            "rules": {},
            "launches": [],
        },
        "study.json",
    )


def plant_pack(
    folder: StudyFolder, study: str, pack_id: str, runs: list[Run], measures_of: Measures
) -> None:
    """Write one pack of planted runs."""
    rows = [{"outcome": "done", **measures_of(run)} for run in runs]
    earlier = {table: probes_of(table, runs, rows) for table in ("history", "layers")}
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    run_ids = [run.run_id for run in runs]
    if runs[0].cell.is_program:
        plant_programs(folder, study, pack_id, runs, columns)
        return
    steps = [run.cell.train.steps for run in runs]
    layers: dict[str, Any] = {"run_id": run_ids, "step": steps, "layer": [1] * len(runs)}
    for measure in LAYER_MEASURES:
        if measure.kind == "curve":
            values = [row.get("distinct_curve", row.get("distinct_neurons", 0)) for row in rows]
            layers[measure.name] = np.array(
                [np.broadcast_to(np.asarray(v, np.int64), len(CURVE_THRESHOLDS)) for v in values]
            )
        elif measure.name in columns:
            plain = columns[measure.name]
            count = measure.kind == "count"
            layers[measure.name] = [
                None if value is None else (int(value) if count else float(value))
                for value in plain
            ]
    columns.pop("distinct_curve", None)
    means = {item.name: f"mean_{item.name}" for item in LAYER_MEASURES}
    columns = {means.get(name, name): values for name, values in columns.items()}
    history: dict[str, Any] = {"run_id": run_ids, "step": steps}
    for name in ("test_loss", "train_loss", "theta_norm", "decay_budget"):
        if name in columns:
            history[name] = columns[name]
    write_pack(
        folder,
        study,
        pack_id,
        runs,
        PLANTED,
        run_columns={**columns, "run_id": run_ids, "steps_done": steps},
        history=with_rows(earlier["history"], history),
        layers=with_rows(earlier["layers"], layers),
    )


def plant_programs(
    folder: StudyFolder, study: str, pack_id: str, runs: list[Run], columns: dict[str, list[Any]]
) -> None:
    """Write one pack of planted runs of a program, whose columns are metrics that they report."""
    metrics = {name: kind_of(values) for name, values in columns.items() if name != "outcome"}
    write_pack(
        folder,
        study,
        pack_id,
        runs,
        PLANTED,
        run_columns={
            **columns,
            "run_id": [run.run_id for run in runs],
            "steps_done": [1] * len(runs),
            "engine": ["program"] * len(runs),
        },
        history={},
        layers={},
        metrics=metrics,
    )


def kind_of(values: list[Any]) -> str:
    """Return the kind of a metric's column."""
    for kind, name in ((bool, "truth"), (int, "count")):
        if all(isinstance(value, kind) for value in values):
            return name
    return "number"


def probes_of(table: str, runs: list[Run], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the rows of earlier probes for `table` out of `rows`, one a run and probe."""
    # A curve has no null.
    curve = {"distinct_curve": [0] * len(CURVE_THRESHOLDS)} if table == "layers" else {}
    return [
        {"run_id": run.run_id, **curve, **probe}
        for run, row in zip(runs, rows, strict=True)
        for probe in row.pop(table, ())
    ]


def with_rows(rows: list[dict[str, Any]], columns: dict[str, Any]) -> dict[str, Any]:
    """Return `columns` with `rows` above them; what either lacks is null."""
    if not rows:
        return columns
    count = len(columns["run_id"])
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    return {
        name: [row.get(name) for row in rows] + list(columns.get(name, [None] * count))
        for name in names
    }
