"""The tables of a study file that are not about model or data: training, probes and packs."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator

from symstudy.errors import choices
from symstudy.measures.catalogue import EXTRA_MEASURES, LAYER_MEASURES

__all__ = ["PackConfig", "ProbeConfig", "Train", "TrainConfig"]

FORBID: dict[str, Any] = {"extra": "forbid", "allow_inf_nan": False}
LANE: dict[str, Any] = {"lane": True}
# A number of each lane; only whether it is 0 fixes the control flow.
SWITCH: dict[str, Any] = {"lane": True, "switch": True}

Optimizer = Literal["sgd", "adam", "adamw", "lbfgs", "none"]
Schedule = Literal["constant", "cosine", "linear"]
Loss = Literal["squared_error", "mse", "cross_entropy"]
Dtype = Literal["float32", "float64"]
Sampling = Literal["shuffle", "replacement"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained, as written in the `[train]` table of a study file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    optimizer: Optimizer = "adam"
    """sgd (with momentum), adam (the penalty joins the gradient), adamw (it does not), lbfgs, or
    none: every run is measured as it begins."""
    lr: Annotated[float, Gt(0)] | None = None
    """Peak learning rate; exactly one of lr and lr_over_batch."""
    lr_over_batch: Annotated[float, Gt(0)] | None = None
    """Peak learning rate over batch size, the noise temperature of SGD without momentum."""
    batch_size: Annotated[int, Ge(1)] | Literal["full"] = "full"
    """Samples of a batch, or "full" for all of a fixed data set."""
    steps: Annotated[int, Ge(1)] = 1000
    """Optimiser steps; for lbfgs the most that a restart takes; for none there are 0."""
    gamma: Annotated[float, Ge(0)] | None = None
    """Coefficient of the squared norm gamma |theta|^2; at most one of gamma and weight_decay."""
    weight_decay: Annotated[float, Ge(0)] | None = None
    """What torch calls weight_decay: 2 gamma."""
    syre: Annotated[float, Ge(0)] = 0.0
    """Removes symmetries: the network is evaluated at theta + theta_0, with a frozen random theta_0
    of standard deviation syre / sqrt(fan-in) (arXiv:2408.15495)."""
    syre_anisotropy: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The penalty is gamma sum D theta^2 with frozen random D within 1 +- syre_anisotropy."""
    entropic: Annotated[float, Ge(0)] = 0.0
    """Coefficient of the trace of the covariance of per-sample gradients, added to the loss."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Momentum of sgd."""
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """Decay of the first moment of adam and adamw."""
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """Decay of the second moment of adam and adamw."""
    epsilon: Annotated[float, Gt(0)] = 1e-8
    """Added to the root in adam and adamw."""
    schedule: Schedule = "constant"
    """How the learning rate falls from its peak."""
    decay_start: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of the steps after which the schedule begins to fall."""
    lr_final: Annotated[float, Ge(0), Le(1)] = 0.0
    """Learning rate at the last step, as a share of the peak."""
    loss: Loss | Literal["auto"] = "auto"
    """squared_error sums over outputs and averages over samples; mse averages over both."""
    dtype: Dtype = "float32"
    """Precision of parameters and arithmetic."""
    sampling: Sampling = "shuffle"
    """Batches without replacement, epoch after epoch, or drawn with replacement."""
    restarts: Annotated[int, Ge(1)] = 3
    """Initial states that lbfgs starts from; the run is the best of the points that it finds."""
    tolerance: Annotated[float, Gt(0)] = 1e-9
    """lbfgs, also as polish, stops where |gradient| / (1 + |objective|) is at most this."""
    refine: bool = False
    """Whether lbfgs merges pairs of neurons whose merging lowers the objective, and goes on."""
    polish: Annotated[int, Ge(0)] = 0
    """Steps of lbfgs, at most, that take a run from where sgd or adam has brought it to the minimum
    beside it."""
    converged: Annotated[float, Ge(0)] = 0.0
    """A run ends, done, at the first detailed probe where |gradient| / (1 + |objective|) of all
    training data is at most this; 0 for never."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """A resolved `[train]` table: what the training loop reads.

    Attributes:
        optimizer: sgd, adam, adamw, lbfgs or none.
        lr: Peak learning rate; 0 for lbfgs and none.
        batch_size: Samples of a batch; the size of the data set for "full"; 0 for none.
        full_batch: Whether the batch is the whole data set.
        steps: Optimiser steps.
        gamma: Coefficient of the squared norm.
        syre: Standard deviation of theta_0, times sqrt(fan-in).
        syre_anisotropy: Half the range of the penalty's factors; 0 where gamma is 0.
        entropic: Coefficient of the trace of the gradients' covariance.
        momentum: Of sgd; 0 for the others.
        beta1: Of adam and adamw; default for sgd.
        beta2: Of adam and adamw; default for sgd.
        epsilon: Of adam and adamw; default for sgd.
        schedule: constant, cosine or linear.
        decay_start: Share of the steps before the rate falls.
        lr_final: Share of the peak at the last step.
        loss: squared_error, mse or cross_entropy.
        dtype: float32 or float64.
        sampling: shuffle or replacement.
        restarts: Of lbfgs; default for the others.
        tolerance: Of lbfgs, also of polish; default for the others.
        refine: Of lbfgs, also of polish; default for the others.
        polish: Steps of lbfgs after the last of sgd or adam; 0 for none.
        converged: `grad_ratio` at which a run ends before its last step; 0 for never.
    """

    optimizer: Optimizer
    lr: float = field(metadata=LANE)
    batch_size: int
    full_batch: bool = False
    steps: int
    gamma: float = field(default=0.0, metadata=LANE)
    syre: float = field(default=0.0, metadata=LANE)
    syre_anisotropy: float = field(default=0.0, metadata=LANE)
    entropic: float = field(default=0.0, metadata=SWITCH)
    momentum: float = field(default=0.0, metadata=LANE)
    beta1: float = field(default=0.9, metadata=LANE)
    beta2: float = field(default=0.999, metadata=LANE)
    epsilon: float = field(default=1e-8, metadata=LANE)
    schedule: Schedule = "constant"
    decay_start: float = field(default=0.0, metadata=LANE)
    lr_final: float = field(default=0.0, metadata=LANE)
    loss: Loss = "squared_error"
    dtype: Dtype = "float32"
    sampling: Sampling = "shuffle"
    restarts: int = 3
    tolerance: float = 1e-9
    refine: bool = False
    polish: int = 0
    converged: float = field(default=0.0, metadata=LANE)


def check_measures(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names` if each is an extra measure, and none is there twice.

    Raises:
        ValueError: If not; pydantic passes it on.
    """
    known = [measure.name for measure in EXTRA_MEASURES]
    for place, name in enumerate(names):
        if name not in known and name in [measure.name for measure in LAYER_MEASURES]:
            raise ValueError(f"must leave out {name!r}, which every study records")
        if name not in known:
            raise ValueError(f"must name extra measures, but got {name!r}. {choices(name, known)}")
        if name in names[:place]:
            raise ValueError(f"must name each measure once, but got {name!r} twice")
    return names


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """When measures are taken, as written in the `[probe]` table of a study file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    num: Annotated[int, Ge(2)] = 50
    """Probes at log-spaced steps, first and last included: losses and learning curves."""
    detail: Annotated[int, Ge(1)] = 10
    """At how many of these, the last always included, gradient norm and layers are measured too."""
    samples: Annotated[int, Ge(2)] = 256
    """Test inputs on which the ranks of representations are measured."""
    measures: Annotated[tuple[str, ...], AfterValidator(check_measures)] = ()
    """Extra measures of each hidden layer, beside those that every study records."""


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """How runs are packed and where they run: nothing here changes a result."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    size: Annotated[int, Ge(1)] | None = None
    """Runs of a pack; chosen by the planner if not given."""
    seconds: Annotated[float, Gt(0)] = 8.0
    """How long the planner lets a pack train, as far as it can tell beforehand."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where packs train; auto takes a GPU where there is one."""
    engine: Literal["auto", "compiled", "torch"] = "auto"
    """compiled kernels (dense networks on the CPU) or torch (any model, any device)."""
    pad: Literal["auto", "never", "always"] = "auto"
    """Whether runs that differ in model.width share packs of the torch engine, the narrower ones
    padded with neurons of zero weights, which stay zero; auto: where it is estimated to pay."""
    cpus: Annotated[int, Ge(1)] = 1
    """CPU cores that one pack uses."""
    gpus: Annotated[float, Gt(0), Le(1)] | Literal["auto"] = "auto"
    """Share of a GPU that one pack reserves, where it trains on one; auto: as many packs a GPU as
    its memory holds, at most 4."""
    checkpoint: Annotated[float, Gt(0)] = 60.0
    """Seconds between two checkpoints of a pack in training."""
    certify: Annotated[int, Ge(0)] = 2
    """How many runs of the study are trained once more alone, to compare them with the pack's."""
