"""The command that says where results come from: launches, packages, changes, code, hours."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from symstudy.cli.options import Json, ResultsPath
from symstudy.cli.output import note, print_data, print_json, print_table, say
from symstudy.errors import UserError
from symstudy.escaping import printable

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Results")(provenance)


def provenance(
    results: ResultsPath = "results",
    launch: Annotated[
        str | None,
        typer.Option(
            metavar="LAUNCH",
            help="The launch meant; the last one if not given.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Print what the launch ran: packages.txt, changes.diff or sources/FILE.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Write all of it to a new folder.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where results come from: launches, commits, packages, code, and hours a claim.

    Of every launch the installed packages, the uncommitted changes and the user's own modules are
    kept with the results. `-o` writes them, to train the same again: check out the commit,
    `git apply changes.diff`, `pip install -r packages.txt`.

    Examples: `symstudy provenance results`; `symstudy provenance results/digits -o then`;
    `symstudy provenance results/digits --show changes.diff`
    """
    from symstudy.store import find_studies, open_store, worker_times

    folders = find_studies([results])
    if show is not None or output is not None:
        folder, record = find_launch(folders, launch, results)
        if show is not None:
            print_data(printable(record.text(folder, show).decode(errors="replace")))
        if output is not None:
            write_texts(record.texts(folder), output)
        return
    launches = [record for _, record in launches_of(folders, launch)]
    times = worker_times(open_store(results))
    if as_json:
        print_json(
            {
                "launches": [record._asdict() for record in launches],
                "claims": [time._asdict() for time in times],
            }
        )
        return
    print_table(
        (
            "study",
            "launch",
            "at (UTC)",
            "new runs",
            "commit",
            "changes",
            "own files",
            "versions",
            "host",
        ),
        [
            (
                record.study,
                record.launch,
                record.at,
                record.new_runs,
                record.commit[:12],
                changes_words(record),
                len(record.sources),
                ", ".join(f"{name} {version}" for name, version in record.versions.items()),
                record.host,
            )
            for record in launches
        ],
    )
    say("")
    print_table(
        ("study", "claim", "runs", "worker hours"),
        [(time.study, time.claim, time.runs, f"{time.hours:.3g}") for time in times],
    )


def changes_words(record: Any) -> str:
    """Return what there is of uncommitted changes of a launch."""
    if record.changes:
        return "kept"
    if record.changes_left_out:
        return f"not kept: {record.changes_left_out / 1e6:.0f} MB"
    if record.is_dirty:
        return "not kept"
    return "" if record.is_dirty is None else "none"


def launches_of(folders: Any, launch: str | None) -> list[tuple[Any, Any]]:
    """Return folder and record of the launches of `folders`, or of the one that is named."""
    from symstudy.store import read_launches

    return [
        (folder, record)
        for folder in folders
        for record in read_launches(folder)
        if launch in (None, record.launch)
    ]


def find_launch(folders: Any, launch: str | None, results: str) -> tuple[Any, Any]:
    """Return the folder and the record of the launch that is meant.

    Raises:
        UserError: If there is none, or several studies and none was named.
    """
    found = launches_of(folders, launch)
    if not found:
        raise UserError(
            f"--launch must name a launch of {results!r}, but there is no {launch!r}. Type "
            f"`symstudy provenance {shlex.quote(results)}` to see them."
            if launch
            else f"{results!r} must hold a launch, but its study.json names none."
        )
    if launch is None and len({folder.path for folder, _ in found}) > 1:
        raise UserError(
            f"one study must be meant, but {results!r} holds {len(folders)}. Name its folder, as "
            f"in `symstudy provenance {shlex.quote(found[0][0].path)} ...`, or a launch by "
            "--launch."
        )
    return found[-1]


def write_texts(texts: dict[str, bytes], output: Path) -> None:
    """Write what a launch ran to a new folder.

    Raises:
        UserError: If the folder is there already, or a path of a file would lie outside.
    """
    if output.exists():
        raise UserError(f"-o must name a new folder, but there is {str(output)!r} already.")
    places = {file: output / file for file in texts}
    for file, place in places.items():
        if not place.resolve().is_relative_to(output.resolve()):
            raise UserError(
                f"files of a launch must lie in one folder, but study.json names {file!r}: it was "
                "not written by symstudy, or was changed since."
            )
    for file, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(texts[file])
    note(f"wrote {len(texts)} files to {output}")
