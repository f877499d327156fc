"""The command that trains: run."""

from typing import Annotated, Any

import typer

from symstudy.cli.options import Json, Overrides, Preset, ProjectFolder, Results, StudyPath
from symstudy.cli.output import note, print_json
from symstudy.errors import UserError, unknown_name
from symstudy.quantities import duration

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Studies")(run)


def run(
    study: StudyPath,
    overrides: Overrides = None,
    preset: Preset = None,
    results: Results = "results",
    launcher: Annotated[
        str,
        typer.Option(
            metavar="ray|inline",
            envvar="SYMSTUDY_LAUNCHER",
            help="Ray Tune, or one pack after another in this process.",
            rich_help_panel="Where",
        ),
    ] = "ray",
    address: Annotated[
        str | None,
        typer.Option(
            envvar="SYMSTUDY_ADDRESS",
            help="A running Ray cluster, host:port; this machine if not given.",
            rich_help_panel="Where",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Packs at the same time; as many as fit if not given.",
            rich_help_panel="Where",
            show_default=False,
        ),
    ] = None,
    project: ProjectFolder = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Show runs to a tracker as well: tensorboard, mlflow, wandb, or module:Class.",
            rich_help_panel="What",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Train the balanced part of the study that ends in so long, such as 2h.",
            rich_help_panel="What",
            show_default=False,
        ),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Train failed runs again.", rich_help_panel="What")
    ] = False,
    extend: Annotated[
        bool,
        typer.Option(
            "--extend",
            help="Add to results that hold no run of this study.",
            rich_help_panel="What",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Json = False,
) -> None:
    """Train every run of a study that has not ended yet.

    The same command again goes on where it stopped, or does nothing.

    Ctrl-C stops with the state of all packs saved; a second Ctrl-C stops at once. More seeds or
    values extend the study in place.

    Examples: `symstudy run studies/smoke.toml`; `symstudy run studies/digits.toml seed=10`;
    `symstudy run studies/digits.toml --preset paper --address head:6379`
    """
    if launcher not in ("ray", "inline"):
        raise unknown_name("--launcher", launcher, ["ray", "inline"])
    import time

    from symstudy.cli.progress import RunDisplay
    from symstudy.findings.discovery import find_project, list_claims
    from symstudy.launch import InlineLauncher, RayLauncher, open_study_folder, run_study
    from symstudy.launch.tracking.loggers import make_loggers
    from symstudy.study import load_study

    loaded = load_study(study, preset=preset, overrides=overrides or ())
    found = find_project(project)
    known = {claim.name for claim in list_claims(found)}
    strangers = [name for name in loaded.claims if name not in known]
    if strangers and found is not None:
        raise UserError(
            f"claims of {study} must be those of the project {found.root}, but got "
            f"{strangers[0]!r}. Known: {', '.join(sorted(known))}."
        )
    rules = {}
    if loaded.claims and found is not None:
        from symstudy.findings.discovery import load_claims

        claims = load_claims(found)
        rules = {name: claims[name].rule_hash for name in loaded.claims}
    if budget is not None:
        loaded = affordable(loaded, budget, results, workers, is_here=address is None)
    start = time.monotonic()
    where = (
        RayLauncher(loaded.pack, address=address, workers=workers)
        if launcher == "ray"
        else InlineLauncher(device=loaded.pack.device)
    )
    try:
        with (
            RunDisplay(quiet=quiet) as display,
            make_loggers(log or (), display, say=note) as observer,
        ):
            summary = run_study(
                loaded, results, where, observer=observer, rules=rules, extend=extend, retry=retry
            )
    except KeyboardInterrupt as interrupt:
        note("symstudy: interrupted; what ended is kept, and the same command goes on from there.")
        raise typer.Exit(130) from interrupt
    if summary.stopped:
        note(
            f"symstudy: {summary.stopped}; packs in training have saved their state, and the same "
            "command goes on from there."
        )
        raise typer.Exit(130)
    folder = open_study_folder(results, loaded)
    outcome = report_outcome(folder)
    seconds = time.monotonic() - start
    if as_json:
        print_json(
            {
                "study": loaded.name,
                "results": folder.path,
                "trained": summary.done + summary.failed,
                "run_steps": summary.run_steps,
                "seconds": round(seconds, 3),
                **outcome,
            }
        )
    elif summary.reports:
        note(
            f"{loaded.name}: {summary.done} runs done, {summary.failed} failed in "
            f"{duration(seconds)}; results in {folder.path}"
        )
    if outcome["failed"]:
        raise typer.Exit(1)


def affordable(study: Any, budget: str, results: str, workers: int | None, *, is_here: bool) -> Any:
    """Return the part of a study that a budget allows, with whatever of it was begun."""
    import os

    from symstudy.cli.plan import within_budget
    from symstudy.launch import open_study_folder
    from symstudy.store import planned_runs

    folder = open_study_folder(results, study)
    return within_budget(
        study,
        budget,
        workers=workers or max(1, (os.cpu_count() or 1) // study.pack.cpus),
        device="cuda" if study.pack.device == "cuda" else "cpu",
        probe=is_here,
        planned=planned_runs(folder) if folder.exists() else (),
    )


def report_outcome(folder: object) -> dict[str, int]:
    """Return the study's account, telling of failed runs by their reason."""
    from symstudy.store import Store, StudyFolder, read_account

    assert isinstance(folder, StudyFolder), "results are in a study's folder"
    (account,) = read_account(Store([folder]))
    for (outcome, reason), count in account.failed.items():
        note(f"{account.study}: {count} runs {outcome}: {reason} Train them again with --retry.")
    return {
        "planned": account.planned,
        "done": account.done,
        "stopped": account.stopped,
        "failed": account.num_failed,
        "missing": account.missing,
    }
