"""The tables of a store: every column with its type and a sentence.

Types are fixed here and nowhere else; a file of another schema is never merged by name. Times are
UTC without a zone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from symstudy.measures.catalogue import LAYER_MEASURES
from symstudy.study.cells import Cell

__all__ = [
    "CERTIFICATES",
    "HISTORY",
    "HYPERPARAMETERS",
    "LAYERS",
    "PACKS",
    "PLAN",
    "PLAN_KEYS",
    "RUNS",
    "RUN_KEYS",
    "SCHEMA_VERSION",
    "TABLES",
    "Column",
    "Table",
]

SCHEMA_VERSION = 4
"""Raised with every change of a column; a file of another version is refused."""

TEXT = pa.string()
COUNT = pa.int64()
NUMBER = pa.float64()
TRUTH = pa.bool_()
TIME = pa.timestamp("us")
CURVE = pa.list_(pa.int64())


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        name: Its name in SQL.
        type: Its Arrow type.
        meaning: What it holds, in a sentence, with unit and when it is null.
        of_cell: For a hyperparameter, how it is read from a cell.
    """

    name: str
    type: pa.DataType
    meaning: str
    of_cell: Callable[[Cell], Any] | None = None


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


def of_model(field: str) -> Callable[[Cell], Any]:
    """Return a reader of a key of the model, or of an argument of a user's own model."""

    def read(cell: Cell) -> Any:
        arguments = getattr(cell.model, "arguments", {})
        value = getattr(cell.model, field, arguments.get(field))
        return value if isinstance(value, int | float | str | bool) else None

    return read


def of_data(field: str) -> Callable[[Cell], Any]:
    """Return a reader of a key of the data."""
    return lambda cell: getattr(cell.data, field, None)


def of_train(field: str) -> Callable[[Cell], Any]:
    """Return a reader of a key of the resolved training."""
    return lambda cell: getattr(cell.train, field)


def temperature(cell: Cell) -> float:
    """Return T = lr / (1 - momentum) / batch_size."""
    return cell.train.lr / (1.0 - cell.train.momentum) / max(cell.train.batch_size, 1)


HYPERPARAMETERS: tuple[Column, ...] = (
    Column("model", TEXT, "Kind of model.", of_model("kind")),
    Column("depth", COUNT, "Number of weight layers.", of_model("depth")),
    Column(
        "width",
        COUNT,
        "Neurons of each hidden layer; of a transformer, size of the residual stream.",
        of_model("width"),
    ),
    Column(
        "attention_layers",
        COUNT,
        "Attention layers of a transformer, `model.layers` in a study file.",
        of_model("layers"),
    ),
    Column("heads", COUNT, "Heads of each attention layer.", of_model("heads")),
    Column("head_dim", COUNT, "Size of a head's queries, keys and values.", of_model("head_dim")),
    Column(
        "mlp_width",
        COUNT,
        "Neurons of each MLP of a transformer; 0 for none.",
        of_model("mlp_width"),
    ),
    Column("pool", TEXT, "What a transformer reads out: last or mean token.", of_model("pool")),
    Column("norm", TEXT, "Normalisation before the layers of a transformer.", of_model("norm")),
    Column("positions", TRUTH, "Whether positions have learned vectors.", of_model("positions")),
    Column(
        "tokens",
        COUNT,
        "Tokens that a transformer cuts the inputs into; 0 for as many as the data say.",
        of_model("tokens"),
    ),
    Column("activation", TEXT, "Activation of the hidden layers.", of_model("activation")),
    Column(
        "activation_coefficient",
        NUMBER,
        "Coefficient of z^2 in the polynomial activation.",
        of_model("activation_coefficient"),
    ),
    Column("bias", TRUTH, "Whether layers have biases.", of_model("bias")),
    Column(
        "init_scale",
        NUMBER,
        "Initial weights have standard deviation init_scale / sqrt(fan-in).",
        of_model("init_scale"),
    ),
    Column(
        "init_copies",
        COUNT,
        "Consecutive hidden neurons that start as copies of one; 1 for none.",
        of_model("init_copies"),
    ),
    Column(
        "init_rank",
        COUNT,
        "Dimensions of each hidden layer that its initial weights share; 0 for all.",
        of_model("init_rank"),
    ),
    Column(
        "init_balanced",
        TRUTH,
        "Whether weights start balanced and aligned with the axes, all singular values init_scale.",
        of_model("init_balanced"),
    ),
    Column(
        "reparametrise",
        TEXT,
        "Weights as products: none, hadamard, gate or factorised.",
        of_model("reparametrise"),
    ),
    Column("path", TEXT, "File of trained weights; null for what is trained.", of_model("path")),
    Column(
        "weights",
        TEXT,
        "Whether trained weights are those of the file, or random ones of its shapes.",
        of_model("weights"),
    ),
    Column("content", TEXT, "SHA-256 of the file of trained weights.", of_model("content")),
    Column("data", TEXT, "Kind of data.", of_data("kind")),
    Column("input_dim", COUNT, "Number of inputs.", lambda cell: cell.data.shape.inputs),
    Column(
        "output_dim", COUNT, "Number of outputs or classes.", lambda cell: cell.data.shape.outputs
    ),
    Column(
        "samples",
        COUNT,
        "Number of training samples; 0 where every batch is drawn anew.",
        lambda cell: cell.data.shape.train,
    ),
    Column("input_scale", NUMBER, "Factor on the inputs.", of_data("input_scale")),
    Column(
        "label_noise",
        NUMBER,
        "Standard deviation of the noise on targets, or the chance that a label is flipped.",
        of_data("label_noise"),
    ),
    Column(
        "noise_mode", TEXT, "Whether label noise is fixed or drawn online.", of_data("noise_mode")
    ),
    Column("teacher_width", COUNT, "Hidden neurons of the teacher.", of_data("teacher_width")),
    Column("teacher_depth", COUNT, "Weight layers of the teacher.", of_data("teacher_depth")),
    Column("teacher_activation", TEXT, "Activation of the teacher.", of_data("teacher_activation")),
    Column("teacher_scale", NUMBER, "Factor on the teacher's outputs.", of_data("teacher_scale")),
    Column(
        "teacher_directions",
        TEXT,
        "Whether the teacher's weights are random or orthogonal.",
        of_data("teacher_directions"),
    ),
    Column(
        "teacher_norm",
        NUMBER,
        "Norm of the incoming weights of each neuron of an orthogonal teacher.",
        of_data("teacher_norm"),
    ),
    Column(
        "teacher_gain_ratio",
        NUMBER,
        "Norm of the outgoing weights of a neuron of an orthogonal teacher over the one before.",
        of_data("teacher_gain_ratio"),
    ),
    Column("exponent", NUMBER, "Exponent of the target's spectrum.", of_data("exponent")),
    Column("amplitude", NUMBER, "Largest singular value of the target.", of_data("amplitude")),
    Column("axes", TRUTH, "Whether the spectrum's vectors lie along the axes.", of_data("axes")),
    Column("length", COUNT, "Tokens of a sequence of the data.", of_data("length")),
    Column("token_dim", COUNT, "Numbers of a token of the data.", of_data("token_dim")),
    Column(
        "task_dim",
        COUNT,
        "Dimensions of the subspace of in-context coefficients; 0 for all.",
        of_data("task_dim"),
    ),
    Column(
        "patch", COUNT, "Side of the patches of an image, in pixels; 0 for none.", of_data("patch")
    ),
    Column("optimizer", TEXT, "Optimiser.", of_train("optimizer")),
    Column("lr", NUMBER, "Peak learning rate.", of_train("lr")),
    Column("batch_size", COUNT, "Samples of a batch.", of_train("batch_size")),
    Column("full_batch", TRUTH, "Whether the batch is the data set.", of_train("full_batch")),
    Column(
        "lr_over_batch",
        NUMBER,
        "Peak learning rate over batch size.",
        lambda cell: cell.train.lr / max(cell.train.batch_size, 1),
    ),
    Column(
        "temperature",
        NUMBER,
        "lr / (1 - momentum) / batch_size: the noise temperature T of SGD.",
        temperature,
    ),
    Column("steps", COUNT, "Optimiser steps planned.", of_train("steps")),
    Column(
        "gamma", NUMBER, "Coefficient of the squared norm of all parameters.", of_train("gamma")
    ),
    Column(
        "weight_decay",
        NUMBER,
        "2 gamma, what torch calls weight_decay.",
        lambda cell: 2.0 * cell.train.gamma,
    ),
    Column(
        "syre",
        NUMBER,
        "Frozen random shift theta_0 of the parameters: its standard deviation times sqrt(fan-in).",
        of_train("syre"),
    ),
    Column(
        "syre_anisotropy",
        NUMBER,
        "The squared norm is sum D theta^2 with random D within 1 +- this.",
        of_train("syre_anisotropy"),
    ),
    Column(
        "entropic",
        NUMBER,
        "Coefficient of the trace of the covariance of per-sample gradients in the loss.",
        of_train("entropic"),
    ),
    Column("momentum", NUMBER, "Momentum of sgd.", of_train("momentum")),
    Column("beta1", NUMBER, "Decay of the first moment of adam and adamw.", of_train("beta1")),
    Column("beta2", NUMBER, "Decay of the second moment of adam and adamw.", of_train("beta2")),
    Column("adam_epsilon", NUMBER, "epsilon of adam and adamw.", of_train("epsilon")),
    Column("schedule", TEXT, "How the learning rate falls.", of_train("schedule")),
    Column(
        "decay_start", NUMBER, "Share of the steps before the rate falls.", of_train("decay_start")
    ),
    Column("lr_final", NUMBER, "Last learning rate as a share of the peak.", of_train("lr_final")),
    Column("loss", TEXT, "Data loss.", of_train("loss")),
    Column("dtype", TEXT, "Precision.", of_train("dtype")),
    Column(
        "sampling", TEXT, "Batches without (shuffle) or with replacement.", of_train("sampling")
    ),
    Column("restarts", COUNT, "Initial states that lbfgs starts from.", of_train("restarts")),
    Column("tolerance", NUMBER, "Relative gradient at which lbfgs stops.", of_train("tolerance")),
    Column("refine", TRUTH, "Whether lbfgs merges neurons and goes on.", of_train("refine")),
    Column("polish", COUNT, "Steps of lbfgs after sgd or adam, at most.", of_train("polish")),
    Column(
        "converged",
        NUMBER,
        "grad_ratio at which a run ends before its last step; 0 for never.",
        of_train("converged"),
    ),
)

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
    Column("lr", NUMBER, "Learning rate of the step."),
    Column(
        "decay_budget",
        NUMBER,
        "B_wd = 2 gamma sum of lr / (1 - momentum): a signal-free neuron has shrunk by exp(-B_wd); "
        "null for adam and lbfgs with gamma > 0.",
    ),
)

ARROW_OF_KIND = {"count": COUNT, "number": NUMBER, "curve": CURVE}
LAYER_COLUMNS: tuple[Column, ...] = tuple(
    Column(
        measure.name,
        ARROW_OF_KIND[measure.kind],
        measure.meaning[0].upper()
        + measure.meaning[1:]
        + (f" ({measure.source})." if measure.source else "."),
    )
    for measure in LAYER_MEASURES
)
FINAL_LAYER_MEASURES: tuple[Column, ...] = tuple(
    Column(column.name, NUMBER, f"Mean over hidden layers at the end. {column.meaning}")
    for column in LAYER_COLUMNS
    if column.type != CURVE
)

RUNS = Table(
    "runs",
    "One run that has ended, with its final measures.",
    (
        *IDENTITY,
        Column("pack_id", TEXT, "Pack the run was trained in."),
        *HYPERPARAMETERS,
        Column("config", TEXT, "Every field of the configuration, as JSON."),
        Column(
            "outcome", TEXT, "How the run ended: done, stopped, diverged, out_of_memory or error."
        ),
        Column("reason", TEXT, "Why, where it is not done."),
        Column("steps_done", COUNT, "Optimiser steps taken."),
        Column("num_parameters", COUNT, "Number of parameters."),
        *(column for column in CURVE_MEASURES if column.name != "lr"),
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
            "polished- if it did so after training, and padded- if its pack held several widths.",
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
        *HYPERPARAMETERS,
        Column("config", TEXT, "Every field of the configuration, as JSON."),
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

RUN_KEYS = ("study", "run_id", "pack_id", "outcome", "reason", "finished_at")
"""Columns of `RUNS` that say which rows count, and what became of every run."""
PLAN_KEYS = ("study", "run_id", "planned_at")
"""Columns of `PLAN` that say which rows count."""

TABLES: dict[str, Table] = {
    table.name: table for table in (RUNS, HISTORY, LAYERS, CERTIFICATES, PLAN)
}
"""The tables that users see."""
