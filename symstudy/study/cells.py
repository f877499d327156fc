"""From tables and axes to cells and runs.

Tables are checked once for each combination of the values swept in them, not once a cell, so that a
hundred thousand cells cost little more than their identifiers.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.datasets.configs import DataConfig, DataShape, NoDataConfig
from symstudy.datasets.registry import DATASETS
from symstudy.errors import Mistake, ModelError, StudyFileError, choices, nearest
from symstudy.identity import canonical_json, cell_id, run_id
from symstudy.models.configs import (
    CustomConfig,
    ModelConfig,
    PretrainedConfig,
    TransformerConfig,
)
from symstudy.models.registry import MODELS
from symstudy.models.weight_paths import content_of, is_there
from symstudy.study.check import check_table, field_names
from symstudy.study.sections import ProbeConfig, Train, TrainConfig
from symstudy.study.sweep import Axis

__all__ = ["Cell", "Run", "expand_cells", "expand_runs", "read_cell"]


class Texts(NamedTuple):
    """Canonical JSON of one table.

    Attributes:
        identity: Fields that differ from their defaults: a new field with a default that keeps old
            behaviour keeps old identifiers.
        full: All fields.
        shape: Fields that fix shapes and control flow of a pack.
    """

    identity: str
    full: str
    shape: str


class Cell(NamedTuple):
    """One point of the swept hyperparameters.

    Attributes:
        cell_id: Identifier.
        model: Model table.
        data: Data table.
        train: Resolved train table.
        probe: Probe table.
        identity: Canonical JSON that the identifiers hash.
        config: Canonical JSON of all fields.
        shape: What a pack's runs must have in common.
    """

    cell_id: str
    model: ModelConfig
    data: DataConfig
    train: Train
    probe: ProbeConfig
    identity: str
    config: str
    shape: str

    def __repr__(self) -> str:
        """Return what identifies the cell; the rest is long."""
        return f"Cell({self.cell_id}, {self.identity})"


class Run(NamedTuple):
    """One cell with one seed."""

    run_id: str
    cell: Cell
    seed: int


def expand_runs(cells: Iterable[Cell], seeds: Sequence[int]) -> list[Run]:
    """Return every cell with every seed, seeds varying fastest."""
    return [Run(run_id(cell.identity, seed), cell, seed) for cell in cells for seed in seeds]


def expand_cells(
    tables: Mapping[str, Mapping[str, Any]], axes: Sequence[Axis], lines: Mapping[str, int]
) -> tuple[list[Cell], list[Mistake]]:
    """Return the cells of a study in grid order, and everything that is wrong with its tables.

    Args:
        tables: `model`, `data`, `train` and `probe` as written.
        axes: Axes of the sweep.
        lines: Line of each dotted key.

    Returns:
        All cells and no mistakes, or no cells and all mistakes.
    """
    mistakes = list(unknown_axes(axes, lines))
    swept_lines = dict(lines)
    for axis in axes:
        for name in axis.fields:
            swept_lines[name] = lines.get(f"sweep.{name}", lines.get(name, 0))
    readers: dict[str, Callable[..., tuple[Any, list[Mistake]]]] = {
        "model": read_model,
        "data": read_data,
        "train": lambda table, at: check_table(TrainConfig, table, "train", at),
        "probe": lambda table, at: check_table(ProbeConfig, table, "probe", at),
    }
    variants: dict[str, list[Any]] = {}
    strides: dict[str, list[int]] = {}
    for name, reader in readers.items():
        variants[name], strides[name] = [], axis_strides(name, axes)
        for table in table_variants(name, tables.get(name, {}), axes):
            value, found = reader(table, swept_lines)
            mistakes.extend(found)
            variants[name].append(value)
    if any(value is None for values in variants.values() for value in values):
        return [], mistakes
    mistakes.extend(twins(variants["model"], swept_lines))
    for model, data in itertools.product(variants["model"], variants["data"]):
        mistakes.extend(misfits(model, data, swept_lines))
    texts = {
        name: [texts_of(value) for value in variants[name]] for name in ("model", "data", "probe")
    }
    resolved: dict[tuple[int, int], tuple[Train | None, Texts | None]] = {}
    cells: list[Cell] = []
    for place in itertools.product(*(range(len(axis.points)) for axis in axes)):
        m, d, t, p = (
            sum(i * stride for i, stride in zip(place, strides[name], strict=True))
            for name in ("model", "data", "train", "probe")
        )
        if (t, d) not in resolved:
            train, found = resolve_train(variants["train"][t], variants["data"][d], swept_lines)
            mistakes.extend(found)
            resolved[t, d] = (train, texts_of(train) if train else None)
        train, train_texts = resolved[t, d]
        if train is None or train_texts is None:
            continue
        model, data, probe = (
            variants[name][i] for name, i in (("model", m), ("data", d), ("probe", p))
        )
        parts = (texts["data"][d], texts["model"][m], texts["probe"][p], train_texts)
        cells.append(make_cell(model, data, probe, train, parts))
    return ([], mistakes) if mistakes else (cells, [])


def read_cell(config: str) -> Cell:
    """Return the cell whose `config`, the canonical JSON of all fields, a plan holds."""
    tables = json.loads(config)
    model, wrong_model = read_model(
        {
            "kind": tables["model"]["kind"],
            "reparametrise": tables["model"].get("reparametrise", "none"),
            **tables["model"].get("arguments", {}),
        }
        if "arguments" in tables["model"]
        else tables["model"],
        {},
    )
    data, wrong_data = read_data(tables["data"], {})
    probe, wrong_probe = check_table(ProbeConfig, tables["probe"], "probe", {})
    train = Train(**tables["train"])
    if model is None or data is None or probe is None:
        raise StudyFileError("plan", [*wrong_model, *wrong_data, *wrong_probe])
    return make_cell(
        model, data, probe, train, [texts_of(part) for part in (data, model, probe, train)]
    )


def make_cell(
    model: ModelConfig, data: DataConfig, probe: ProbeConfig, train: Train, texts: Sequence[Texts]
) -> Cell:
    """Return the cell of four tables; `texts` are those of data, model, probe and train."""
    identity, config, shape = (
        f'{{"data":{data_text},"model":{model_text},"probe":{probe_text},"train":{train_text}}}'
        for data_text, model_text, probe_text, train_text in zip(*texts, strict=True)
    )
    return Cell(cell_id(identity), model, data, train, probe, identity, config, shape)


def unknown_axes(axes: Sequence[Axis], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each swept field that is in none of the tables."""
    for name in (name for axis in axes for name in axis.fields):
        table, _, rest = name.partition(".")
        key = f"sweep.{name}"
        if table not in ("model", "data", "train", "probe") or not rest:
            configs = [("train", TrainConfig), ("probe", ProbeConfig)]
            configs += [("model", entry.config) for entry in MODELS.values()]
            configs += [("data", entry.config) for entry in DATASETS.values()]
            known = [f"{head}.{field}" for head, config in configs for field in field_names(config)]
            close = nearest(name, dict.fromkeys(known))
            hint = f". Did you mean {close[0]!r}?" if close else ""
            what = f"must be a field of model, data, train or probe, such as train.gamma{hint}"
            yield Mistake(line=lines.get(key, 0), key=key, what=what)


def axis_strides(table: str, axes: Sequence[Axis]) -> list[int]:
    """Return by how much a step along each axis moves the index of the table's variants."""
    strides = [0] * len(axes)
    stride = 1
    for i in reversed(range(len(axes))):
        if any(name.startswith(f"{table}.") for name in axes[i].fields):
            strides[i] = stride
            stride *= len(axes[i].points)
    return strides


def table_variants(
    name: str, table: Mapping[str, Any], axes: Sequence[Axis]
) -> Iterator[dict[str, Any]]:
    """Yield the table for each combination of the values swept in it, in grid order."""
    moving = [axis for axis in axes if any(field.startswith(f"{name}.") for field in axis.fields)]
    for points in itertools.product(*(axis.points for axis in moving)):
        variant = dict(table)
        for axis, point in zip(moving, points, strict=True):
            for field, value in zip(axis.fields, point, strict=True):
                if field.startswith(f"{name}."):
                    variant[field.removeprefix(f"{name}.")] = value
        yield variant


def read_kind(
    name: str, table: Mapping[str, Any], known: Sequence[str], lines: Mapping[str, int]
) -> list[Mistake]:
    """Return what is wrong with the `kind` of a model or data table."""
    kind = table.get("kind")
    key = f"{name}.kind"
    line = lines.get(key, lines.get(name, 0))
    if kind is None:
        what = f"must be given: {', '.join(known)}" + (
            " or package.module:Class" if name == "model" else ""
        )
        return [Mistake(line=line, key=key, what=what)]
    if kind not in known:
        what = f"must be a known kind, but got {kind!r}. {choices(str(kind), known)}"
        return [Mistake(line=line, key=key, what=what)]
    return []


def read_model(
    table: dict[str, Any], lines: dict[str, int]
) -> tuple[ModelConfig | None, list[Mistake]]:
    """Return the model table as its dataclass."""
    kind = table.get("kind")
    if isinstance(kind, str) and ":" in kind:
        own: dict[str, Any] = {key: table[key] for key in ("kind", "reparametrise") if key in table}
        arguments = {key: value for key, value in table.items() if key not in own}
        return check_table(CustomConfig, {**own, "arguments": arguments}, "model", lines)
    mistakes = read_kind("model", table, list(MODELS), lines)
    if mistakes:
        return None, mistakes
    config, mistakes = check_table(MODELS[str(kind)].config, table, "model", lines)
    if isinstance(config, PretrainedConfig):
        return identified(config, lines)
    return config, mistakes


def identified(
    config: PretrainedConfig, lines: Mapping[str, int]
) -> tuple[PretrainedConfig | None, list[Mistake]]:
    """Return trained weights with the hash of what their file holds, if it is there.

    A study can be checked and planned before the file is downloaded.
    """
    if not is_there(config.path):
        return config, []
    key = "model.path"
    try:
        content = content_of(config.path)
    except ModelError as error:
        what = str(error).removeprefix(f"{key} ")
        return None, [Mistake(line=lines.get(key, 0), key=key, what=what)]
    if config.content not in {"", content}:
        key = "model.content"
        what = f"must be the SHA-256 of {config.path!r}, {content}, but got {config.content!r}"
        return None, [Mistake(line=lines.get(key, 0), key=key, what=what)]
    path = str(Path(config.path).expanduser().absolute())
    return dataclasses.replace(config, path=path, content=content), []


def twins(models: Sequence[ModelConfig], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake for each path of trained weights that another of `models` has the content of.

    They would be one run.
    """
    homes: dict[PretrainedConfig, str] = {}
    for model in models:
        if isinstance(model, PretrainedConfig) and model.content:
            home = homes.setdefault(dataclasses.replace(model, path=""), model.path)
            if home != model.path:
                key = "model.path"
                what = f"must hold different weights, but {home!r} and {model.path!r} are the same"
                yield Mistake(line=lines.get(key, lines.get("sweep", 0)), key=key, what=what)


def misfits(model: ModelConfig, data: DataConfig, lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake where a model cannot be given the data."""
    if isinstance(model, PretrainedConfig) != isinstance(data, NoDataConfig):
        key = "data.kind"
        what = (
            "must be 'none' for model.kind = 'pretrained', and for no other model, but got "
            f"{data.kind!r} for {model.kind!r}"
        )
        yield Mistake(line=lines.get(key, lines.get("data", 0)), key=key, what=what)
    if isinstance(model, TransformerConfig):
        tokens, inputs = model.tokens or data.shape.tokens, data.shape.inputs
        if tokens == 0 or inputs % tokens:
            key = "model.tokens"
            given = f"{inputs} inputs and {f'{tokens} tokens' if tokens else 'no tokens'}"
            what = (
                "must divide the inputs of the data, or be left to data that come as tokens "
                f"(in_context, or digits with data.patch), but got {given}"
            )
            yield Mistake(line=lines.get(key, lines.get("model", 0)), key=key, what=what)


def read_data(
    table: dict[str, Any], lines: dict[str, int]
) -> tuple[DataConfig | None, list[Mistake]]:
    """Return the data table as its dataclass."""
    mistakes = read_kind("data", table, list(DATASETS), lines)
    if mistakes:
        return None, mistakes
    return check_table(DATASETS[str(table["kind"])].config, table, "data", lines)


def resolve_train(
    config: TrainConfig, source: DataConfig, lines: Mapping[str, int]
) -> tuple[Train | None, list[Mistake]]:
    """Return the train table with every derived value worked out.

    A field that the optimiser or schedule does not read is set to its default, so that it cannot
    make two equal runs look different.
    """
    mistakes: list[Mistake] = []

    def wrong(key: str, what: str) -> None:
        name = f"train.{key}"
        mistakes.append(Mistake(line=lines.get(name, lines.get("train", 0)), key=name, what=what))

    data: DataShape = source.shape
    full = config.batch_size == "full"
    is_idle = config.optimizer == "none"
    if isinstance(source, NoDataConfig) and not is_idle:
        what = f"must be 'none' where data.kind = 'none', but got {config.optimizer!r}"
        wrong("optimizer", what)
        return None, mistakes
    if full and data.train == 0 and not is_idle:
        wrong(
            "batch_size",
            "must be a number where every batch is drawn anew (data.fresh), but got 'full'",
        )
    elif not full and data.train and int(config.batch_size) > data.train:
        wrong(
            "batch_size",
            f"must be at most the {data.train} training samples, but got {config.batch_size}",
        )
    batch = data.train if full else int(config.batch_size)
    if is_idle:
        batch, full = 0, False
    minimises = config.optimizer == "lbfgs"
    if minimises and source.noise_mode == "online" and source.label_noise > 0:
        wrong(
            "optimizer", "must not be lbfgs where data.noise_mode = 'online': nothing stands still"
        )
    if minimises and not full:
        wrong("batch_size", f"must be 'full' for lbfgs, but got {config.batch_size}")
    if (minimises or is_idle) and (config.lr is not None or config.lr_over_batch is not None):
        given = "lr" if config.lr is not None else "lr_over_batch"
        reason = "searches its own steps" if minimises else "takes no steps"
        wrong(given, f"must be left out for {config.optimizer}, which {reason}")
    elif not (minimises or is_idle) and (config.lr is None) == (config.lr_over_batch is None):
        given = "both" if config.lr is not None else "neither"
        wrong(
            "lr_over_batch" if config.lr is not None else "lr",
            f"exactly one of train.lr and train.lr_over_batch must be given, but got {given}",
        )
    if config.gamma is not None and config.weight_decay is not None:
        wrong(
            "weight_decay",
            f"at most one of train.gamma and train.weight_decay (= 2 gamma) may be given, but got "
            f"{config.gamma!r} and {config.weight_decay!r}",
        )
    loss = config.loss
    if loss == "auto":
        loss = "cross_entropy" if data.is_classification else "squared_error"
    if loss == "cross_entropy" and not data.is_classification:
        wrong("loss", "must be squared_error or mse for regression, but got 'cross_entropy'")
    for key in ("syre", "syre_anisotropy", "entropic"):
        if (minimises or is_idle) and getattr(config, key) > 0:
            what = f"must be 0 for {config.optimizer}, but got {getattr(config, key)!r}"
            wrong(key, f"{what}. Use sgd, adam or adamw.")
    if config.polish > 0:
        for key, what in polish_mistakes(config, source):
            wrong(key, what)
    if config.converged > 0 and minimises:
        what = f"must be 0 for lbfgs, but got {config.converged!r}: it stops at train.tolerance"
        wrong("converged", what)
    elif config.converged > 0 and is_idle:
        wrong("converged", f"must be 0 for none, but got {config.converged!r}: it takes no steps")
    elif config.converged > 0 and data.train == 0:
        wrong(
            "converged",
            f"must be 0 where every batch is drawn anew (data.fresh), but got {config.converged!r}:"
            " the gradient of all data is not known",
        )
    if config.entropic > 0 and batch < 2:
        wrong(
            "batch_size",
            f"must be at least 2 where train.entropic is above 0, but got {batch}: one sample has "
            "no covariance",
        )
    if mistakes:
        return None, mistakes
    rate = config.lr if config.lr is not None else float(config.lr_over_batch or 0) * batch
    gamma = config.gamma if config.gamma is not None else (config.weight_decay or 0.0) / 2
    adaptive = config.optimizer in ("adam", "adamw")
    falls = config.schedule != "constant" and not (minimises or is_idle)
    return Train(
        optimizer=config.optimizer,
        lr=float(rate),
        batch_size=batch,
        full_batch=full,
        steps=0 if is_idle else config.steps,
        gamma=float(gamma),
        syre=float(config.syre),
        syre_anisotropy=float(config.syre_anisotropy) if gamma > 0 else 0.0,
        entropic=float(config.entropic),
        momentum=float(config.momentum) if config.optimizer == "sgd" else 0.0,
        beta1=float(config.beta1) if adaptive else 0.9,
        beta2=float(config.beta2) if adaptive else 0.999,
        epsilon=float(config.epsilon) if adaptive else 1e-8,
        schedule="constant" if minimises or is_idle else config.schedule,
        decay_start=float(config.decay_start) if falls else 0.0,
        lr_final=float(config.lr_final) if falls else 0.0,
        loss=loss,
        dtype="float64" if minimises else config.dtype,
        sampling="shuffle" if full or is_idle or not data.train else config.sampling,
        restarts=config.restarts if minimises else 3,
        tolerance=float(config.tolerance) if minimises or config.polish else 1e-9,
        refine=config.refine and (minimises or config.polish > 0),
        polish=config.polish,
        converged=float(config.converged),
    ), []


def polish_mistakes(config: TrainConfig, source: DataConfig) -> Iterator[tuple[str, str]]:
    """Yield key and mistake for what has no minimum that lbfgs could go on to."""
    if config.optimizer in ("lbfgs", "adamw", "none"):
        reason = {
            "lbfgs": "ends at a minimum by itself",
            "adamw": "does not go down the objective that has the penalty in it",
            "none": "goes nowhere",
        }[config.optimizer]
        yield "polish", f"must be 0 for {config.optimizer}, which {reason}"
    if config.dtype != "float64":
        yield "dtype", f"must be 'float64' where train.polish is above 0, but got {config.dtype!r}"
    if source.shape.train == 0:
        yield (
            "polish",
            "must be 0 where every batch is drawn anew (data.fresh): there is no minimum",
        )
    if source.noise_mode == "online" and source.label_noise > 0:
        yield "polish", "must be 0 where data.noise_mode = 'online': nothing stands still"
    for key in ("syre", "syre_anisotropy", "entropic"):
        if getattr(config, key) > 0:
            yield (
                key,
                f"must be 0 where train.polish is above 0, but got {getattr(config, key)!r}",
            )


def texts_of(value: Any) -> Texts:
    """Return the canonical JSON of a table: its identity, all of it, and what fixes shapes."""
    identity: dict[str, Any] = {}
    full: dict[str, Any] = {}
    shape: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        full[field.name] = item
        # What lies at an address is known by its content, wherever it is.
        is_known = bool(getattr(value, field.metadata.get("known_by", ""), ""))
        if field.name == "kind" or (item != field.default and not is_known):
            identity[field.name] = item
        if field.metadata.get("switch"):
            shape[field.name] = bool(item)
        elif not (field.metadata.get("lane") or field.metadata.get("values")):
            shape[field.name] = item
    return Texts(canonical_json(identity), canonical_json(full), canonical_json(shape))
