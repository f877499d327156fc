"""The interactive SQL shell, with history and completion of names."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from symstudy.cli.output import note, print_table, say
from symstudy.errors import UserError
from symstudy.store import Store, open_store

__all__ = ["interact"]

KEYWORDS = {
    *("select", "from", "where", "group by all", "order by", "limit", "having", "join", "using"),
    *("left", "distinct", "case", "when", "then", "else", "end", "as", "and", "or", "not", "null"),
    *("is", "in", "between", "like", "with", "describe"),
    *("avg", "count", "sum", "min", "max", "median", "quantile_cont", "stddev_samp"),
}
HELP = "End a statement with ; or an empty line. \\d lists tables, \\d NAME columns, \\q ends."


def interact(results: str, *, memory: str = "4GB", timeout_s: float = 600.0) -> None:
    """Read and answer statements until the user ends it; each sees the files there are then."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.lexers import PygmentsLexer
    from pygments.lexers.sql import SqlLexer

    open_again = partial(open_store, results, memory=memory, timeout_s=timeout_s)
    store = open_again()
    columns = store.columns()
    words = sorted({*columns, *(name for names in columns.values() for name in names), *KEYWORDS})
    history = Path(os.environ.get("SYMSTUDY_HISTORY", Path.home() / ".symstudy_history"))
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)),
        completer=WordCompleter(words, ignore_case=True),
        lexer=PygmentsLexer(SqlLexer),
        complete_while_typing=False,
    )
    studies = ", ".join(folder.name for folder in store.folders)
    note(f"Read-only SQL on {studies}. {HELP}")
    statement = ""
    while True:
        try:
            line = session.prompt("sql> " if not statement else "...> ")
        except KeyboardInterrupt:
            statement = ""
            continue
        except EOFError:
            return
        if not statement and line.strip() in ("\\q", "exit", "quit"):
            return
        if not statement and line.strip().startswith("\\d"):
            describe(store, line.strip()[2:].strip())
            continue
        statement = f"{statement}\n{line}".strip()
        if statement and (statement.endswith(";") or not line.strip()):
            answer(open_again, statement.rstrip(";"))
            statement = ""


def describe(store: Store, table: str) -> None:
    """Print the tables, or the columns of one."""
    columns = store.columns()
    if not table:
        print_table(("table", "columns"), [(name, len(names)) for name, names in columns.items()])
    elif table in columns:
        say(", ".join(columns[table]))
    else:
        note(f"There is no table {table!r}; there are {', '.join(columns)}.")


def answer(open_again: Callable[[], Store], statement: str) -> None:
    """Print the rows of one statement, or why there are none."""
    try:
        found = open_again().sql(statement)
    except UserError as error:
        note(str(error))
        return
    print_table(found.columns, found.rows, remedy="name fewer columns.")
    note(f"{len(found.rows)} rows")
