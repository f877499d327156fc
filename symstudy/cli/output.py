"""How commands print: data on stdout, everything else on stderr.

Everything that a command prints goes through this file. Names, reasons and tracebacks may be
somebody else's text, which must not change what a terminal shows: `symstudy.escaping`.
"""

import json
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import typer

from symstudy.escaping import printable, printable_line

__all__ = ["note", "print_crash", "print_data", "print_json", "print_table", "say"]


WIDEST = 1_000_000
"""Characters of a line of a table, at most."""


def say(text: str, *, end: str = "\n") -> None:
    """Print text for a person, to stdout."""
    typer.echo(f"{printable(text)}{end}", nl=False)


def note(message: str) -> None:
    """Print a message for a person, to stderr."""
    typer.echo(printable(message), err=True)


def print_data(text: str) -> None:
    """Print text for a program as it is; what cannot be seen is escaped on a terminal alone."""
    typer.echo(printable(text) if sys.stdout.isatty() else text, nl=False)


def print_json(value: Any) -> None:
    """Print `value` as JSON, in which all that is not ASCII is escaped."""
    text = json.dumps(value, indent=2, default=str)
    typer.echo(text.replace("\x7f", "\\u007f"))


def print_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of an error that nobody has foreseen, to stderr: a `sys.excepthook`."""
    note("".join(traceback.format_exception(kind, error, trace)).rstrip())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
    """Print rows under headings, in full: on a terminal with lines, elsewhere as aligned text."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    # Texts, and not strings: in those, [model] is a style.
    heading = Text(printable_line(title)) if title else None
    table = Table(title=heading, title_justify="left", box=lines() if console.is_terminal else None)
    for place, column in enumerate(columns):
        numbers = all(isinstance(row[place], int | float) or row[place] is None for row in rows)
        side: Any = "right" if numbers and rows else "left"
        table.add_column(Text(printable_line(column)), justify=side, overflow="fold")
    for row in rows:
        table.add_row(*(Text(show(value)) for value in row))
    if not console.is_terminal:
        # As wide as it has to be: a pipe has no edge.
        needed = Console(width=WIDEST).measure(table).maximum
        console = Console(width=max(80, needed), soft_wrap=True)
    console.print(table)


def lines() -> Any:
    """Return the border style of tables on a terminal."""
    from rich import box

    return box.SIMPLE_HEAD


def show(value: Any) -> str:
    """Return a value as the text of a table's cell: numbers to six digits, None as empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable_line(str(value))
