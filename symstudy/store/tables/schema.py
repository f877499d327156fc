"""The tables of a store: every column with its type and a sentence.

Types are fixed here and nowhere else but for hyperparameters, which are those of the cells at hand:
each file of `CELLS` says its own (`symstudy.store.tables.hyperparameters`). Tables are read by
name, and a column that a file lacks is null: a new measure or hyperparameter needs no new version.
Times are UTC without a zone.
"""

from typing import NamedTuple

import pyarrow as pa

from symstudy.measures.catalogue import LAYER_MEASURES, PAIR_MEASURES, columns_of_pair
from symstudy.study.columns import Kind

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "CELL_KEYS",
    "CERTIFICATES",
    "HISTORY",
    "LAYERS",
    "PACKS",
    "PAIRS",
    "PLAN",
    "PLAN_KEYS",
    "RENAMED",
    "REPRESENTATIONS",
    "RUNS",
    "RUN_KEYS",
    "SCHEMA_VERSION",
    "TABLES",
    "TYPES",
    "VECTOR",
    "VERSIONS",
    "Column",
    "Table",
]

SCHEMA_VERSION = 5
"""Raised with a change of form that reading by name does not bridge, never for a new column."""
VERSIONS = (4, SCHEMA_VERSION)
"""Versions that are read, and extended: see `symstudy.store.tables.version_4`."""

TEXT = pa.string()
COUNT = pa.int64()
NUMBER = pa.float64()
TRUTH = pa.bool_()
TIME = pa.timestamp("us")
CURVE = pa.list_(pa.int64())
ACTIVATIONS = pa.list_(pa.float32())
VECTOR = pa.list_(pa.float64())


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        name: Its name in SQL.
        type: Its Arrow type.
        meaning: What it holds, in a sentence, with unit and when it is null.
    """

    name: str
    type: pa.DataType
    meaning: str


class Table(NamedTuple):
    """A table of a store.

    Attributes:
        name: Its name, and that of its folder.
        meaning: What a row is.
        columns: Its columns, in order.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the version in its metadata."""
        fields = [pa.field(column.name, column.type) for column in self.columns]
        return pa.schema(fields, {"symstudy_schema": str(SCHEMA_VERSION)})


TYPES: dict[Kind | str, pa.DataType] = {
    "count": COUNT,
    "number": NUMBER,
    "text": TEXT,
    "truth": TRUTH,
    "curve": CURVE,
    "vector": VECTOR,
}
"""Arrow type of each kind of column."""

IDENTITY: tuple[Column, ...] = (
    Column("run_id", TEXT, "Identifier of the run: hash of its configuration and seed."),
    Column("cell_id", TEXT, "Identifier of the cell: hash of the configuration."),
    Column("study", TEXT, "Name of the study."),
    Column("seed", COUNT, "Seed: which replicate of the cell."),
)

CURVE_MEASURES: tuple[Column, ...] = (
    Column("train_loss", NUMBER, "Mean data loss on the fixed training data; null for fresh data."),
    Column("test_loss", NUMBER, "Mean data loss on test data without label noise."),
    Column(
        "train_accuracy", NUMBER, "Share of training samples classified right; null in regression."
    ),
    Column("test_accuracy", NUMBER, "Share of test samples classified right; null in regression."),
    Column("objective", NUMBER, "train_loss plus all penalties, at detailed probes."),
    Column("theta_norm", NUMBER, "Norm of all parameters, at detailed probes."),
    Column("grad_norm", NUMBER, "Norm of the gradient of the objective, at detailed probes."),
    Column("grad_ratio", NUMBER, "grad_norm / (1 + |objective|), at detailed probes."),
    Column("learning_rate", NUMBER, "Learning rate of the step."),
    Column(
        "decay_budget",
        NUMBER,
        "B_wd = 2 gamma sum of lr / (1 - momentum): a signal-free neuron has shrunk by exp(-B_wd); "
        "null with gamma > 0 where the step does not scale with the gradient, as in adam, or where "
        "there is none, as in lbfgs.",
    ),
)

LAYER_COLUMNS: tuple[Column, ...] = tuple(
    Column(
        measure.name,
        TYPES[measure.kind],
        measure.meaning[0].upper()
        + measure.meaning[1:]
        + (f" ({measure.source})." if measure.source else "."),
    )
    for measure in LAYER_MEASURES
)


def pair_columns(name: str, meaning: str, source: str) -> tuple[Column, Column, Column]:
    """Return the columns of a measure of pairs: its value, and what permuted samples give."""
    told = f"{meaning[:1].upper()}{meaning[1:]}" + (f" ({source})." if source else ".")
    of = "with the samples of the second permuted, at the last probe"
    itself, permuted, p_value = columns_of_pair(name)
    return (
        Column(itself, NUMBER, told),
        Column(permuted, NUMBER, f"Mean of {name} {of}."),
        Column(p_value, NUMBER, f"(1 + draws in which {name} is as large {of}) / (1 + draws)."),
    )


FINAL_LAYER_MEASURES: tuple[Column, ...] = tuple(
    Column(f"mean_{column.name}", NUMBER, f"Mean over hidden layers at the end. {column.meaning}")
    for column in LAYER_COLUMNS
    if column.type != CURVE
)

RENAMED: dict[str, dict[str, str]] = {
    "history": {"learning_rate": "lr"},
    "runs": {each.name: each.name.removeprefix("mean_") for each in FINAL_LAYER_MEASURES},
}
"""Names that columns of tables had in version 4, by table and present name."""

RUNS = Table(
    "runs",
    "One run that has ended, with its final measures.",
    (
        *IDENTITY,
        Column("pack_id", TEXT, "Pack the run was trained in."),
        Column(
            "outcome", TEXT, "How the run ended: done, stopped, diverged, out_of_memory or error."
        ),
        Column("reason", TEXT, "Why, where it is not done."),
        Column("steps_done", COUNT, "Optimiser steps taken."),
        Column("history_rows", COUNT, "Rows that it has in history; null before version 5."),
        Column("layers_rows", COUNT, "Rows that it has in layers; null before version 5."),
        Column(
            "representations_rows",
            COUNT,
            "Rows that it has in representations; null in results that did not say so yet.",
        ),
        Column(
            "certificates_rows",
            COUNT,
            "Rows that it has in certificates: some where it was trained once more alone, else 0; "
            "null in results that did not say so yet.",
        ),
        Column("num_parameters", COUNT, "Number of parameters."),
        Column(
            "has_converged",
            TRUTH,
            "Whether a program reported that it has converged; null where it did not say, and for "
            "what is trained here, of which grad_ratio tells.",
        ),
        *(column for column in CURVE_MEASURES if column.name != "learning_rate"),
        Column(
            "trivial_loss",
            NUMBER,
            "Least test loss of a constant answer: what a network that has learned nothing gets; "
            "null in results from before it was recorded.",
        ),
        Column(
            "trivial_accuracy",
            NUMBER,
            "Share of the largest class of the test data; null in regression.",
        ),
        *FINAL_LAYER_MEASURES,
        Column(
            "merge_gain",
            NUMBER,
            "Largest decrease of the objective by merging two neurons, over the objective; above "
            "1e-9 the point is no global minimum (arXiv:2502.05300, Theorem 4); lbfgs and polish "
            "only.",
        ),
        Column("merges", COUNT, "Pairs that refine has merged; lbfgs and polish only."),
        Column("iterations", COUNT, "Steps of lbfgs, of its best restart; lbfgs and polish only."),
        Column("seconds", NUMBER, "The run's share of its pack's wall time, in seconds."),
        Column(
            "engine",
            TEXT,
            "What trained it: compiled, torch-cpu or torch-cuda, after lbfgs- if it minimised, "
            "polished- if it did so after training, padded- if its pack held several widths, and "
            "one-by-one- if its runs made their calls one after another; "
            "program for a program of the user's own.",
        ),
        Column("device", TEXT, "Device it was trained on."),
        Column("host", TEXT, "Machine it was trained on."),
        Column("finished_at", TIME, "When its pack was written, UTC."),
        Column("git_sha", TEXT, "Commit of the project at launch; null outside git."),
        Column("git_dirty", TRUTH, "Whether the project had uncommitted changes at launch."),
        Column("symstudy_version", TEXT, "Version of symstudy."),
        Column("torch_version", TEXT, "Version of torch."),
        Column("numpy_version", TEXT, "Version of numpy."),
    ),
)

HISTORY = Table(
    "history",
    "One run at one probe.",
    (
        Column("run_id", TEXT, "Identifier of the run."),
        Column("pack_id", TEXT, "Pack the run was trained in."),
        Column("step", COUNT, "Optimiser steps taken."),
        *CURVE_MEASURES,
    ),
)

LAYERS = Table(
    "layers",
    "One hidden layer of one run at one detailed probe.",
    (
        Column("run_id", TEXT, "Identifier of the run."),
        Column("pack_id", TEXT, "Pack the run was trained in."),
        Column("step", COUNT, "Optimiser steps taken."),
        Column("layer", COUNT, "Number of the hidden layer, from 1 at the input."),
        *LAYER_COLUMNS,
    ),
)

PLAN = Table(
    "plan",
    "One planned run: the left side of the ledger.",
    (
        *IDENTITY,
        Column(
            "trial",
            TEXT,
            "What a search asked for, as JSON: branch, number and values of the point, and the "
            "number of the point that it confirms, if any; null for a run of a grid.",
        ),
        Column("planned_at", TIME, "When it was planned, UTC."),
    ),
)

PACKS = Table(
    "packs",
    "One run of one pack of one launch: what a worker is told to train.",
    (
        Column("pack_id", TEXT, "Pack."),
        Column("run_id", TEXT, "Run."),
        Column("seed", COUNT, "Its seed."),
        Column("config", TEXT, "Its configuration, as JSON."),
    ),
)

CERTIFICATES = Table(
    "certificates",
    "One final measure of a run that was trained once more alone, beside the pack's.",
    (
        Column("run_id", TEXT, "Identifier of the run."),
        Column("pack_id", TEXT, "Pack the run was trained in."),
        Column("pack_size", COUNT, "Number of runs of the pack."),
        Column("measure", TEXT, "Column of runs."),
        Column("packed", NUMBER, "Its value in the pack."),
        Column("alone", NUMBER, "Its value alone."),
    ),
)

REPRESENTATIONS = Table(
    "representations",
    "Activations of one hidden layer of one run at one detailed probe (probe.representations).",
    (
        Column("run_id", TEXT, "Identifier of the run."),
        Column("pack_id", TEXT, "Pack the run was trained in."),
        Column("step", COUNT, "Optimiser steps taken."),
        Column("layer", COUNT, "Number of the hidden layer, from 1 at the input."),
        Column("num_samples", COUNT, "Number of test inputs, the first of them."),
        Column("num_neurons", COUNT, "Number of neurons of the layer."),
        Column("activations", ACTIVATIONS, "num_samples rows of num_neurons, one after another."),
    ),
)

PAIRS = Table(
    "pairs",
    "One layer of one run beside one layer of another, at one probe of both.",
    (
        Column("study", TEXT, "Name of the study."),
        Column("run_a", TEXT, "Identifier of the first run, whose hyperparameters are shown."),
        Column("run_b", TEXT, "Identifier of the second run."),
        Column("pair_between", TEXT, "Keys that the pairs differ in: [pairs] between, as JSON."),
        Column("step_a", COUNT, "Optimiser steps that the first run has taken."),
        Column("step_b", COUNT, "Optimiser steps that the second run has taken."),
        Column("is_last", TRUTH, "Whether both are at their last probe."),
        Column("layer_a", COUNT, "Hidden layer of the first run."),
        Column("layer_b", COUNT, "Hidden layer of the second run."),
        *(
            column
            for measure in PAIR_MEASURES
            for column in pair_columns(measure.name, measure.meaning, measure.source)
        ),
        Column("pair_settings", TEXT, "Hash of the measures and draws of [pairs]."),
        Column("measured_at", TIME, "When the pair was measured, UTC."),
    ),
)

CELLS = Table(
    "planned_cells",
    "One planned cell, with a typed column for each of its hyperparameters.",
    (
        Column("study", TEXT, "Name of the study."),
        Column("cell_id", TEXT, "Identifier of the cell: hash of the configuration."),
        Column("planned_at", TIME, "When it was planned, UTC."),
        Column("config", TEXT, "Every field of the configuration, as JSON."),
    ),
)
"""The columns of the table that are no hyperparameters."""

RUN_KEYS = ("study", "run_id", "pack_id", "outcome", "reason", "finished_at")
"""Columns of `RUNS` that say which rows count, and what became of every run."""
PLAN_KEYS = ("study", "run_id", "planned_at")
"""Columns of `PLAN` that say which rows count."""
CELL_KEYS = ("study", "cell_id", "planned_at")
"""Columns of `CELLS` that say which rows count."""

TABLES: dict[str, Table] = {
    table.name: table
    for table in (RUNS, HISTORY, LAYERS, CERTIFICATES, REPRESENTATIONS, PLAN, CELLS, PAIRS)
}
"""The tables of a study's folder that the views are made of."""
