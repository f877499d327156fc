"""Commands about the runs of a study, from any terminal: runs, cancel, retry, drop."""

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from symstudy.cli.options import Json, ResultsPath
from symstudy.cli.output import note, print_json, print_table, say
from symstudy.errors import UserError
from symstudy.escaping import printable_line

__all__ = ["add_commands"]

CANCEL_S = 90.0
"""How long `cancel` waits for the workers to save their packs."""

Where = Annotated[
    str | None,
    typer.Option(
        metavar="SQL",
        help="Condition on the columns of runs, as in \"outcome = 'diverged' and width > 64\".",
        show_default=False,
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(rich_help_panel="Results")(runs)
    app.command(rich_help_panel="Studies")(cancel)
    app.command(rich_help_panel="Studies")(retry)
    app.command(rich_help_panel="Studies")(drop)


def runs(
    results: ResultsPath = "results",
    where: Where = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most.")] = 50,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of each failed run as well.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List runs, those that are missing too, with what varies between them and how they ended.

    Examples: `symstudy runs results --where "outcome = 'missing'"`;
    `symstudy runs results --where "outcome = 'error'" --traceback`;
    `symstudy runs results/digits --where "width = 64 and test_loss > 0.5" --json`
    """
    from symstudy.store import open_store, quoted

    store = open_store(results)
    columns = [
        *("study", "run_id", *store.swept),
        *("seed", "outcome", "reason", "steps_done", "test_loss"),
    ]
    order = ", ".join(map(quoted, ("study", *store.swept, "seed", "run_id")))
    found = store.sql(
        "with every as (select * from runs union all by name "  # noqa: S608  # read-only
        "select *, 'missing' as outcome from missing) "
        f"select {', '.join(map(quoted, columns))} from every where {where or 'true'} "
        f"order by {order} limit {limit + 1}"
    )
    rows = found.rows[:limit]
    texts = read_tracebacks(store, rows) if traceback else {}
    if as_json:
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        if traceback:
            records = [{**record, "traceback": texts[record["run_id"]]} for record in records]
        print_json(records)
    else:
        print_table(columns, rows)
        print_tracebacks(texts)
    if len(found.rows) > limit:
        note(f"more than {limit} runs; type --limit, or narrow them with --where.")


def read_tracebacks(store: Any, rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Return the traceback of each run by its identifier; empty for a run that has none.

    Args:
        store: SQL access to the results.
        rows: Rows that begin with study and run.
    """
    from symstudy.launch import read_traceback

    texts: dict[str, str] = {}
    for study, run_id, *_ in rows:
        # A copy of a study is one of the same name.
        of_study = (folder for folder in store.folders if folder.name == study)
        found = (read_traceback(folder, run_id) for folder in of_study)
        texts[run_id] = next(filter(None, found), "")
    return texts


def print_tracebacks(texts: Mapping[str, str]) -> None:
    """Print each traceback once, under the runs that have it."""
    runs_of: dict[str, list[str]] = {}
    for run_id, text in texts.items():
        if text:
            runs_of.setdefault(text, []).append(run_id)
    for text, run_ids in runs_of.items():
        say(f"\n{', '.join(run_ids)}:\n{text.rstrip()}")


def cancel(results: ResultsPath = "results", as_json: Json = False) -> None:
    """Stop the study that is running in RESULTS; packs in training save their state first.

    Works from any terminal and machine that can write the results. The study goes on with the same
    `symstudy run`.

    Example: `symstudy cancel results/digits`
    """
    from symstudy.launch import may_be_alive, read_lease, request_stop
    from symstudy.store import find_studies

    asked = []
    for folder in find_studies([results]):
        lease = read_lease(folder)
        if lease is not None:
            request_stop(folder, lease.launch, "cancelled from another terminal")
            asked.append((folder, lease))
    deadline = time.monotonic() + CANCEL_S
    rows: list[dict[str, Any]] = []
    for folder, lease in asked:
        while (now := read_lease(folder)) is not None and now.launch == lease.launch:
            if time.monotonic() > deadline or not may_be_alive(lease):
                break
            time.sleep(0.2)
        has_ended = now is None or now.launch != lease.launch or not may_be_alive(lease)
        rows.append({"study": folder.name, "driver": lease.driver, "ended": has_ended})
    if as_json:
        print_json(rows)
        return
    if not rows:
        note(f"{results}: no study is running here; nothing to cancel")
    for row in rows:
        word = "stopped" if row["ended"] else f"asked to stop, but not gone in {CANCEL_S:.0f} s"
        note(printable_line(f"{row['study']}: {word} ({row['driver']})"))


def retry(
    results: ResultsPath = "results",
    where: Where = None,
    as_json: Json = False,
) -> None:
    """Take failed runs back, so that the next `symstudy run` trains them again.

    The runs are missing then; their rows are kept in the folder `taken_back`.

    Examples: `symstudy retry results/digits`;
    `symstudy retry results --where "outcome = 'out_of_memory'"`
    """
    from symstudy.store import find_studies, open_store, take_back

    found = open_store(results).sql(
        "select study, run_id, pack_id, outcome, reason from runs "  # noqa: S608  # read-only
        f"where outcome not in ('done', 'stopped') and ({where or 'true'}) order by all"
    )
    counts: dict[tuple[str, str, str], int] = {}
    for study, _, _, outcome, reason in found.rows:
        key = (study, outcome, reason or "")
        counts[key] = counts.get(key, 0) + 1
    for folder in find_studies([results]):
        pairs = [(row[1], row[2]) for row in found.rows if row[0] == folder.name]
        if pairs:
            take_back(folder, pairs)
    rows = [
        {"study": study, "outcome": outcome, "reason": reason, "runs": count}
        for (study, outcome, reason), count in counts.items()
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        note(f"{results}: no failed run{' like this' if where else ''}; nothing to retry")
        return
    for row in rows:
        why = f"{row['outcome']}: {row['reason']}"
        note(printable_line(f"{row['study']}: {row['runs']} runs taken back ({why})"))
    note("Train them with the same `symstudy run` as before.")


def drop(
    results: ResultsPath = "results",
    never_trained: Annotated[
        bool,
        typer.Option(
            "--never-trained",
            help="Runs without a row or a saved state that the last launch did not ask for.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be dropped, and drop nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take planned runs that an earlier form of a study has left out of its plan.

    Runs that have rows stay, failed ones too: `symstudy retry` takes those back first. A run that
    the study still asks for is planned again by the next `symstudy run`.

    Examples: `symstudy drop results --never-trained --dry-run`;
    `symstudy drop results/digits --never-trained`
    """
    from symstudy.launch import may_be_alive, read_lease
    from symstudy.store import drop_planned, find_studies
    from symstudy.store import never_trained as find_never_trained

    if not never_trained:
        raise UserError(
            "drop must be told what to drop. Type: symstudy drop RESULTS --never-trained"
        )
    rows: list[dict[str, Any]] = []
    for folder in find_studies([results]):
        lease = read_lease(folder)
        if lease is not None and may_be_alive(lease):
            raise UserError(
                f"drop must wait until no launch trains {folder.name!r}, but {lease.driver} does. "
                f"Type: symstudy cancel {shlex.quote(folder.location)}"
            )
        runs = find_never_trained(folder)
        count = len(runs) if dry_run else drop_planned(folder, runs)
        rows.append({"study": folder.name, "runs": count, "dropped": not dry_run})
    if as_json:
        print_json(rows)
        return
    word = "would be dropped" if dry_run else "dropped"
    for row in rows:
        note(f"{row['study']}: {row['runs']} planned runs that never trained {word}")
