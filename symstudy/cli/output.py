"""How commands print: data on stdout, everything else on stderr."""

import json
from collections.abc import Sequence
from typing import Any

import typer

__all__ = ["note", "print_json", "print_table"]


def note(message: str) -> None:
    """Tell a person something that is not data."""
    typer.echo(message, err=True)


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
    """Return the lines of tables on a terminal."""
    from rich import box

    return box.SIMPLE_HEAD


def show(value: Any) -> str:
    """Return a value as text: numbers to six digits, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
