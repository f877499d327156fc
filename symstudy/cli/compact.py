"""The command that merges small files of results."""

from typing import Annotated

import typer

from symstudy.cli.options import Json, ResultsPath
from symstudy.cli.output import note, print_json, print_table

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Results")(compact)


def compact(
    results: ResultsPath = "results",
    grace: Annotated[
        float,
        typer.Option(
            "--grace",
            metavar="SECONDS",
            min=0,
            help="Delete the old files once the merged ones are so old; 0 for at once.",
        ),
    ] = 600.0,
    as_json: Json = False,
) -> None:
    """Merge the small files of results into few: thousands of packs then open in a moment.

    Every row stays, once, also if this is killed, while a study runs and while queries read. Old
    files are deleted by a later `symstudy compact`, or by the next `symstudy run`, when the time of
    grace is over. Packs of which all runs have failed keep their files, since they may be retried.

    Examples: `symstudy compact results/digits`; `symstudy compact results --grace 0`
    """
    from symstudy.store import find_studies
    from symstudy.store.files.compaction import compact as compact_folder

    done = [compact_folder(folder, grace_s=grace) for folder in find_studies([results])]
    if as_json:
        print_json([{**item._asdict(), "skipped": list(item.skipped)} for item in done])
        return
    print_table(
        ("study", "files before", "files now", "merged", "deleted", "to delete later"),
        [
            (
                item.study,
                item.files_before,
                item.files_after,
                item.merged,
                item.deleted,
                item.waiting,
            )
            for item in done
        ],
    )
    for item in done:
        if item.waiting:
            note(
                f"{item.study}: the {item.waiting} old files are no longer read; delete them with "
                f"`symstudy compact {results}` in {grace:.0f} s."
            )
        if item.skipped:
            note(
                f"{item.study}: {len(item.skipped)} packs are damaged or incomplete and were left "
                f"as they are: {', '.join(item.skipped[:3])}. Run the study again to mend them."
            )
