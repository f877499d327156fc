"""The command plan, and the part of a study that fits a time budget."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import typer

from symstudy.cli.modules import Dry, beside_study, print_modules, try_modules
from symstudy.cli.options import Json, Overrides, Preset, ProjectFolder, StudyPath
from symstudy.cli.output import note, print_json, say
from symstudy.cli.plan_programs import plan_program, print_head, refuse_estimates
from symstudy.cli.project import project_to_run
from symstudy.errors import UserError
from symstudy.quantities import duration, size

__all__ = ["measured_speed", "plan", "within_budget"]


def plan(
    study: StudyPath,
    overrides: Overrides = None,
    preset: Preset = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Packs at the same time; the cores of this machine, or what one GPU takes, if not "
            "given.",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="cpu, cuda (the GPU of this machine), or a GPU that need not be here: h200, "
            "a100-80gb, l40s, rtx4090, h100-mig-1g.10gb, ...",
        ),
    ] = "cpu",
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Train a few steps of the costly shapes here, and scale the estimate."
        ),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Show the part of the study that ends in such a time, as in 90s, 30min, 2h.",
            show_default=False,
        ),
    ] = None,
    dry: Dry = True,
    results: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Results of the study that are there already: they tell how seeds spread.",
            show_default=False,
        ),
    ] = None,
    project: ProjectFolder = None,
    as_json: Json = False,
) -> None:
    """Show what a study would run, how long it takes, and what its seeds can show.

    Trains nothing, but for --probe, which trains for some seconds, and modules of your own, which
    are trained for a step.

    Examples: `symstudy plan studies/digits.toml --probe`;
    `symstudy plan studies/digits.toml --preset paper --device a100 --workers 8`;
    `symstudy plan studies/width_saturation.toml seed=20 --results results --budget 2h`
    """
    from symstudy.study import load_study
    from symstudy.study.forecast import outline
    from symstudy.study.packs import packs_per_gpu

    target = planned_device(device)
    loaded = load_study(study, preset=preset, overrides=overrides or ())
    if loaded.is_program:
        refuse_estimates(loaded.name, is_asked=probe or budget is not None)
        plan_program(loaded, workers=workers, device=device, results=results, as_json=as_json)
        return
    runs = loaded.expected_runs()
    with beside_study(study):
        modules = try_modules([loaded], device=device) if dry else None
        speed = plan_speed(loaded, modules, device, target, probe=probe)
    count = packs_at_a_time(workers, target.kind, loaded.pack.cpus)
    left_out: list[str] = []
    if budget is not None:
        if count is None:
            count = outline(runs, loaded.pack, workers=None, device=target, speed=speed).workers
        whole = loaded
        loaded, left_out = fitted(whole, budget, count, target, speed, ())
        runs = loaded.runs()
    drawn = outline(runs, loaded.pack, workers=count, device=target, speed=speed)
    found = drawn.forecast
    trainers = planned_trainers(drawn, loaded.pack.engine, target)
    powers = powers_of(loaded.claims, len(loaded.seeds), loaded.name, results, project)
    cells = len({run.cell.cell_id for run in runs})
    summary: dict[str, Any] = {
        "study": loaded.name,
        "preset": loaded.preset,
        "swept": list(loaded.swept),
        "cells": cells,
        "seeds": len(loaded.seeds),
        "runs": len(runs),
        "packs": len(drawn.packs),
        "runs_per_pack": [found.smallest, found.largest],
        "pack_memory_bytes": found.memory_bytes,
        "engines": [trainer._asdict() for trainer in trainers],
        "device": target.name,
        "device_memory_bytes": target.memory_bytes,
        "workers": drawn.workers,
        "gpu_share": drawn.share,
        "device_hours": found.seconds / 3600,
        "wall_seconds": drawn.wall,
        "packs_on_cpu": drawn.on_cpu.packs if drawn.on_cpu else 0,
        "last_packs": found.last,
        "longest_last_seconds": found.longest_last,
        "idle_share": found.idle,
        "modules": [trial.to_json() for trial in modules.trials] if modules else [],
        "estimate": speed.source or target.source,
        "budget": budget,
        "left_out": left_out,
        "claims": [row._asdict() | {"is_enough": row.is_enough} for row in powers],
    }
    if as_json:
        print_json(summary)
        return
    for message in left_behind(loaded, results) if budget is None else ():
        note(f"{study}: {message}")
    print_head(loaded, study, len(runs), cells)
    if budget is not None:
        say(f"  budget   {budget}: {'; '.join(left_out) or 'the whole study fits'}")
        if left_out:
            say("           left out; a larger budget adds them to what is there")
    say(
        f"  packs    {found.packs} of {found.smallest} to {found.largest} runs, at most "
        f"{size(found.memory_bytes)}"
    )
    print_trainers(trainers)
    if drawn.share is not None:
        say(f"           {packs_per_gpu(drawn.share)} on a GPU at the same time")
        say(f"  device   {target.name} with {size(target.memory_bytes)}")
    if target.kind == "cuda":
        print_cpu_packs(drawn)
    what = "a core" if drawn.share is None else "a GPU"
    say(
        f"  time     about {duration(found.seconds)} of {what} "
        f"({found.seconds / 3600:.2g} device hours), {duration(drawn.wall)} on {drawn.workers} "
        "workers"
    )
    say(
        f"           at the end {found.last} packs of at most {duration(found.longest_last)} are "
        f"waited for: {found.idle:.1%} of the workers' time"
    )
    say(f"           {summary['estimate']}")
    print_modules(modules)
    print_powers(powers, results)


def planned_device(name: str) -> Any:
    """Return the device of a name; `cuda` is the GPU of this machine.

    Raises:
        UserError: If there is none of that name, or this machine has no GPU that torch can use.
    """
    from symstudy.study.devices import find_device

    if name != "cuda":
        return find_device(name)
    from symstudy.launch.cluster.gpus import ask_this_machine, choose_gpu, find_fault

    report = ask_this_machine()
    if fault := find_fault(report):
        raise UserError(
            f"--device cuda must be on a machine whose GPU torch can use, but this one {fault}. "
            "To plan for a machine elsewhere name its GPU: --device h200."
        )
    return choose_gpu({"here": report}, may_use_cpu=False).device


def planned_trainers(drawn: Any, engine: str, target: Any) -> list[Any]:
    """Return what trains the runs of a plan, the compiled kernels or torch and why."""
    from symstudy.study.compiling import trainers_of
    from symstudy.study.devices import CPU

    packs = [(pack.runs, CPU if pack.device == "cpu" else target) for pack in drawn.packs]
    return trainers_of(packs, engine)


def print_trainers(trainers: Sequence[Any]) -> None:
    """Print which runs compiled or fused kernels train, and why torch trains the others."""
    label = "engine"
    for trainer in trainers:
        what = {"compiled": "compiled kernels", "fused": "fused kernel"}.get(
            trainer.engine, "torch"
        )
        why = f": not compiled with {trainer.reason}" if trainer.reason else ""
        say(f"  {label:8} {what} for {trainer.runs} runs{why}")
        label = ""


def print_cpu_packs(drawn: Any) -> None:
    """Print which packs of a plan for a GPU are for the CPU, and what they take."""
    found = drawn.on_cpu or (drawn.forecast if drawn.share is None else None)
    if found is None:
        return
    say(
        f"  on CPU   {found.packs} of the {len(drawn.packs)} packs, where one core is estimated to "
        f"be faster: about {duration(found.seconds)} of a core; pack.device=cuda for the GPU"
    )


def left_behind(study: Any, results: str | None) -> list[str]:
    """Return what to tell of planned runs that an earlier form of a grid has left in results."""
    from symstudy.launch import earlier_form, open_study_folder

    if study.search is not None:
        return []
    folder = open_study_folder(results or "results", study)
    if not folder.has_file("study.json"):
        return []
    return earlier_form(folder, {run.run_id for run in study.runs()})


def packs_at_a_time(workers: int | None, kind: str, cpus: int) -> int | None:
    """Return how many packs train together; None for as many as one GPU takes."""
    import os

    if workers is None and kind == "cpu":
        return max(1, (os.cpu_count() or 1) // cpus)
    return workers


def plan_speed(study: Any, modules: Any, device: str, target: Any, *, probe: bool) -> Any:
    """Return how the device compares with the estimate, as far as it was measured.

    Args:
        study: What is planned.
        modules: The dry run of its modules of one's own, if there was one.
        device: Name of a device.
        target: The device of that name.
        probe: Whether to measure this machine, which takes some seconds.

    Raises:
        UserError: If it is to be measured and is not this machine's.
    """
    from symstudy.study.cost import NOMINAL

    if probe:
        return measured_speed(study.expected_runs(), study.pack, device, target)
    if modules is None or device not in ("cpu", "cuda"):
        return NOMINAL
    from symstudy.training.dry_run import speed_of

    return speed_of(modules, [run.cell for run in study.expected_runs()], study.pack, target)


def measured_speed(runs: Sequence[Any], config: Any, device: str, target: Any) -> Any:
    """Return how this machine compares with the estimate, by a probe of some seconds.

    Raises:
        UserError: If `device` is not this machine's.
    """
    if device not in ("cpu", "cuda"):
        raise UserError(
            f"--probe must be with --device cpu or cuda, since it measures this machine, but got "
            f"{device!r}. Leave --probe out, or run it there."
        )
    from symstudy.training.speed import measure_speed

    note("symstudy: training a few steps of each shape ...")
    return measure_speed(runs, config, device=target)


def within_budget(
    study: Any,
    budget: str,
    *,
    workers: int,
    device: Any,
    probe: bool = False,
    planned: Collection[str] = (),
) -> Any:
    """Return the part of a study that ends within a budget, telling what is left out.

    Args:
        study: The study; a grid.
        budget: Wall time, such as `2h`.
        workers: Packs at the same time.
        device: What trains, which is this machine's if it is to be measured.
        probe: Whether to measure this machine first, which takes some seconds.
        planned: Runs in the ledger of its results: what was begun is part of the choice, so that
            the same command goes on with the same runs.

    Raises:
        UserError: If `budget` is no duration, or too short for any balanced part of the study.
    """
    from symstudy.study.cost import NOMINAL

    speed = NOMINAL
    if probe and not study.is_program:
        speed = measured_speed(study.runs(), study.pack, device.kind, device)
    part, left_out = fitted(study, budget, workers, device, speed, planned)
    for line in left_out:
        note(f"symstudy: --budget {budget} leaves out {line}")
    return part


def fitted(
    study: Any, budget: str, workers: int, device: Any, speed: Any, planned: Collection[str]
) -> tuple[Any, list[str]]:
    """Return the part of a study that fits, and what it leaves out, a line each."""
    from symstudy.quantities import read_duration
    from symstudy.study.budget import fit_budget

    try:
        seconds = read_duration(budget)
    except ValueError as error:
        raise UserError(f"--budget {error}.") from error
    part = fit_budget(study, seconds, workers=workers, device=device, speed=speed, planned=planned)
    return part.study, part.describe()


def powers_of(
    names: Sequence[str], seeds: int, study: str, results: str | None, project: Any
) -> list[Any]:
    """Return the power of each claim of a study with its number of seeds.

    Raises:
        StoreError: If results are named and cannot be read.
    """
    from symstudy.findings.discovery import load_claims
    from symstudy.findings.power import power_of

    found = project_to_run(project) if names else None
    if not names:
        return []
    claims = load_claims(found, note, needed=names)
    store = None
    if results is not None:
        from symstudy.store import Store, find_studies

        store = Store(find_studies([f"{results.rstrip('/')}/{study}"]))
    rows: list[Any] = []
    for name in names:
        if name not in claims:
            note(f"symstudy: claim {name!r} is neither in a project here nor shipped")
            continue
        claim = claims[name]
        finding = claim.judge(claim.measure(store)) if store else None
        rows += power_of(name, claim.tests, seeds, finding=finding)
    return rows


def print_powers(rows: Sequence[Any], results: str | None) -> None:
    """Print the power of the claims."""
    if not rows:
        return
    from symstudy.findings.power import POWER

    say(
        f"  claims   what {rows[0].seeds} seeds find with a chance of {POWER:.0%}, in standard "
        "deviations (sd) between seeds"
    )
    for row in rows:
        say(f"           {row.claim}: {row.rule}: {describe_power(row)}")
    if results is None:
        note("symstudy: name --results with results of the study to see effects in their units")


def describe_power(row: Any) -> str:
    """Return the power of a test in words."""
    if row.kind == "run":
        return f"a violation is seen if {row.effect:.0%} of the seeds have it"
    if row.in_sd is None:
        return "so few seeds show nothing"
    said = (
        f"a margin of {row.in_sd:.2f} sd" if row.kind == "margin" else f"{row.in_sd:.2f} sd beyond"
    )
    if row.sd is None:
        return said
    said += f" = {row.effect:.2g} {row.unit} (sd {row.sd:.2g})"
    if row.margin is None:
        return said
    needed = "more than 100,000" if row.needed is None else str(row.needed)
    return f"{said}; {row.margin:g} takes {needed} seeds"
