"""Columns of results that a figure names: found in the view that has them all, or refused."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from symstudy.errors import QueryError, UnknownNameError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VIEWS", "Columns", "Source", "has_numbers", "read_columns", "resolve"]

VIEWS = ("runs", "history", "layers", "count_curve")
"""Views that figures are drawn from: the first that has all columns that are named."""
NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "REAL", "BOOLEAN", "HUGEINT")
LISTED = 'symstudy query RESULTS "from (describe {view})"'


class Named(Protocol):
    """A hyperparameter."""

    @property
    def name(self) -> str:
        """Its column."""


class Source(Protocol):
    """Read-only SQL over results, as `symstudy.store.Store` gives it.

    It has the views of `VIEWS` and `missing`, and answers the same until rows are added.
    """

    queries: list[str]

    @property
    def fingerprint(self) -> str:
        """Hash of which rows there are."""

    @property
    def swept(self) -> tuple[str, ...]:
        """Columns of what varies, by what the studies say of themselves."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Columns of `runs` that are not built in: measures of the user's, metrics of programs."""

    @property
    def hyperparameters(self) -> Sequence[Named]:
        """Hyperparameters that are columns."""

    def df(self, query: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the answer to one SELECT statement."""

    def column_of(self, key: str) -> str | None:
        """Return the column that holds a key of a study file, such as `train.lr`; None without."""

    def quoted(self, name: str) -> str:
        """Return a name as SQL takes it for a column."""


class Columns(NamedTuple):
    """Columns of a view.

    Attributes:
        view: The view.
        kinds: SQL type of each column.
    """

    view: str
    kinds: dict[str, str]


def read_columns(source: Source) -> list[Columns]:
    """Return the columns of each view that figures are drawn from."""
    described = (source.df(f"from (describe {view})") for view in VIEWS)  # names of ours
    return [
        Columns(view, dict(zip(rows["column_name"], rows["column_type"], strict=True)))
        for view, rows in zip(VIEWS, described, strict=True)
    ]


def has_numbers(columns: Columns, name: str) -> bool:
    """Return whether a column holds numbers, or truth as 0 and 1."""
    kind = columns.kinds[name].upper()
    return "[" not in kind and any(word in kind for word in NUMBERS)


def resolve(source: Source, named: Sequence[tuple[str, str]]) -> tuple[Columns, list[str]]:
    """Return the first view that has all columns that are named, and these.

    Args:
        source: The results.
        named: Each column or key, such as `width` or `train.lr`, after the option that names it.

    Raises:
        UnknownNameError: If no view has one of them.
        QueryError: If no view has all of them.
    """
    views = read_columns(source)
    every = {name for view in views for name in view.kinds}
    names = []
    for option, given in named:
        name = given if given in every else source.column_of(given)
        if name is None or name not in every:
            raise unknown_column(option, given, every)
        names.append(name)
    for view in views:
        if all(name in view.kinds for name in names):
            return view, names
    places = "; ".join(
        f"{name} in {', '.join(view.view for view in views if name in view.kinds)}"
        for name in dict.fromkeys(names)
    )
    raise QueryError(
        f"columns of a figure must be in one view, but got {places}. To see the columns of a view: "
        f"{LISTED.format(view='runs')}"
    )


def unknown_column(option: str, given: str, known: set[str]) -> UnknownNameError:
    """Return the error for a column that no view has."""
    close = nearest(given, sorted(known))
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    return UnknownNameError(
        f"{option} must be a column of the results, or a key of their study file, but got "
        f"{given!r}.{hint} To see the columns: {LISTED.format(view='runs')}"
    )
