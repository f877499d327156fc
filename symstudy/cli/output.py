"""How commands print: data on stdout, everything else on stderr."""

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

import typer

__all__ = ["note", "print_json", "print_table", "printable"]


def note(message: str) -> None:
    """Print a message for a person, to stderr."""
    typer.echo(printable(message), err=True)


def printable(text: str) -> str:
    """Return `text` without control characters other than line ends and tabs.

    Text of others, such as a traceback in results that were shared, must not change a terminal.
    """
    kept = ("\n", "\t")
    return "".join(c for c in text if c in kept or unicodedata.category(c) not in ("Cc", "Cf"))


def print_json(value: Any) -> None:
    """Print `value` as JSON."""
    typer.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
    """Print rows under headings, in full: on a terminal with lines, elsewhere as aligned text."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(
        title=title or None, title_justify="left", box=lines() if console.is_terminal else None
    )
    for place, column in enumerate(columns):
        numbers = all(isinstance(row[place], int | float) or row[place] is None for row in rows)
        table.add_column(column, justify="right" if numbers and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*(show(value) for value in row))
    if not console.is_terminal:
        # As wide as it has to be: a pipe has no edge.
        console = Console(width=max(80, console.measure(table).maximum), soft_wrap=True)
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
    return printable(str(value))
