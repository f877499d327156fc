"""The columns of runs as the page offers them: what varies, and what is measured."""

from typing import Any, NamedTuple

from symstudy.store import Store, quoted
from symstudy.store.tables.schema import RUNS

__all__ = ["PageColumn", "columns_of", "swept_in"]

IDENTITY = ("run_id", "cell_id", "study", "seed", "pack_id")
ENDING = ("outcome", "reason")
PROVENANCE = (
    *(
        "history_rows",
        "layers_rows",
        "representations_rows",
        "certificates_rows",
        "engine",
        "device",
        "host",
        "finished_at",
        "git_sha",
    ),
    *("git_dirty", "symstudy_version", "torch_version", "numpy_version", "has_converged", "config"),
)
NUMBERS = ("BIGINT", "INTEGER", "DOUBLE", "FLOAT", "HUGEINT")
LABELS = {
    "width": "width",
    "lr": "learning rate",
    "gamma": "weight decay gamma",
    "batch_size": "batch size",
    "label_noise": "label noise",
    "lr_over_batch": "learning rate / batch size",
    "depth": "depth",
    "test_loss": "test loss",
    "train_loss": "training loss",
    "test_accuracy": "test accuracy",
    "train_accuracy": "training accuracy",
}
"""Names in the field's words, where the column's own is short for them."""


class PageColumn(NamedTuple):
    """A column of runs.

    Attributes:
        name: Its name in SQL.
        label: What the page calls it.
        kind: `number`, `text` or `truth`.
        role: `hyperparameter`, `measure`, `identity`, `ending` or `provenance`.
        meaning: A sentence.
        key: The key of a study file that it holds, such as `train.lr`; empty for others.
        is_swept: Whether a study at hand varies it.
    """

    name: str
    label: str
    kind: str
    role: str
    meaning: str
    key: str
    is_swept: bool

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON values."""
        return self._asdict()


def columns_of(store: Store) -> dict[str, PageColumn]:
    """Return the columns of the view `runs`, by name, in its order."""
    types = store.sql("select column_name, column_type from (describe runs)").rows
    hyperparameters = {each.name: each for each in store.hyperparameters}
    meanings = {column.name: column.meaning for column in RUNS.columns}
    swept = set(swept_in(store))
    found: dict[str, PageColumn] = {}
    for name, kind in types:
        own = hyperparameters.get(name)
        found[name] = PageColumn(
            name,
            LABELS.get(name, name.replace("_", " ")),
            kind_of(kind),
            "hyperparameter" if own else role_of(name, kind),
            own.meaning if own else meanings.get(name, ""),
            f"{own.table}.{own.key}" if own and own.table else "",
            name in swept,
        )
    return found


def swept_in(store: Store) -> tuple[str, ...]:
    """Return what varies: as the studies say, or, where they do not, as their cells have it."""
    if store.swept:
        return store.swept
    names = [each.name for each in store.hyperparameters]
    counts = ", ".join(f"count(distinct {quoted(name)})" for name in names)
    row = store.sql(f"select {counts} from planned").rows[0]
    return tuple(name for name, count in zip(names, row, strict=True) if count > 1)


def kind_of(kind: str) -> str:
    """Return the kind of a column by DuckDB's type."""
    if kind in NUMBERS:
        return "number"
    return "truth" if kind == "BOOLEAN" else "text"


def role_of(name: str, kind: str) -> str:
    """Return the role of a column that is no hyperparameter."""
    if name in IDENTITY:
        return "identity"
    if name in ENDING:
        return "ending"
    return "provenance" if name in PROVENANCE or kind_of(kind) != "number" else "measure"
