"""Commands about results: status, verify, query."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from symstudy.cli.options import Json, ResultsPath
from symstudy.cli.output import note, print_data, print_json, print_table, say, table_text
from symstudy.errors import UserError, unknown_name
from symstudy.escaping import printable_line

__all__ = ["add_commands"]

WATCH_S = 2.0
FORMATS = ("table", "csv", "json", "jsonl", "parquet")
ENDINGS = {
    ".txt": "table",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
}
"""Format of a file by its ending."""
STANDARD_INPUT = "-"
MOST_LOST = 4
"""Lost texts that are named."""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(rich_help_panel="Results")(status)
    app.command(rich_help_panel="Results")(verify)
    app.command(rich_help_panel="Results")(query)


def status(
    results: ResultsPath = "results",
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again and again until no study runs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how many runs are planned, done, failed and missing, why they failed, and what runs now.

    Works from any terminal while a study runs: progress comes through the results folder.

    Examples: `symstudy status results`; `symstudy status results/digits --watch`
    """
    from symstudy.store import find_studies, open_store, read_account

    while True:
        folders = find_studies([results])
        drivers = [read_driver(folder) for folder in folders]
        accounts = read_account(open_store(results))
        left = [
            count_left(folder, account, driver)
            for folder, account, driver in zip(folders, accounts, drivers, strict=True)
        ]
        if as_json:
            print_json(
                [
                    {**status_row(account, driver), "earlier_form": count}
                    for account, driver, count in zip(accounts, drivers, left, strict=True)
                ]
            )
        else:
            print_accounts(accounts, drivers)
            print_left(folders, accounts, left)
        if not watch or not any(drivers):
            return
        time.sleep(WATCH_S)


def count_left(folder: Any, account: Any, driver: Any) -> int:
    """Return how many planned runs of an earlier form of a study never trained."""
    from symstudy.store import never_trained

    return len(never_trained(folder)) if account.missing and driver is None else 0


def print_left(folders: Any, accounts: Any, left: list[int]) -> None:
    """Say how many planned runs earlier forms of the studies have left, and how to drop them."""
    from symstudy.launch import drop_advice

    for folder, account, count in zip(folders, accounts, left, strict=True):
        if count:
            note(f"{account.study}: {drop_advice(count, folder.location)}")


def read_driver(folder: Any) -> dict[str, Any] | None:
    """Return the driver that runs a study now and its progress; None if none does."""
    from symstudy.launch import may_be_alive, read_lease, read_progress

    lease = read_lease(folder)
    if lease is None or not may_be_alive(lease):
        return None
    return {"driver": lease.driver, "progress": read_progress(folder, lease.launch)}


def status_row(account: Any, driver: dict[str, Any] | None) -> dict[str, Any]:
    """Return the counts of a study, and its driver, for programs."""
    return {
        "study": account.study,
        **account.counts(),
        "reasons": [
            {"outcome": outcome, "reason": reason, "runs": count}
            for (outcome, reason), count in account.failed.items()
        ],
        "running": driver,
    }


def print_accounts(accounts: Any, drivers: list[dict[str, Any] | None]) -> None:
    """Print counts, failures by reason, and what runs now."""
    from symstudy.cli.progress import progress_text
    from symstudy.launch.progress import parse_snapshot

    rows = [
        (
            account.study,
            account.planned,
            account.done,
            account.stopped,
            account.num_failed,
            account.missing,
            "running" if driver else "",
        )
        for account, driver in zip(accounts, drivers, strict=True)
    ]
    print_table(("study", "planned", "done", "stopped early", "failed", "missing", "now"), rows)
    for account, driver in zip(accounts, drivers, strict=True):
        study = printable_line(account.study)
        for (outcome, reason), count in account.failed.items():
            note(f"{study}: {count} runs {outcome}: {printable_line(reason)}")
        if driver:
            snapshot = parse_snapshot(driver["progress"] or {})
            text = progress_text(snapshot) if snapshot else "starting"
            note(f"{study}: {printable_line(driver['driver'])}: {text}")


def verify(results: ResultsPath = "results", as_json: Json = False) -> None:
    """Prove that every planned run has ended, once, with all its rows; read every file through.

    Exit status 0 if that is proven, 1 if runs are missing or failed, 2 if something is wrong.
    """
    from symstudy.store import find_studies, folder_labels
    from symstudy.store import verify as verify_folder

    folders = find_studies([results])
    found = [verify_folder(folder) for folder in folders]
    for place, label in enumerate(folder_labels(folders)):
        found[place] = found[place]._replace(account=found[place].account._replace(study=label))
    if as_json:
        print_json(
            [
                {
                    "study": item.account.study,
                    **item.account.counts(),
                    "twice": item.twice,
                    "unplanned": item.unplanned,
                    "incomplete": item.incomplete,
                    "damaged": item.damaged,
                    "unknown_cells": item.unknown_cells,
                    "lost": item.lost,
                    "untold": item.untold,
                    "certificate": certificate_row(item.certificate),
                    "proven": item.is_proven,
                }
                for item in found
            ]
        )
    else:
        for item in found:
            for line in verified_lines(item):
                say(line)
    for folder, item in zip(folders, found, strict=True):
        for warning in warnings_of(folder, item):
            note(printable_line(f"{item.account.study}: warning: {warning}"))
        for sentence in item.untold:
            note(printable_line(f"{item.account.study}: older results: {sentence}"))
    if not all(item.is_consistent for item in found):
        raise typer.Exit(2)
    if not all(item.is_proven and item.account.num_failed == 0 for item in found):
        raise typer.Exit(1)


def verified_lines(item: Any) -> Iterator[str]:
    """Yield what `verify` says of a study for a person."""
    account = item.account
    study = printable_line(account.study)
    if item.damaged:
        yield f"{study}: {len(item.damaged)} damaged files: {', '.join(item.damaged)}"
        return
    word = "proven" if item.is_proven else "not proven"
    yield (
        f"{study}: {word}: {account.planned} planned = {account.done} done + "
        f"{account.stopped} stopped + {account.num_failed} failed + "
        f"{account.missing} missing, {len(item.twice)} twice, {len(item.unplanned)} "
        f"unplanned, {len(item.incomplete)} packs incomplete"
    )
    for sentence in item.lost:
        yield f"{study}: {printable_line(sentence)}"
    if not account.planned:
        yield (
            f"{study}: nothing is planned, so nothing is proven: the plan is lost, or no run was "
            "planned yet. Run the study again: it is written down again."
        )
    if item.unknown_cells:
        yield (
            f"{study}: {len(item.unknown_cells)} planned cells without their hyperparameters. Run "
            "the study again: they are written down again."
        )


def certificate_row(certificate: Any) -> dict[str, Any] | None:
    """Return the verdict on packs for programs; None where no run was trained alone."""
    if certificate is None or not certificate.runs:
        return None
    return {**certificate._asdict(), "holds": certificate.holds}


def warnings_of(folder: Any, item: Any) -> Iterator[str]:
    """Yield what `verify` warns of in a study, whose rows are all there all the same."""
    from symstudy.store.tables.launches import lost_texts

    if item.certificate is not None and not item.certificate.holds:
        yield certificate_warning(item.certificate)
    if lost := lost_texts(folder):
        yield lost_warning(lost)


def certificate_warning(certificate: Any) -> str:
    """Return the sentence that tells of packs whose numbers are not those of runs alone."""
    return (
        f"{certificate.outside} final measures of runs that were trained once more alone deviate "
        f"from their packs by more than they may; the worst is {certificate.measure} of run "
        f"{certificate.run_id}, by {certificate.relative:.2g} relative where "
        f"{certificate.tolerance:g} is allowed. They are the table `certificates` of "
        "`symstudy query`."
    )


def lost_warning(lost: Sequence[str]) -> str:
    """Return the sentence that tells of lost texts on what launches ran: no row depends on them."""
    return (
        f"{len(lost)} of the texts that say what its launches ran are lost or have changed since: "
        f"{', '.join(lost[:MOST_LOST])}{', ...' if len(lost) > MOST_LOST else ''}. No row "
        "depends on them; `symstudy provenance` refuses what has changed."
    )


def query(
    results: ResultsPath = "results",
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="[SQL]",
            help="One SELECT statement, - for standard input; an interactive shell if not given.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="How to print the rows; by the ending of the file, or else a table.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write to: .csv, .json, .jsonl, .parquet or .txt.",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="Memory that the query may use, as in 16GB.")
    ] = "4GB",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time that the query may take.")
    ] = 600.0,
    as_json: Json = False,
) -> None:
    """Query results with SQL: read-only, over one study or several, also while they run.

    Tables: runs, history, layers, cells, count_curve, certificates, planned, missing.

    Example: `symstudy query results "select width, gamma, avg(test_loss) from runs group by all"`
    """
    from symstudy.store import open_store

    if as_json and form not in (None, "json"):
        raise UserError(f"--json is --format json, but --format {form} is given. Leave one out.")
    form = pick_format("json" if as_json else form, output)
    if sql is None and sys.stdin.isatty():
        from symstudy.cli.shell import interact

        interact(results, memory=memory, timeout_s=timeout)
        return
    text = sys.stdin.read() if sql in (None, STANDARD_INPUT) else str(sql)
    table = open_store(results, memory=memory, timeout_s=timeout).arrow(text)
    write_rows(table, form, output)


def pick_format(form: str | None, output: Path | None) -> str:
    """Return how rows are to be written: as was asked for, or by the ending of the file.

    Raises:
        UserError: If there is no such format, it is not that of the file's ending, or neither is
            known.
    """
    if form is not None and form not in FORMATS:
        raise unknown_name("--format", form, FORMATS)
    if output is None:
        if form == "parquet":
            raise UserError(
                "--format parquet must have a file to write to. Type --output rows.parquet."
            )
        return form or "table"
    by_ending = ENDINGS.get(output.suffix.lower())
    if form is None and by_ending is None:
        raise UserError(
            f"--output must end in {', '.join(ENDINGS)}, or be given a --format, but got "
            f"{str(output)!r}. Type --format csv."
        )
    if form is not None and by_ending not in (None, form):
        raise UserError(
            f"--output must end as --format {form} does, but got {str(output)!r}. Leave --format "
            f"out, or type --output {output.with_suffix(ending_of(form))}."
        )
    return form or str(by_ending)


def ending_of(form: str) -> str:
    """Return the ending of files of a format."""
    return next(ending for ending, its in ENDINGS.items() if its == form)


def write_rows(table: Any, form: str, output: Path | None) -> None:
    """Print rows, or write them to a file."""
    from symstudy.store.tables.answers import distinct_names
    from symstudy.store.tables.export import (
        to_csv,
        to_json,
        to_json_lines,
        to_parquet,
        write_file,
    )

    names = distinct_names(table.column_names)
    renamed = [new for new, old in zip(names, table.column_names, strict=True) if new != old]
    if renamed:
        note(
            f"Columns of one name are told apart: {', '.join(renamed)}. Name them with `as`, or "
            "join with `using`."
        )
        table = table.rename_columns(names)
    columns = [column.to_pylist() for column in table.columns] if form == "table" else []
    rows = list(zip(*columns, strict=True))
    if form == "table" and output is None:
        print_table(table.column_names, rows)
        return
    if form == "table":
        content: str | bytes = table_text(table.column_names, rows)
    elif form == "parquet":
        content = to_parquet(table)
    elif form == "json":
        content = to_json(table)
    elif form == "jsonl":
        content = to_json_lines(table)
    else:
        content, quoted = to_csv(table)
        if quoted:
            note(
                f"{quoted} texts that a spreadsheet would run as formulas begin with ' in this "
                "CSV; --format json and parquet have them as they are"
            )
    if output is None:
        print_data(str(content))
    else:
        write_file(content.encode() if isinstance(content, str) else content, output)
        note(f"{table.num_rows} rows in {output}")
