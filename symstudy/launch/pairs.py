"""Comparing the runs of a study in pairs, once both of a pair have ended.

A pair is a function of what its two runs have kept. So nothing is lost where a launch is killed:
the next one measures the pairs that are in no file, and those alone.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symstudy.components import changed_source, source_of
from symstudy.errors import LaunchError, ModelError
from symstudy.launch.control import DriverControl
from symstudy.launch.events import Listener, PairsMeasured
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.pairs import (
    Probed,
    ended_packs,
    measured_pairs,
    read_activations,
    write_pairs,
)
from symstudy.store.tables.pairs_record import record_pairs
from symstudy.streams import Stream
from symstudy.study.cell import Run
from symstudy.study.pairs import PairOfRuns, PairsConfig, pairs_of_runs
from symstudy.study.study import Study

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_pairs", "measure_pairs"]

BATCH = 8
"""Pairs whose activations are held together, and that are written as one file."""


def check_pairs(study: Study) -> None:
    """Check, before anything is trained, that the runs of every pair see the same samples.

    Raises:
        LaunchError: If they do not.
        ModelError: If this process has imported another module than the one that a measure of the
            user's own is in.
    """
    if study.pairs is None:
        return
    for path in study.pairs.own_measures:
        if changed := changed_source(path, source_of(path)):
            raise ModelError(f"pairs.measures must name code as it is now, {changed}.")
    from symstudy.datasets import build_task

    seen: dict[tuple[Any, int], Any] = {}

    def samples(run: Run) -> Any:
        key = (run.cell.data.unmapped().clean(), run.seed)
        if key not in seen:
            seen[key] = build_task(*key).x_test[: run.cell.probe.representations]
        return seen[key]

    for first, second in pairs_of_runs(study.pairs, study.runs()):
        if first.cell.data == second.cell.data and first.seed == second.seed:
            continue
        if not np.array_equal(samples(first), samples(second)):
            raise LaunchError(
                "the runs of a pair must see the same test inputs, but those of runs "
                f"{first.run_id} (seed {first.seed}) and {second.run_id} (seed {second.seed}) are "
                f"others. Leave what changes them out of pairs.between = "
                f"{list(study.pairs.between)}; train.replica gives independent runs on the same "
                "data"
            )


def measure_pairs(study: Study, control: DriverControl, tell: Listener) -> None:
    """Measure every pair of the study whose runs have ended and that is in no file yet.

    Ends early, between files, where the launch is to stop.

    Raises:
        StoreError: If results cannot be read or written.
        ModelError: If a measure of the user's own fails.
    """
    if study.pairs is None:
        return
    folder = control.folder
    packs = ended_packs(folder)
    done = measured_pairs(folder, study.pairs.settings)
    ended = [
        pair
        for pair in pairs_of_runs(study.pairs, study.runs())
        if pair.first.run_id in packs and pair.second.run_id in packs
    ]
    pairs = [pair for pair in ended if (pair.first.run_id, pair.second.run_id) not in done]
    for start in range(0, len(pairs), BATCH):
        if control.stopping:
            return
        batch = pairs[start : start + BATCH]
        count = compare(folder, study, batch, packs)
        left = len(pairs) - start - len(batch)
        tell(PairsMeasured(pairs=count, left=left, left_out=len(batch) - count))
    # Only now: of what a launch that was killed has not measured, none is lost.
    record_pairs(folder, study.pairs.settings, len(ended))


def compare(
    folder: StudyFolder, study: Study, batch: Sequence[PairOfRuns], packs: dict[str, str]
) -> int:
    """Measure some pairs and write them as one file; return how many.

    A pair is left out where a run of it has kept no activations.
    """
    assert study.pairs is not None, "asked for"
    wanted = {run.run_id: packs[run.run_id] for pair in batch for run in pair}
    kept = read_activations(folder, wanted)
    with one_thread():
        rows = rows_of(study.pairs, batch, kept)
    if rows:
        write_pairs(
            folder,
            study.name,
            rows,
            between=study.pairs.between,
            measures=study.pairs.measures,
            settings=study.pairs.settings,
        )
    return len({(row["run_a"], row["run_b"]) for row in rows})


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: matrices of some hundred samples are too small to share."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rows_of(
    config: PairsConfig, batch: Sequence[PairOfRuns], kept: Mapping[str, Probed]
) -> list[dict[str, Any]]:
    """Return the rows of some pairs of runs, of those that have kept activations."""
    rows: list[dict[str, Any]] = []
    for first, second in batch:
        if first.run_id in kept and second.run_id in kept:
            about = {"run_a": first.run_id, "run_b": second.run_id}
            pair = kept[first.run_id], kept[second.run_id]
            rows.extend({**about, **row} for row in compared_rows(config, first, pair))
    return rows


def compared_rows(
    config: PairsConfig, first: Run, pair: tuple[Probed, Probed]
) -> Iterator[dict[str, Any]]:
    """Yield a row a probe of both, layer of the first and layer of the second.

    Probes are compared at equal steps, and the last ones of both in any case.
    """
    import torch

    one, other = pair
    last = (one.last, other.last)
    steps = [(step, step) for step in sorted(set(one.layers) & set(other.layers))]
    for step_a, step_b in dict.fromkeys([*steps, last]):
        is_last = (step_a, step_b) == last
        for layer_a, first_rows in one.layers[step_a].items():
            for layer_b, second_rows in other.layers[step_b].items():
                count = len(first_rows)
                draws = config.draws if is_last else 0
                orders = [np.arange(count)]
                stream = Stream(first.seed, "pairs")
                orders += [stream.permutation(count, block) for block in range(draws)]
                values = measured(
                    config,
                    torch.from_numpy(first_rows.copy()),
                    torch.from_numpy(second_rows.copy()),
                    torch.from_numpy(np.stack(orders)),
                )
                yield {
                    "step_a": step_a,
                    "step_b": step_b,
                    "is_last": is_last,
                    "layer_a": layer_a,
                    "layer_b": layer_b,
                    **values,
                }


def measured(
    config: PairsConfig, first_BN: "Tensor", second_BM: "Tensor", orders_KB: "Tensor"
) -> dict[str, float]:
    """Return each measure of two layers, with its mean and rank among permuted samples."""
    import torch

    from symstudy.measures.compute import measure_pair
    from symstudy.measures.pair_view import compared

    parts = [
        measure_pair(view, config.measures) for view in compared(first_BN, second_BM, orders_KB)
    ]
    found: dict[str, float] = {}
    for name in parts[0]:
        value, *_ = whole = torch.cat([part[name] for part in parts])
        found[name] = float(value)
        if len(whole) > 1 and bool(torch.isfinite(whole).all()):
            found[f"{name}_permuted"] = float(whole[1:].mean())
            found[f"{name}_p"] = float(1 + (whole[1:] >= value).sum()) / len(whole)
    return found
