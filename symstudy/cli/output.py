"""How commands print: data on stdout, everything else on stderr.

Everything that a command prints goes through this file. Names, reasons and tracebacks may be
somebody else's text, which must not change what a terminal shows: `symstudy.escaping`.
"""

import shutil
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import typer

from symstudy.escaping import printable, printable_line
from symstudy.identity import valid_json

__all__ = ["note", "print_crash", "print_data", "print_json", "print_table", "say", "table_text"]

TEXT_WIDTH = 24
"""Characters that a column of words gets at least on a terminal, where its words are wrapped."""
WORD_WIDTH = 40
"""Longest word that is never broken on a terminal, such as an identifier."""
GAP = "  "
REMEDY = "put this behind the command: | less -S"


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
    """Print `value` as JSON: NaN and infinity are null, and all that is not ASCII is escaped."""
    typer.echo(valid_json(value, indent=2).replace("\x7f", "\\u007f"))


def print_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of an error that nobody has foreseen, to stderr: a `sys.excepthook`."""
    note("".join(traceback.format_exception(kind, error, trace)).rstrip())


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, remedy: str = REMEDY
) -> None:
    """Print rows under headings, one a line.

    Off a terminal every value is there in full, on the row's own line. On a terminal, columns of
    words are wrapped, columns that do not fit are left out, and stderr says which.

    Args:
        columns: Headings.
        rows: Values, one a heading.
        remedy: How to see the columns that are left out.
    """
    if not sys.stdout.isatty():
        typer.echo(table_text(columns, rows), nl=False)
        return
    heads, texts = texts_of(columns, rows)
    left_out = print_on_terminal(heads, texts, right_aligned(rows, len(heads)))
    if left_out:
        note(
            f"{len(left_out)} of {len(heads)} columns do not fit this terminal: "
            f"{', '.join(left_out)}. To see them, {remedy}"
        )


def table_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as aligned text, each column as wide as its longest; numbers to the right."""
    from rich.cells import cell_len

    heads, texts = texts_of(columns, rows)
    widths = widths_of(heads, texts)
    is_right = right_aligned(rows, len(heads))
    lines = []
    for row in (heads, *texts):
        parts = []
        for text, width, is_number in zip(row, widths, is_right, strict=True):
            padding = " " * (width - cell_len(text))
            parts.append(padding + text if is_number else text + padding)
        lines.append(GAP.join(parts).rstrip())
    return "\n".join([*lines, ""])


def texts_of(
    columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[list[str], list[list[str]]]:
    """Return headings and values as texts of one line each."""
    heads = [show(column) for column in columns]
    return heads, [[show(value) for value in row] for row in rows]


def right_aligned(rows: Sequence[Sequence[Any]], count: int) -> list[bool]:
    """Return for each of `count` columns whether it holds numbers alone."""
    return [
        bool(rows) and all(isinstance(row[place], int | float | None) for row in rows)
        for place in range(count)
    ]


def print_on_terminal(
    heads: Sequence[str], texts: Sequence[Sequence[str]], is_number: Sequence[bool]
) -> Sequence[str]:
    """Print the columns that fit the terminal, and return the headings of those that do not."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = shutil.get_terminal_size().columns
    shown = num_fitting(heads, texts, width)
    table = Table(box=box.SIMPLE_HEAD)
    is_words = [is_wrapped(column_of(texts, place)) for place in range(shown)]
    for place in range(shown):
        table.add_column(
            Text(heads[place]),
            justify="right" if is_number[place] else "left",
            overflow="fold",
            no_wrap=not is_words[place],
        )
    for row in texts:
        table.add_row(*(Text(text) for text in row[:shown]))
    console = Console(width=width, force_terminal=True)
    console.print(table)
    return heads[shown:]


def num_fitting(heads: Sequence[str], texts: Sequence[Sequence[str]], width: int) -> int:
    """Return how many of the first columns fit; at least one."""
    needed, place = 2, 0
    for place, longest in enumerate(widths_of(heads, texts)):
        if is_wrapped(column_of(texts, place)):
            needed += min(longest, max(TEXT_WIDTH, len(heads[place]))) + len(GAP)
        else:
            needed += longest + len(GAP)
        if needed > width:
            return max(1, place)
    return len(heads)


def is_wrapped(texts: Sequence[str]) -> bool:
    """Return whether a column holds words, or longer texts than a terminal can keep whole."""
    return any(" " in text or len(text) > WORD_WIDTH for text in texts)


def widths_of(heads: Sequence[str], texts: Sequence[Sequence[str]]) -> list[int]:
    """Return how many characters wide the longest text of each column is."""
    from rich.cells import cell_len

    return [
        max(map(cell_len, (head, *column_of(texts, place)))) for place, head in enumerate(heads)
    ]


def column_of(texts: Sequence[Sequence[str]], place: int) -> list[str]:
    """Return the texts of one column."""
    return [row[place] for row in texts]


def show(value: Any) -> str:
    """Return a value as the text of a table's cell: numbers to six digits, None as empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable_line(str(value))
