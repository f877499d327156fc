"""Checks of `[probe] measures`: names, columns, and what some model must have to be measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from symstudy.components.registry import entries_of
from symstudy.errors import Mistake, SymstudyError
from symstudy.measures.catalogue import LAYER_MEASURES, NETWORK_MEASURES, find_measure, measures_on
from symstudy.measures.declare import Measure
from symstudy.models import build_model

if TYPE_CHECKING:
    from symstudy.study.cell import Cell

__all__ = ["TABLE_COLUMNS", "wrong_measures"]

TABLE_COLUMNS = frozenset(
    {
        "activations",
        "alone", "cell_id", "certificates_rows", "config", "decay_budget", "device", "engine",
        "finished_at", "elapsed",
        "git_dirty", "git_sha", "grad_norm", "grad_ratio", "has_converged", "history_rows",
        "host", "iterations",
        "layer", "layers_rows", "learning_rate", "measure", "merge_gain", "merges",
        "num_neurons", "num_samples",
        "num_parameters", "numpy_version", "objective", "outcome", "pack_id", "pack_size", "packed",
        "planned_at", "reason", "representations_rows", "run_id", "seconds",
        "seed", "step", "steps_done", "study",
        "symstudy_version", "test_accuracy", "test_loss", "theta_norm", "threshold",
        "torch_version", "train_accuracy", "train_loss", "trial",
        "trivial_accuracy", "trivial_loss",
    }
)  # fmt: skip
"""Columns of the results that are neither hyperparameters nor measures of layers."""


def wrong_measures(cells: Sequence["Cell"], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield what is wrong with the measures that the cells of a study name."""
    if not any(cell.probe.measures for cell in cells):
        return
    firsts = {(cell.probe.measures, cell.model.kind, cell.data.kind): cell for cell in cells}
    yield from dict.fromkeys(
        mistake for cell in firsts.values() for mistake in clashing_columns(cell, lines)
    )
    yield from missing_symmetries(cells, lines)
    yield from missing_features(cells, lines)


def taken_columns(cell: "Cell") -> dict[str, str]:
    """Return what each column of a study's results is, without measures of one's own.

    By name in small letters: SQL takes `Rank` and `rank` for one column.
    """
    from symstudy.study.columns import builtin_hyperparameters, hyperparameters_of

    taken = dict.fromkeys(TABLE_COLUMNS, "a column of every study")
    for item in LAYER_MEASURES:
        taken[item.name] = taken[f"mean_{item.name}"] = "a measure that comes with symstudy"
    for item in NETWORK_MEASURES:
        taken[item.name] = "a measure that comes with symstudy"
    for column in (*builtin_hyperparameters(), *hyperparameters_of(cell)):
        taken[column.name] = f"the hyperparameter {column.table}.{column.key}".rstrip(".")
    return {name.lower(): what for name, what in taken.items()}


def clashing_columns(cell: "Cell", lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each measure of the user's own whose column is another's already."""
    names = [name for name in cell.probe.measures if ":" in name]
    if not names:
        return
    taken = taken_columns(cell)
    for name in names:
        item = find_measure(name)
        for column in (item.name, f"mean_{item.name}"):
            if column.lower() in taken:
                what = (
                    f"must name measures that are no other column, but {name!r} would be "
                    f"{column!r}, {taken[column.lower()]}. Rename the function"
                )
                yield cell.probe.where(lines, "measures", what)
                break
            taken[column.lower()] = f"as {name!r} is"


def missing_symmetries(cells: Sequence["Cell"], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each named measure of symmetries that no model of the study has.

    The networks are built, without parameters, if a study names such a measure. Where a network
    cannot be built here, since a file of weights is not there yet, nothing is refused.
    """
    wanted = dict.fromkeys(
        item
        for names in dict.fromkeys(cell.probe.measures for cell in cells)
        for item in map(find_measure, names)
        if item.symmetry
    )
    if not wanted:
        return
    declared: set[str] = set()
    built = set()
    for cell in cells:
        key = (repr(cell.model), cell.data.shape)
        if key in built:
            continue
        built.add(key)
        kinds = declared_kinds(cell)
        if kinds is None:
            return
        declared |= kinds
        if all(item.symmetry in declared for item in wanted):
            return
    for item in wanted:
        if item.symmetry not in declared:
            yield cells[0].probe.where(lines, "measures", refusal(item, sorted(declared)))


def declared_kinds(cell: "Cell") -> set[str] | None:
    """Return the kinds of symmetries that a cell's network declares for its hidden layers.

    None where the network cannot be built here.
    """
    if cell.model.missing:
        return None
    try:
        layout = build_model(cell.model, cell.data.shape).network_layout
    except (SymstudyError, OSError):
        return None
    return {symmetry.kind for symmetry in layout.symmetries if symmetry.layer is not None}


def refusal(item: Measure, declared: Sequence[str]) -> str:
    """Return why a measure of a symmetry cannot be recorded."""
    has = ", ".join(declared) or "none"
    return (
        f"must name measures of symmetries that the model declares for a hidden layer, but "
        f"{item.name!r} reads {item.symmetry!r}, and the model declares {has}. Leave it out, or "
        "declare the symmetry in symstudy_layout() with layer=... (docs/symmetries.md)"
    )


def missing_features(cells: Sequence["Cell"], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for measures of features where no cell of the study has features.

    Where only some have, the measures of the others are null.
    """
    named = [cell for cell in cells if measures_on(cell.probe.measures, "features")]
    reasons: dict[tuple[object, ...], str] = {}
    for cell in named:
        key = (repr(cell.model), cell.data.shape)
        if key not in reasons:
            reasons[key] = why_no_features(cell)
        if not reasons[key]:
            return
    if named:
        item = measures_on(named[0].probe.measures, "features")[0]
        what = (
            f"must name measures of features where a model tells what its last layer reads of "
            f"training samples with classes, but {item.name!r} cannot be taken: "
            f"{next(iter(reasons.values()))}. Leave it out, or return from forward what an "
            "nn.Linear of the module returns (docs/neural-collapse.md)"
        )
        yield named[0].probe.where(lines, "measures", what)


def why_no_features(cell: "Cell") -> str:
    """Return why a cell has no features to measure; empty if it has, or nothing is known yet."""
    shape = cell.data.shape
    if cell.data.is_absent:
        return "there are no data"
    if not shape.is_classification:
        return "the samples have no classes"
    if shape.train == 0:
        return "every batch is drawn anew (data.fresh)"
    known = entries_of("models").get(cell.model.kind)
    if cell.model.missing or (known is not None and known.is_builtin):
        # Every kind of model that comes with symstudy tells its features: none has to be built.
        return ""
    try:
        return build_model(cell.model, shape).why_no_features
    except (SymstudyError, OSError):
        return ""
