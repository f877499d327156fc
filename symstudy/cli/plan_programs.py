"""What `symstudy plan` shows of a study of a program: resources, and time once a run has ended."""

import os
from typing import Any

from symstudy.cli.output import note, print_json, say
from symstudy.errors import UserError
from symstudy.quantities import duration

__all__ = ["plan_program", "print_head", "refuse_estimates"]


def plan_program(
    study: Any, *, workers: int | None, device: str, results: str | None, as_json: bool
) -> None:
    """Print the plan of a study of a program.

    Args:
        study: The study.
        workers: Runs at the same time; None for as many as the cores of this machine take.
        device: Name of a device.
        results: Folder of results in which runs of it may have ended; None for none.
        as_json: Whether to print JSON.

    Raises:
        UserError: If there is no such device.
        StoreError: If results are named and cannot be read.
    """
    from symstudy.study import plan_packs
    from symstudy.study.devices import find_device

    is_gpu = find_device(device).kind == "cuda"
    runs = study.expected_runs()
    packs = plan_packs(runs, study.pack)
    count = workers or (1 if is_gpu else max(1, (os.cpu_count() or 1) // study.pack.cpus))
    gpus = (1.0 if study.pack.gpus == "auto" else study.pack.gpus) if is_gpu else 0.0
    known = seconds_of_a_run(study, results) if results is not None else None
    rounds = -(-len(packs) // count) * max(len(pack.runs) for pack in packs)
    cells = len({run.cell.cell_id for run in runs})
    summary = {
        "study": study.name,
        "preset": study.preset,
        "swept": list(study.swept),
        "cells": cells,
        "seeds": len(study.seeds),
        "runs": len(runs),
        "packs": len(packs),
        "runs_per_pack": [min(len(p.runs) for p in packs), max(len(p.runs) for p in packs)],
        "device": device,
        "workers": count,
        "cpus_per_run": study.pack.cpus,
        "gpus_per_run": gpus,
        "seconds_per_run": known,
        "wall_seconds": None if known is None else known * rounds,
    }
    if as_json:
        print_json(summary)
        return
    print_head(study, study.source, len(runs), cells)
    on = f" and {gpus:g} of the GPUs" if is_gpu else ""
    say(f"  each     {study.pack.cpus} of the cores{on}; {count} at the same time")
    if known is None:
        say(
            "  time     unknown: what a program costs is known once a run of it has ended. Run a "
            "few, then"
        )
        say("           name their results: symstudy plan STUDY --results results")
    else:
        say(
            f"  time     about {duration(known * len(runs))} of runs, {duration(known * rounds)} "
            f"on {count} workers: {known:.2g} s a run, the mean of those that have ended"
        )


def seconds_of_a_run(study: Any, results: str) -> float | None:
    """Return the mean seconds of the runs of a study that are done; None without any.

    Raises:
        StoreError: If the results cannot be read.
    """
    from symstudy.store import Store, find_studies

    store = Store(find_studies([f"{results.rstrip('/')}/{study.name}"]))
    ((mean,),) = store.sql("select avg(seconds) from runs where outcome = 'done'").rows
    return None if mean is None else float(mean)


def print_head(study: Any, path: Any, runs: int, cells: int) -> None:
    """Print what a study is and how many runs it has.

    Args:
        study: The study.
        path: Its file, as it was typed.
        runs: Number of its runs, at most.
        cells: Number of its cells.
    """
    for message in study.notes:
        note(f"{path}: {message}")
    say(f"{study.name}: {study.title}")
    say(f"  swept    {', '.join(study.swept) or 'nothing'}")
    if study.search is None:
        say(f"  runs     {runs} = {cells} cells x {len(study.seeds)} seeds")
        return
    confirming = study.search.num_confirming
    say(
        f"  runs     at most {runs}: a search, which asks as it goes"
        + (f"; {confirming} of these confirm finds" if confirming else "")
    )


def refuse_estimates(name: str, *, is_asked: bool) -> None:
    """Raise if an estimate is asked for that takes the cost of a run.

    Raises:
        UserError: If so.
    """
    if is_asked:
        raise UserError(
            f"--probe and --budget must be of a study that trains a model, but {name!r} runs a "
            "program. Leave them out; run a few runs of it, then type --results results"
        )
