"""The command plan, and the part of a study that fits a time budget."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import typer

from symstudy.cli.modules import Dry, beside_study, try_modules
from symstudy.cli.options import Json, Overrides, Preset, ProjectFolder, StudyPath
from symstudy.cli.output import note, print_json
from symstudy.cli.plan_output import ShownPlan, print_plan
from symstudy.cli.plan_programs import plan_program, refuse_estimates
from symstudy.cli.project import project_to_run
from symstudy.errors import UserError

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

    target = planned_device(device)
    loaded = load_study(study, preset=preset, overrides=overrides or ())
    if loaded.is_program:
        refuse_estimates(loaded.name, is_asked=probe or budget is not None)
        plan_program(loaded, workers=workers, device=device, results=results, as_json=as_json)
        return
    runs = loaded.expected_runs()
    with beside_study(study, overrides or ()):
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
    shown = ShownPlan(
        study=loaded,
        runs=len(runs),
        cells=len({run.cell.cell_id for run in runs}),
        drawn=drawn,
        device=target,
        trainers=planned_trainers(drawn, loaded.pack.engine, target),
        modules=modules,
        powers=powers_of(loaded.claims, len(loaded.seeds), loaded.name, results, project),
        estimate=speed.source or target.source,
        budget=budget,
        left_out=left_out,
    )
    if as_json:
        print_json(shown.to_json())
        return
    for message in left_behind(loaded, results) if budget is None else ():
        note(f"{study}: {message}")
    print_plan(shown, study, results)


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
