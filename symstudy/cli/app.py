"""The program `symstudy`: its commands, and how it ends.

Exit status: 0 done, 1 some runs failed, 2 something the user can mend, 130 interrupted.
"""

import errno
import gc
import importlib.metadata
import os
import sys
from typing import Annotated

import typer

from symstudy.cli import (
    claims,
    compact,
    control,
    explore,
    fit,
    import_study,
    init,
    plot,
    provenance,
    replicate,
    results,
    run,
    studies,
    submit,
    symmetries,
)
from symstudy.cli.output import note, print_crash, say
from symstudy.errors import UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="symstudy",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Test theories of deep learning on thousands of packed trainings.\n\n"
        "A study file says what to train; `run` trains it in packs on Ray Tune; results land in "
        "Parquet; "
        "`query` reads them with SQL; `analyze` tests the study's claims; `plot` and `report` show "
        "them."
    ),
    epilog="Start with: `symstudy list studies`, then `symstudy run smoke`.",
)
studies.add_commands(app)
import_study.add_commands(app)
symmetries.add_commands(app)
init.add_commands(app)
run.add_commands(app)
submit.add_commands(app)
results.add_commands(app)
explore.add_commands(app)
control.add_commands(app)
compact.add_commands(app)
claims.add_commands(app)
plot.add_commands(app)
fit.add_commands(app)
replicate.add_commands(app)
provenance.add_commands(app)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that is full, of a quota, or of a limit on the size of files."""


def print_version(value: bool) -> None:
    """Print the version and end, if asked to."""
    if value:
        say(importlib.metadata.version("symstudy"))
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Test theories of deep learning on thousands of packed trainings."""
    del version


def main() -> None:
    """Run the program and end with its exit status."""
    sys.excepthook = print_crash
    # Modules are full of cycles that live as long as the program: to look for garbage among them
    # takes a fifth of the time until a command begins.
    gc.set_threshold(100_000, 50, 100)
    try:
        app(sys.argv[1:] or ["--help"], standalone_mode=True)
    except UserError as error:
        note(f"symstudy: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away, as `head` does; that is no mistake of anyone's.
        discard_output()
        sys.exit(0)
    except OSError as error:
        if error.errno not in FULL:
            raise
        discard_output()
        note(
            f"symstudy: what is printed must be written whole, but the disk says {error.strerror}. "
            "Free some space, or write it elsewhere."
        )
        sys.exit(2)


def discard_output() -> None:
    """Let what is still to be printed go nowhere, as Python would fail on it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
