"""The contract of an optimiser: its keys, its step, and what a plan must know of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from symstudy.components import Component
from symstudy.kernels.steps import KernelStep
from symstudy.layout import Layout
from symstudy.width_rules import WidthRule, rate_factors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AbstractOptimizer", "AbstractStepOptimizer", "KernelNumbers", "StepNumbers"]

NOT_KNOWN = float("nan")


class KernelNumbers(NamedTuple):
    """The numbers of a lane that the compiled kernels' step reads; unused ones are 0.

    Attributes:
        beta1: Momentum, or decay of the first moment.
        beta2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        extra: A further number of the optimiser's own.
    """

    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    extra: float = 0.0


class StepNumbers(NamedTuple):
    """The numbers of one step of K runs, as columns `[K, 1]` in the type of the parameters.

    Attributes:
        rate_K1: Learning rate; a decoupled penalty goes by it alone.
        decay_K1: 2 gamma, the factor of the penalty's gradient.
        time: Number of the step, from 1; a tensor without axes where the device counts steps.
        keys: The optimiser's own numbers a lane, by key.
        shared: One of the runs' optimisers: what has no `Role.LANE` is the same for all.
        layout: Where in a row of the parameters each weight and bias lies.
        factor_KP: Factor of the width rules of muP on the rate of each parameter; None for 1.
    """

    rate_K1: "Tensor"
    decay_K1: "Tensor"
    time: "int | Tensor"
    keys: dict[str, "Tensor"]
    shared: "AbstractStepOptimizer"
    layout: Layout
    factor_KP: "Tensor | None" = None

    @property
    def rate_KP(self) -> "Tensor":
        """Learning rate of each parameter; the column `rate_K1` where it is the same for all."""
        return self.rate_K1 if self.factor_KP is None else self.rate_K1 * self.factor_KP


class AbstractOptimizer(Component, ABC):
    """An optimiser: what changes the parameters of a run to lower the objective.

    Attributes:
        kind: Name of the optimiser.
        trains_by: `steps` from the initialisation, `minimiser` (to a stationary point), `nothing`.
        no_polish: Why a minimiser cannot go on from where it ends; empty if it can.
        no_pull: Why the penalty cannot pull to another point than 0; empty if it can.
        is_decoupled: Whether its step applies the penalty itself, instead of through the gradient.
        counts_on_device: Whether its step takes `StepNumbers.time` as a tensor too, and the host
            has no part in it: a step is then a CUDA graph.
        width_rule: How its step goes with the gradient, by which muP scales learning rates with
            the width; empty where that is not known, and muP refused.
    """

    table: ClassVar[str] = "train"
    trains_by: ClassVar[Literal["steps", "minimiser", "nothing"]]
    no_polish: ClassVar[str] = ""
    no_pull: ClassVar[str] = ""
    is_decoupled: ClassVar[bool] = False
    counts_on_device: ClassVar[bool] = False
    width_rule: ClassVar[WidthRule] = ""
    kind: str

    @property
    def can_pad(self) -> bool:
        """Whether parameters of exactly 0, with a gradient of exactly 0, stay there."""
        return False

    @property
    def starts(self) -> int:
        """From how many initial states a run is trained."""
        return 1

    @property
    def is_in_kernels(self) -> bool:
        """Whether the compiled kernels can do all that it does; only steps of torch they cannot."""
        return self.trains_by != "steps"

    @property
    def planned_moments(self) -> int:
        """Vectors like the parameters that it keeps beside them, for plans.

        A class of torch's sort tells nothing beforehand; most keep two.
        """
        return 2 if self.trains_by == "steps" else 0

    def passes(self, steps: int) -> int:
        """Return about how many passes over batches one start of `steps` steps at most takes."""
        return steps

    @property
    def no_width_rule(self) -> str:
        """Why muP cannot scale its learning rate with the width; empty if it can."""
        if self.trains_by == "minimiser":
            return "searches its own steps, and has no learning rate to scale"
        has_rule = bool(self.width_rule) or self.trains_by == "nothing"
        return "" if has_rule else "does not say how its step goes with the gradient"

    def rate_factors(self, layout: Layout) -> tuple[float, ...]:
        """Return the factor on the learning rate of each block of `layout`; 1 outside of muP."""
        return rate_factors(layout, self.width_rule) if layout.base else (1.0,) * len(layout.blocks)

    @abstractmethod
    def effective_rate(self, rate: float) -> float:
        """Return by how much a signal-free parameter shrinks a step, over 2 gamma.

        A neuron without a signal has shrunk by exp(-2 gamma sum of this): the decay budget. NaN
        where the step does not scale with the gradient, so that there is none.
        """


class AbstractStepOptimizer(AbstractOptimizer):
    """An optimiser that takes a step for each batch.

    Contract: `step` is pure but for the moments, which it updates in place; it works on matrices
    with a leading run axis, and no run's result depends on another's row. A field with `Role.LANE`
    is a number a lane. An optimiser without a compiled step is stepped by torch on every device.

    Attributes:
        kernel_step: The same step for the compiled kernels; None where there is none.
    """

    trains_by: ClassVar[Literal["steps", "minimiser", "nothing"]] = "steps"
    kernel_step: ClassVar[KernelStep | None] = None

    @classmethod
    @abstractmethod
    def num_moments(cls, lanes: Sequence[Self]) -> int:
        """Return how many vectors like the parameters a pack of these runs keeps beside them."""

    @property
    def is_in_kernels(self) -> bool:
        """Whether there is a compiled step; the same for all runs that may share a pack."""
        return type(self).step_in_kernels() is not None

    @property
    def planned_moments(self) -> int:
        """Return what `num_moments` says of a pack of such runs."""
        return type(self).num_moments([self])

    @classmethod
    def step_in_kernels(cls) -> KernelStep | None:
        """Return `kernel_step`; None too where a subclass has a `step` that it does not match."""
        return cls.kernel_step if cls.says_of_its_step("kernel_step") else None

    @classmethod
    def says_of_its_step(cls, name: str) -> bool:
        """Return whether the class attribute `name` is of the class' `step`, not of an older one.

        A subclass with a `step` of its own has to say anew what holds of it.
        """
        steps = next(base for base in cls.__mro__ if "step" in vars(base))
        declares = next(base for base in cls.__mro__ if name in vars(base))
        return issubclass(declares, steps)

    @property
    def no_width_rule(self) -> str:
        """Why muP cannot scale its learning rate with the width; empty if it can."""
        if self.width_rule and not type(self).says_of_its_step("width_rule"):
            return (
                f"has a step of its own, of which no `width_rule` is said, not {self.width_rule!r}"
            )
        return super().no_width_rule

    def kernel_numbers(self) -> KernelNumbers:
        """Return the lane's numbers for the compiled kernels' step."""
        return KernelNumbers()

    @classmethod
    @abstractmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return the parameters after one step; `moments` are updated in place.

        Args:
            theta_KP: Parameters.
            gradient_KP: Gradient of the data loss; with that of the penalty, unless `is_decoupled`.
            pulled_KP: Gradient of the penalty over 2 gamma: theta itself for gamma |theta|^2.
            moments: As many as `num_moments` says, which begin at 0.
            numbers: Of the step.
        """

    def effective_rate(self, rate: float) -> float:
        """Return NaN: nothing is known of how a signal-free parameter shrinks."""
        del rate
        return NOT_KNOWN
