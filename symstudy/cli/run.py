"""The command run: trains a study."""

import contextlib
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from symstudy.cli.completion import complete_launcher
from symstudy.cli.options import Json, Overrides, Preset, ProjectFolder, Results, StudyPath
from symstudy.cli.output import note, print_json
from symstudy.cli.project import project_to_run
from symstudy.errors import UserError
from symstudy.escaping import printable_line
from symstudy.quantities import duration

__all__ = ["add_commands"]

MOST_ANSWERS = 5
"""Branches of a search whose finds are told in the terminal."""


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
            metavar="NAME",
            envvar="SYMSTUDY_LAUNCHER",
            autocompletion=complete_launcher,
            help="auto (inline for what one core trains in 8 s, else ray), inline (this process), "
            "ray (Ray Tune), an installed one, or module:Class.",
            rich_help_panel="Where",
        ),
    ] = "auto",
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

    Ctrl-C stops with the state of all packs saved; a second Ctrl-C stops at once. Seeds or values
    that are added extend the study in place, and every verdict then says so; new seeds that may
    decide are those of `symstudy replicate`.

    Examples: `symstudy run studies/smoke.toml`; `symstudy run studies/digits.toml seed=10`;
    `symstudy run studies/digits.toml --preset paper --address head:6379`
    """
    import time

    from symstudy.cli.progress import RunDisplay
    from symstudy.launch import find_launcher, open_study_folder, run_study
    from symstudy.launch.tracking.listener import RunTracking
    from symstudy.study import load_study

    kind = find_launcher(launcher, [study.absolute().parent])
    with contextlib.redirect_stdout(sys.stderr):  # what modules of the user's own print
        loaded = load_study(study, preset=preset, overrides=overrides or ())
    rules = claim_rules(loaded, study, project)
    whole = loaded
    if budget is not None:
        loaded = affordable(loaded, budget, results, workers, is_here=address is None)
    start = time.monotonic()
    where = kind.from_options(loaded.pack, address=address, workers=workers)
    try:
        with (
            contextlib.redirect_stdout(sys.stderr),
            RunDisplay(quiet=quiet, engine=loaded.pack.engine, is_here=address is None) as display,
            RunTracking(log or (), say=note) as tracking,
        ):
            summary = run_study(
                loaded,
                results,
                where,
                listeners=(display, tracking),
                rules=rules,
                extend=extend,
                retry=retry,
                whole=whole,
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
    outcome = report_outcome(folder, wanted_runs(loaded))
    seconds = time.monotonic() - start
    answers = search_answers(loaded, folder)
    if as_json:
        told = {"study": loaded.name, "results": folder.location, **counts_of(summary)}
        found = {"found": answers} if loaded.search is not None else {}
        print_json({**told, "seconds": round(seconds, 3), **outcome, **found})
    else:
        note_counts(loaded.name, summary, seconds, folder.location)
        for sentence in answers[:MOST_ANSWERS]:
            note(f"{loaded.name}: {sentence}")
        if len(answers) > MOST_ANSWERS:
            note(f"{loaded.name}: and {len(answers) - MOST_ANSWERS} branches more: --json has all")
    if outcome["failed"]:
        raise typer.Exit(1)


def search_answers(study: Any, folder: Any) -> list[str]:
    """Return what a search has found, a sentence a branch; nothing for a grid."""
    if study.search is None:
        return []
    from symstudy.launch.search import SearchState

    return SearchState(study.search, folder).answers


def counts_of(summary: Any) -> dict[str, int]:
    """Return what a launch has done, for programs."""
    return {
        "trained": summary.done + summary.early + summary.failed,
        "run_steps": summary.run_steps,
        "pairs": summary.pairs,
        "pairs_left_out": summary.pairs_left_out,
    }


def note_counts(study: str, summary: Any, seconds: float, results: str) -> None:
    """Say what a launch has done, unless it had nothing to do."""
    if summary.reports:
        early = f"{summary.early} stopped early, " if summary.early else ""
        note(
            f"{study}: {summary.done} runs done, {early}{summary.failed} failed in "
            f"{duration(seconds)}; results in {results}"
        )
    if summary.pairs:
        note(f"{study}: {summary.pairs} pairs of runs compared: the view `pairs`")
    if summary.pairs_left_out:
        note(
            f"{study}: warning: {summary.pairs_left_out} pairs of runs are left out, since a run "
            "of each has kept no activations; `symstudy verify` tells what is lost"
        )


def claim_rules(study: Any, source: Path, project: Path | None) -> dict[str, str]:
    """Return the hash of the decision rule of each claim that a study serves.

    Args:
        study: The study.
        source: Its file, as it was typed.
        project: Folder of the project that was named; None to look for it.

    Raises:
        UserError: If the project that is found has no such claim, or the claim's file fails.
    """
    if not study.claims:
        return {}
    from symstudy.findings.discovery import load_claims

    found = project_to_run(project)
    claims = load_claims(found, note, needed=study.claims)
    strangers = [name for name in study.claims if name not in claims]
    if strangers and found is not None:
        raise UserError(
            f"claims of {source} must be those of the project {found.root}, or shipped ones, but "
            f"got {strangers[0]!r}. Known: {', '.join(sorted(claims))}."
        )
    return {name: claims[name].rule_hash for name in study.claims if name in claims}


def affordable(study: Any, budget: str, results: str, workers: int | None, *, is_here: bool) -> Any:
    """Return the part of a study that fits a time budget, with the runs of it that were begun."""
    import os

    from symstudy.cli.plan import planned_device, within_budget
    from symstudy.launch import open_study_folder
    from symstudy.store import planned_runs

    is_gpu = study.pack.device == "cuda"
    if is_gpu and not is_here:
        raise UserError(
            "--budget of a study with pack.device = 'cuda' must be on the machine that trains, but "
            "got --address. See what fits with `symstudy plan STUDY --device h200 --budget "
            f"{budget}`, and type the seeds and values that it leaves."
        )
    folder = open_study_folder(results, study)
    return within_budget(
        study,
        budget,
        workers=workers or max(1, (os.cpu_count() or 1) // study.pack.cpus),
        device=planned_device("cuda" if is_gpu else "cpu"),
        probe=is_here,
        planned=planned_runs(folder) if folder.exists() else (),
    )


def remedy(outcome: str, results: str) -> str:
    """Return what to do about failed runs of an outcome: what can help, and no other.

    Args:
        outcome: As `runs` has it.
        results: Path of the study's folder.
    """
    if outcome == "diverged":
        return "Trained again they would diverge at the same step."
    if outcome == "out_of_memory":
        return (
            "Type a smaller train.batch_size or model.width; or --retry where there is more memory."
        )
    return (
        f"Where: symstudy runs {shlex.quote(results)} --where \"outcome = 'error'\" --traceback. "
        "Mended code or settings make new runs: the same command trains them. If the cause was "
        "outside, as a disk or a network: add --retry."
    )


def wanted_runs(study: Any) -> set[str] | None:
    """Return the runs of a grid; None for a search, which asks as it goes."""
    return None if study.search is not None else {run.run_id for run in study.runs()}


def report_outcome(folder: object, wanted: set[str] | None) -> dict[str, int]:
    """Return the number of runs by outcome, and print failed ones by their reason.

    Args:
        folder: Folder of the study.
        wanted: Runs of the study; failed runs of an earlier form of it are told apart. None if all
            that are planned are its runs.
    """
    from symstudy.store import Store, StudyFolder, read_account

    assert isinstance(folder, StudyFolder), "results are in a study's folder"
    store = Store([folder])
    (account,) = read_account(store)
    failed: dict[tuple[str, str], int] = {}
    earlier = 0
    if account.failed:
        for run_id, outcome, reason in store.sql(
            "select run_id, outcome, coalesce(reason, '') from runs_ended "
            "where outcome not in ('done', 'stopped') order by all"
        ).rows:
            if wanted is not None and run_id not in wanted:
                earlier += 1
            else:
                failed[outcome, reason] = failed.get((outcome, reason), 0) + 1
    for (outcome, reason), count in failed.items():
        what = printable_line(f"{count} runs {outcome}: {reason}")
        note(f"{account.study}: {what.rstrip('.')}. {remedy(outcome, folder.location)}")
    if earlier:
        place = shlex.quote(folder.location)
        note(
            f"{account.study}: {earlier} runs of an earlier form of the study failed; take them "
            f"back with symstudy retry {place}, then drop them with symstudy drop {place} "
            "--never-trained"
        )
    return {
        "planned": account.planned,
        "done": account.done,
        "stopped": account.stopped,
        "failed": sum(failed.values()),
        "failed_earlier": earlier,
        "missing": account.missing,
    }
