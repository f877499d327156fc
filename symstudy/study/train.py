"""The `[train]` table: keys of its own, and the optimiser, schedule and loss that it names."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from symstudy.components import (
    ALWAYS,
    Choice,
    Component,
    DataShape,
    OwnCode,
    Role,
    Word,
    component,
    fields_of,
    load_own,
    source_of,
)
from symstudy.datasets.config import AbstractDatasetConfig
from symstudy.errors import Mistake, ModelError
from symstudy.losses import AbstractLoss
from symstudy.optimizers import AbstractOptimizer
from symstudy.schedules import AbstractSchedule
from symstudy.schedules.constant import Constant

__all__ = ["Train", "resolve_train"]

Dtype = Literal["float32", "float64"]
Sampling = Literal["shuffle", "replacement"]
WRITTEN_AS = {
    "lr": "lr_over_batch",
    "lr_over_batch": "lr",
    "gamma": "weight_decay",
    "weight_decay": "gamma",
}
"""The other way to write a key; a study gives one of the two."""
REGULARISERS = ("syre", "syre_anisotropy", "entropic")
OF_STEPS = (*REGULARISERS, "clip_norm", "clip")
OFF = {"clip": "left out", "stop": "left out"}
"""How a key is off that is no number."""


@component
class Train(Component):
    """How a network is trained.

    A study file may write some keys in two ways; `resolve_train` returns the one that identity
    counts, with what a component does not read at its default.
    """

    table: ClassVar[str] = "train"

    optimizer: Annotated[AbstractOptimizer, Choice("optimizers", default="adam")]
    """What moves the parameters. In sgd, adam, nadam and rmsprop the penalty joins the gradient;
    adamw, lion and muon decay beside their step; lbfgs minimises; none measures every run as it
    begins. Or a class of your own, or of torch.optim, as package.module:Class."""
    lr: Annotated[float, Gt(0), Role.LANE, ALWAYS] = 0.0
    """Peak learning rate; exactly one of lr and lr_over_batch."""
    lr_over_batch: Annotated[float, Gt(0), Role.WRITTEN] = 0.0
    """Peak learning rate over batch size, the noise temperature of SGD without momentum."""
    batch_size: Annotated[int, Ge(1), Word("full"), ALWAYS] = 0
    """Samples of a batch, or "full" for all of a fixed data set."""
    full_batch: Annotated[bool, Role.RESOLVED] = False
    """Whether the batch is the whole data set."""
    steps: Annotated[int, Ge(1), ALWAYS] = 1000
    """Optimiser steps; for lbfgs the most that a restart takes; for none there are 0."""
    gamma: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Coefficient of the squared norm gamma |theta|^2; at most one of gamma and weight_decay."""
    weight_decay: Annotated[float, Ge(0), Role.WRITTEN] = 0.0
    """What torch calls weight_decay: 2 gamma."""
    syre: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Removes symmetries: the network is evaluated at theta + theta_0, with a frozen random theta_0
    of standard deviation syre / sqrt(fan-in) (arXiv:2408.15495)."""
    syre_anisotropy: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.0
    """The penalty is gamma sum D theta^2 with frozen random D within 1 +- syre_anisotropy."""
    entropic: Annotated[float, Ge(0), Role.SWITCH] = 0.0
    """Coefficient of the trace of the covariance of per-sample gradients, added to the loss."""
    clip_norm: Annotated[float, Ge(0), Role.SWITCH] = 0.0
    """Norm of all parameters that a run's gradient is scaled down to at each step where it is
    longer, as torch's clip_grad_norm_: before the penalty joins it; 0 for never."""
    clip: Annotated[str, OwnCode("clip_source")] = ""
    """package.module:function of your own that changes the gradient of the loss of each step before
    the penalty joins it, in place of clip_norm; empty for none."""
    clip_source: Annotated[str, Role.RESOLVED] = ""
    """SHA-256 of the source of `clip`; found by itself."""
    schedule: Annotated[AbstractSchedule, Choice("schedules", default="constant", omit="constant")]
    """How the learning rate goes over the steps."""
    loss: Annotated[AbstractLoss, Choice("losses", default="auto", omit="squared_error")]
    """squared_error sums over outputs and averages over samples; mse averages over both."""
    dtype: Dtype = "float32"
    """Precision of parameters and arithmetic."""
    sampling: Sampling = "shuffle"
    """Batches without replacement, epoch after epoch, or drawn with replacement."""
    replica: Annotated[int, Ge(0), Role.DATA] = 0
    """Which of several independent runs on the same data: initial weights, batches and label noise
    of a seed are drawn anew for each replica; data set, teacher and data.input_matrix are not."""
    tolerance: Annotated[float, Gt(0)] = 1e-9
    """lbfgs, also as polish, stops where |gradient| / (1 + |objective|) is at most this."""
    refine: bool = False
    """Whether lbfgs merges pairs of neurons whose merging lowers the objective, and goes on."""
    polish: Annotated[int, Ge(0)] = 0
    """Steps of lbfgs, at most, that take a run from where sgd or adam has brought it to the minimum
    beside it."""
    converged: Annotated[float, Ge(0), Role.LANE] = 0.0
    """A run ends, done, at the first detailed probe where |gradient| / (1 + |objective|) of all
    training data is at most this; 0 for never."""
    stop: Annotated[str, OwnCode("stop_source")] = ""
    """package.module:function of your own that is asked at each detailed probe but the last whether
    a run is to end there, as stopped; empty for none."""
    stop_source: Annotated[str, Role.RESOLVED] = ""
    """SHA-256 of the source of `stop`; found by itself."""

    @property
    def minimises(self) -> bool:
        """Whether it is taken to a stationary point from its initial states."""
        return self.optimizer.trains_by == "minimiser"

    @property
    def is_idle(self) -> bool:
        """Whether nothing is trained."""
        return self.optimizer.trains_by == "nothing"

    @property
    def temperature(self) -> float:
        """Noise temperature T of SGD: effective learning rate over batch size."""
        momentum: float = self.value("momentum", 0.0)
        return self.lr / (1.0 - momentum) / max(self.batch_size, 1)


def resolve_train(
    train: Train, given: Mapping[str, Any], data: AbstractDatasetConfig, lines: Mapping[str, int]
) -> tuple[Train | None, list[Mistake]]:
    """Return the table with every derived value worked out, or None and what is wrong with it.

    What is not read is set to its default, so that it cannot make two equal runs look different.

    Args:
        train: The table as it was read.
        given: The table as it was written: which keys it has.
        data: The data that it is trained on.
        lines: Line of each dotted key.
    """
    mistakes = [train.where(lines, key, what) for key, what in misfits(train, given, data)]
    if mistakes:
        return None, mistakes
    shape = data.shape
    batch = train.batch_size or (0 if train.is_idle else shape.train)
    full = train.batch_size == 0 and not train.is_idle
    batch = 0 if train.is_idle else batch
    stands_still = train.minimises or train.is_idle
    polishes = train.minimises or train.polish > 0
    gamma = train.gamma or train.weight_decay / 2
    return replace(
        train,
        lr=float(train.lr or train.lr_over_batch * batch),
        lr_over_batch=0.0,
        batch_size=batch,
        full_batch=full,
        steps=0 if train.is_idle else train.steps,
        gamma=float(gamma),
        weight_decay=0.0,
        syre=float(train.syre),
        syre_anisotropy=float(train.syre_anisotropy) if gamma > 0 else 0.0,
        entropic=float(train.entropic),
        clip_norm=float(train.clip_norm),
        schedule=Constant() if stands_still else train.schedule,
        loss=train.loss.resolved(shape),
        dtype="float64" if train.minimises else train.dtype,
        sampling="shuffle" if full or train.is_idle or not shape.train else train.sampling,
        tolerance=float(train.tolerance) if polishes else 1e-9,
        refine=train.refine and polishes,
        converged=float(train.converged),
        clip_source=source_of(train.clip) if train.clip else "",
        stop_source=source_of(train.stop) if train.stop else "",
    ), []


Misfits = Iterator[tuple[str, str]]


def misfits(train: Train, given: Mapping[str, Any], data: AbstractDatasetConfig) -> Misfits:
    """Yield the key and what must hold where the keys of `[train]` do not fit."""
    if data.is_absent and not train.is_idle:
        what = f"must be 'none' where data.kind = 'none', but got {train.optimizer.kind!r}"
        yield "optimizer", what
        return
    yield from batch_misfits(train, data.shape)
    yield from rate_misfits(train, given)
    meant = train.loss.resolved(data.shape)
    for loss in (train.loss,) if meant is train.loss else (train.loss, meant):
        yield from loss.misfits(data.shape)
    if train.minimises:
        yield from minimiser_misfits(train, data)
    if train.polish > 0:
        yield from polish_misfits(train, data)
    yield from standing_misfits(train)
    yield from converged_misfits(train, data.shape)
    yield from function_misfits(train)
    if not (train.minimises or train.is_idle):
        yield from train.schedule.misfits(train.steps)


def batch_misfits(train: Train, data: DataShape) -> Misfits:
    """Yield what is wrong with the batch."""
    if train.batch_size == 0 and data.train == 0 and not train.is_idle:
        yield (
            "batch_size",
            "must be a number where every batch is drawn anew (data.fresh), but got 'full'",
        )
    elif data.train and train.batch_size > data.train:
        what = f"must be at most the {data.train} training samples, but got {train.batch_size}"
        yield "batch_size", what
    batch = train.batch_size or data.train
    if train.entropic > 0 and not train.is_idle and batch < 2:
        what = f"must be at least 2 where train.entropic is above 0, but got {batch}"
        yield "batch_size", f"{what}: one sample has no covariance"


def rate_misfits(train: Train, given: Mapping[str, Any]) -> Misfits:
    """Yield what is wrong with the learning rate and the penalty."""
    rates = [key for key in ("lr", "lr_over_batch") if given.get(key) is not None]
    if (train.minimises or train.is_idle) and rates:
        reason = "searches its own steps" if train.minimises else "takes no steps"
        yield rates[0], f"must be left out for {train.optimizer.kind}, which {reason}"
    elif not (train.minimises or train.is_idle) and len(rates) != 1:
        what = "exactly one of train.lr and train.lr_over_batch must be given, but got "
        yield (rates[-1], f"{what}both") if rates else ("lr", f"{what}neither")
    if given.get("gamma") is not None and given.get("weight_decay") is not None:
        what = "at most one of train.gamma and train.weight_decay (= 2 gamma) may be given, but got"
        yield "weight_decay", f"{what} {train.gamma!r} and {train.weight_decay!r}"


def minimiser_misfits(train: Train, data: AbstractDatasetConfig) -> Misfits:
    """Yield what lbfgs cannot minimise: an objective without a stationary point."""
    kind = train.optimizer.kind
    if data.is_noisy_online:
        what = f"must not be {kind} where data.noise_mode = 'online': nothing stands still"
        yield "optimizer", what
    if data.augmentation is not None:
        yield "optimizer", f"must not be {kind} where data.augment is given: nothing stands still"
    if train.batch_size:
        yield "batch_size", f"must be 'full' for {kind}, but got {train.batch_size}"


def standing_misfits(train: Train) -> Misfits:
    """Yield keys that only an optimiser of steps reads."""
    if train.minimises or train.is_idle:
        for key in OF_STEPS:
            if getattr(train, key):
                what = f"must be {OFF.get(key, 0)} for {train.optimizer.kind}, but got"
                yield key, f"{what} {getattr(train, key)!r}. Use sgd, adam or adamw."
    for key in ("syre", "syre_anisotropy"):
        if train.optimizer.no_pull and getattr(train, key) > 0:
            what = f"must be 0 for {train.optimizer.kind}, which {train.optimizer.no_pull}"
            yield key, f"{what}, but got {getattr(train, key)!r}"
    if train.is_idle and train.stop:
        yield "stop", f"must be left out for none, which takes no steps, but got {train.stop!r}"


def polish_misfits(train: Train, data: AbstractDatasetConfig) -> Misfits:
    """Yield why lbfgs cannot follow the training: an objective without a minimum."""
    if train.optimizer.no_polish:
        what = f"must be 0 for {train.optimizer.kind}, which {train.optimizer.no_polish}"
        yield "polish", what
    if train.dtype != "float64":
        yield "dtype", f"must be 'float64' where train.polish is above 0, but got {train.dtype!r}"
    if data.shape.train == 0:
        what = "must be 0 where every batch is drawn anew (data.fresh): there is no minimum"
        yield "polish", what
    if data.is_noisy_online:
        yield "polish", "must be 0 where data.noise_mode = 'online': nothing stands still"
    if data.augmentation is not None:
        yield "polish", "must be 0 where data.augment is given: nothing stands still"
    for key in REGULARISERS:
        if getattr(train, key) > 0:
            what = f"must be 0 where train.polish is above 0, but got {getattr(train, key)!r}"
            yield key, what


def function_misfits(train: Train) -> Misfits:
    """Yield the functions of the user's own that cannot be called."""
    if train.clip and train.clip_norm > 0:
        what = f"must be left out where train.clip_norm is above 0, but got {train.clip!r}"
        yield "clip", f"{what}: a gradient is clipped in one way"
    for field in fields_of(Train):
        name = getattr(train, field.name)
        if not field.source or not name:
            continue
        if ":" not in name:
            yield field.name, f"must be written as package.module:function, but got {name!r}"
            continue
        try:
            found = load_own(name, f"train.{field.name}")
        except ModelError as error:
            yield field.name, str(error).removeprefix(f"train.{field.name} ")
            continue
        if not callable(found) or isinstance(found, type):
            yield field.name, f"must name a function, but {name!r} is a {type(found).__name__}"


def converged_misfits(train: Train, data: DataShape) -> Misfits:
    """Yield why a run cannot end early because it has converged."""
    if train.converged <= 0:
        return
    reason = ""
    if train.minimises:
        reason = f"for lbfgs, but got {train.converged!r}: it stops at train.tolerance"
    elif train.is_idle:
        reason = f"for none, but got {train.converged!r}: it takes no steps"
    elif data.train == 0:
        reason = (
            f"where every batch is drawn anew (data.fresh), but got {train.converged!r}: the "
            "gradient of all data is not known"
        )
    if reason:
        yield "converged", f"must be 0 {reason}"
