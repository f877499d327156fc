"""The commands for Ray jobs on a cluster: submit and jobs."""

import shlex
from typing import Annotated

import typer

from symstudy.cli.options import Json, Overrides, Preset, ProjectFolder, StudyPath
from symstudy.cli.output import note, print_json, print_table, say
from symstudy.errors import UserError

__all__ = ["add_commands"]

Dashboard = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL",
        envvar="RAY_API_SERVER_ADDRESS",
        help="Dashboard of a running Ray cluster.",
    ),
]
DASHBOARD = "http://127.0.0.1:8265"


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(rich_help_panel="Studies")(submit)
    app.command(rich_help_panel="Studies")(jobs)


def submit(
    study: StudyPath,
    overrides: Overrides = None,
    preset: Preset = None,
    results: Annotated[
        str,
        typer.Option(
            "--results",
            metavar="URI",
            envvar="SYMSTUDY_RESULTS",
            help="Where the cluster puts results: s3://bucket/folder, or a shared folder's path.",
            show_default=False,
        ),
    ] = "",
    address: Dashboard = DASHBOARD,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Packs at the same time; as many as fit if not given.",
            show_default=False,
        ),
    ] = None,
    project: ProjectFolder = None,
    retry: Annotated[bool, typer.Option("--retry", help="Train failed runs again.")] = False,
    extend: Annotated[
        bool, typer.Option("--extend", help="Add to results that hold no run of this study.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show its log, and end with its exit status.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Submit a study to a cluster, which runs it on its own.

    Prints the job's ID. The study file, the modules of its models and the project's analyses travel
    with it; a job that was lost is submitted again and goes on.

    Examples: `symstudy submit studies/digits.toml --results s3://bucket/results`;
    `symstudy jobs ID --logs --follow`
    """
    from symstudy.launch.cluster.submission import Jobs, Submission
    from symstudy.project import check_own, find_project, list_claims
    from symstudy.study import load_study

    loaded = load_study(study, preset=preset, overrides=overrides or ())
    found = find_project(project)
    known = {claim.name for claim in (*list_claims(found, note), *list_claims(None, note))}
    strangers = set(loaded.claims) - known
    if strangers and found is not None:
        raise UserError(
            f"claims of {study} must be those of the project {found.root}, but got "
            f"{min(strangers)!r}."
        )
    if found and loaded.claims:
        check_own(found)
    options = [*(overrides or ())]
    options += ["--preset", preset] if preset else []
    options += ["--workers", str(workers)] if workers else []
    options += ["--retry"] if retry else []
    options += ["--extend"] if extend else []
    cluster = Jobs(address)
    submission = Submission(
        study=loaded,
        options=options,
        results=results,
        analyses=found.analyses if found and loaded.claims and found.analyses.is_dir() else None,
    )
    job = cluster.submit(submission)
    if as_json:
        print_json({"job": job, "study": loaded.name, "results": results, "address": address})
    else:
        say(job)
        note(f"Look at it with: symstudy jobs {job} --address {shlex.quote(address)} --logs")
    if wait:
        end_with(cluster, job)


def jobs(
    job: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A job; all if none.", show_default=False)
    ] = None,
    address: Dashboard = DASHBOARD,
    logs: Annotated[bool, typer.Option("--logs", help="Show what it prints.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="With --logs: go on until it has ended.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Have it save the state of its packs and end.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the studies that a cluster was given, or one of them: its status, its log; or stop it.

    Exit status with an ID: that of the job, 0 as long as it runs.

    Examples: `symstudy jobs`; `symstudy jobs ID --logs --follow`; `symstudy jobs ID --stop`
    """
    from symstudy.launch.cluster.submission import Jobs

    if job is None and (logs or stop):
        raise UserError(
            "ID must be given with --logs and --stop, but got none. List them with: symstudy jobs"
        )
    if follow and not logs:
        raise UserError("--follow must come with --logs, but got it alone.")
    cluster = Jobs(address)
    if job is None:
        states = cluster.states()
        if as_json:
            print_json([state._asdict() for state in states])
        else:
            print_table(
                ["job", "status", "study", "results"],
                [[state.job, state.status, state.study, state.results] for state in states],
            )
        return
    if stop:
        cluster.stop(job)
    if logs and follow:
        end_with(cluster, job)
    elif logs:
        say(cluster.log(job), end="")
    else:
        state = cluster.state(job)
        if as_json:
            print_json(state._asdict())
        else:
            say(f"{state.job} {state.status}: {state.message}")
        raise typer.Exit(state.exit_status or 0)


def end_with(cluster: object, job: str) -> None:
    """Print the log of a job until it ends, then exit with its status."""
    from symstudy.launch.cluster.submission import Jobs

    assert isinstance(cluster, Jobs), "jobs are those of a cluster"
    try:
        for text in cluster.follow(job):
            say(text, end="")
    except KeyboardInterrupt as interrupt:
        note(f"symstudy: the job goes on; stop it with: symstudy jobs {job} --stop")
        raise typer.Exit(130) from interrupt
    state = cluster.state(job)
    note(f"{state.job} {state.status}: {state.message}")
    if state.status == "STOPPED":
        raise typer.Exit(130)
    raise typer.Exit(state.exit_status if state.exit_status is not None else 1)
