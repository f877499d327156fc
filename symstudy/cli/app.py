"""The program `symstudy`: its commands, and how it ends.

Exit status: 0 done, 1 some runs failed, 2 something the user can mend, 130 interrupted.
"""

import errno
import gc
import os
import sys
from typing import Annotated, Any

import typer

from symstudy.cli.commands import MARKUP, ProgramGroup
from symstudy.cli.output import note, print_crash, say
from symstudy.errors import UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="symstudy",
    cls=ProgramGroup,
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
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


CommandLineError: Any = typer.BadParameter.__bases__[0]
"""What typer raises for a command line that it cannot read; it has no public name of its own."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that is full, of a quota, or of a limit on the size of files."""


def print_version(value: bool) -> None:
    """Print the version and end, if asked to."""
    if value:
        import importlib.metadata

        say(importlib.metadata.version("symstudy"))
        raise typer.Exit


def without_color(value: bool) -> None:
    """Have nothing that is printed coloured, as the variable NO_COLOR does."""
    if value:
        os.environ["NO_COLOR"] = "1"


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            callback=without_color,
            is_eager=True,
            help="Print without colours, as NO_COLOR=1 does.",
        ),
    ] = False,
) -> None:
    """Test theories of deep learning on thousands of packed trainings."""
    del version, no_color


def main() -> None:
    """Run the program and end with its exit status."""
    sys.excepthook = print_crash
    # Modules are full of cycles that live as long as the program: to look for garbage among them
    # takes a fifth of the time until a command begins.
    gc.set_threshold(100_000, 50, 100)
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except CommandLineError as error:
        note(f"symstudy: {told(error)}")
        sys.exit(2)
    except typer.Abort:
        note("symstudy: ended, since a question had no answer")
        sys.exit(1)
    except UserError as error:
        note(f"symstudy: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away, as `head` does; that is no mistake of anyone's.
        discard_output()
        sys.exit(0)
    except PermissionError as error:
        note(
            "symstudy: what a command reads must be readable for you, and its folder writable, but "
            f"the system says: {error}. Change its permissions, or name another place."
        )
        sys.exit(2)
    except OSError as error:
        if error.errno not in FULL:
            raise
        discard_output()
        note(
            f"symstudy: what is printed must be written whole, but the disk says {error.strerror}. "
            "Free some space, or write it elsewhere."
        )
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)


def told(error: Any) -> str:
    """Return what is wrong with a command line, and what to type."""
    command = error.ctx.command_path if error.ctx else "symstudy"
    message = error.format_message().strip()
    ended = message if message.endswith((".", "?")) else f"{message}."
    return f"{ended} To see what there is, type: {command} --help"


def discard_output() -> None:
    """Discard output that is still buffered: at its end Python would fail to write it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
