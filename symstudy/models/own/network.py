"""A user's own torch module, trained in packs.

Shapes: K runs, P parameters, B samples, I inputs, O outputs.
"""

import copy
import functools
import math
from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from symstudy.components import DataShape
from symstudy.errors import LaunchError, ModelError
from symstudy.layout import Layout
from symstudy.models.base import (
    NO_BUFFERS,
    AbstractModel,
    Buffers,
    Forward,
    ModuleFacts,
    TrainingStep,
)
from symstudy.models.own.agreement import check_apart, why_not_at_once
from symstudy.models.own.counting import count_module
from symstudy.models.own.draws import EVALUATION_KEY, step_key
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.inspection import SAMPLES, held_beside, inspect_module, trial_inputs
from symstudy.models.own.kernel_form import KernelForm, find_form
from symstudy.models.own.last_layer import capture_last, find_last_layer, take_last
from symstudy.models.own.layouts import FoundLayout, find_layout, flat_layout
from symstudy.models.own.outputs import read_returned
from symstudy.models.own.passes import LanePool, LaneTensors, Passed, at_once, one_by_one
from symstudy.models.stacks import DenseStack, ImageStack
from symstudy.symmetry.derivation import capture_hidden

__all__ = ["OwnModel"]

DRAWS = "it draws random numbers, and a run's draws must not depend on its pack"


@final
class OwnModel(AbstractModel):
    """Any `nn.Module`, batched over runs.

    The module's own initialisation is used, seeded by the run's stream `initialisation`, and then
    multiplied by the run's scale. Parameters with `requires_grad = False` stay as they are, outside
    of penalty and counts. Buffers that a training step changes, or that differ between seeds, are
    each run's own. A module may declare its neurons and its symmetries by a method
    `symstudy_layout()` that returns a `symstudy.layout.Layout` over its trained parameters in their
    own order; its `forward` may then return `(output, {group name: activations})`. Without one the
    layout is derived, and activations are caught where they enter or leave modules inside.

    Runs go through `torch.func.vmap` in one call. They go one by one, each with a generator of its
    own, where the module draws random numbers, where vmap does not know an operation or computes
    something else, and where one call for all gains nothing (`adapted`).

    Attributes:
        factory: Makes the module.
        inspected: What was found out about it.
        size: What was counted in a forward pass.
        reasons: Why runs go one by one, in training and in evaluation; empty where they do not.
    """

    def __init__(
        self, factory: ModuleFactory, data: DataShape, *, is_measured: bool = True
    ) -> None:
        """Check that what `factory` makes can be trained in a pack on such data.

        Args:
            factory: Makes the module.
            data: Shape of the data.
            is_measured: Whether neurons are measured on these weights; no layout is derived
                otherwise.

        Raises:
            ModelError: If it cannot; see `symstudy.models.own.inspection`.
        """
        self.factory = factory
        self.data = data
        self.inspected = inspect_module(factory, data)
        self.names = list(self.inspected.parameters)
        self.shapes = [tuple(each.shape) for each in self.inspected.parameters.values()]
        self.found = self.find_layout(is_measured=is_measured)
        self.buffers = NO_BUFFERS
        self.moved: dict[tuple[torch.device, torch.dtype], dict[str, Tensor]] = {}
        x = trial_inputs(data, SAMPLES)
        self.last = find_last_layer(self.inspected.module, x, predicts=self.inspected.predicts)
        self.pool = LanePool(lambda: self.captured(factory.make(0)))
        self.has_agreed: set[str] = set()
        self.reasons = {training: self.why_apart(training=training) for training in (True, False)}
        self.check_one_by_one()
        self.size = count_module(
            self.inspected.training_module, data, self.layout, can_batch=not self.reasons[True]
        )
        # Found out when it is asked for, once for the copies that `adapted` makes too.
        self.find_form = functools.cache(lambda: find_form(factory, data, self.inspected))
        # Not before: until here it was held against a module that returns no activations.
        self.captured(self.inspected.module)

    def captured(self, module: nn.Module) -> nn.Module:
        """Make a module return its activations and its last layer in evaluation, and return it."""
        return capture_last(capture_hidden(module, self.found.captures), self.last.path)

    def why_apart(self, *, training: bool) -> str:
        """Return why runs must go one by one; empty if they need not."""
        inspected = self.inspected
        if inspected.draws_in_training if training else inspected.draws_in_evaluation:
            return DRAWS

        bound = self.with_buffers(self.initial_buffers((0, 1), torch.float32))

        def runs(theta_KP: Tensor, x_KB: Tensor, keys: list[int]) -> Passed:
            del keys
            return bound.batched(theta_KP, x_KB, training=training)

        theta_KP = self.initialise((0, 1), torch.ones(2))
        names = inspected.lane_names
        return why_not_at_once(runs, theta_KP, self.factory, self.data, names, training=training)

    def check_one_by_one(self) -> None:
        """Check that runs that go one by one compute what the module would, if they go so.

        Raises:
            ModelError: If they do not.
        """
        if not self.reasons[True] or self.has_agreed:
            return
        bound = self.with_buffers(self.initial_buffers((0, 1), torch.float32))

        def runs(theta_KP: Tensor, x_KB: Tensor, keys: list[int]) -> Passed:
            return bound.apart(theta_KP, x_KB, keys, training=True)

        theta_KP = self.initialise((0, 1), torch.ones(2))
        check_apart(runs, theta_KP, self.factory, self.data, self.inspected.lane_names)
        # Shared with the copies that `adapted` makes.
        self.has_agreed.add(self.factory.name)

    def find_layout(self, *, is_measured: bool) -> FoundLayout:
        """Return the layout that the module declares, or a derived one.

        Raises:
            ModelError: If the declared layout contradicts itself or the parameters.
        """
        inspected = self.inspected
        if not (is_measured or hasattr(inspected.module, "symstudy_layout")):
            return FoundLayout(flat_layout(inspected.parameters))
        x = trial_inputs(self.data, SAMPLES)
        return find_layout(inspected.module, inspected.parameters, x, self.factory.name)

    @property
    def layout(self) -> Layout:
        """The module's trained parameters in their own order, with its neurons."""
        return self.found.layout

    @property
    def form(self) -> KernelForm:
        """What the compiled kernels know the module as."""
        return self.find_form()

    @property
    def dense(self) -> DenseStack | None:
        """The module as a stack of dense layers, or None where it is more than that."""
        return self.form.dense

    @property
    def images(self) -> ImageStack:
        """The module as convolutions for the compiled kernels, or why it is none."""
        return self.form.images

    @property
    def is_stochastic(self) -> bool:
        """Whether a forward pass in training draws random numbers, as dropout does."""
        return self.inspected.draws_in_training

    @property
    def is_stateful(self) -> bool:
        """Whether a training step changes buffers, or seeds differ in them."""
        return bool(self.inspected.lane_names)

    @property
    def predicts(self) -> bool:
        """Whether the module returns a tensor with a row a sample and a column an output."""
        return self.inspected.predicts

    @property
    def why_no_features(self) -> str:
        """Why no linear layer of the module was found to make its outputs; empty if one was."""
        return self.last.reason

    @property
    def activations(self) -> int:
        """Numbers that a sample leaves for the backward pass."""
        return self.size.activations

    @property
    def facts(self) -> ModuleFacts:
        """What a user is told of the module."""
        inspected = self.inspected
        frozen = [each for each in inspected.module.parameters() if not each.requires_grad]
        held = held_beside(inspected.module)
        buffers = {name for name, _ in inspected.module.named_buffers()}
        return ModuleFacts(
            call=str(self.factory),
            returns=inspected.returns,
            frozen=sum(each.numel() for each in frozen),
            shared=sum(each.numel() for key, each in inspected.constants.items() if key in buffers),
            own=sum(held[key].numel() for key in inspected.lane_names),
            own_names=inspected.lane_names,
            reason=self.reasons[True],
            measured=self.found.described(),
        )

    @property
    def returns(self) -> str:
        """Shapes of what the loss is given, where that is more than outputs; empty elsewhere."""
        return "" if self.inspected.is_plain else self.inspected.returns

    def is_batched(self, *, training: bool) -> bool:
        """Return whether runs go through in one batched call, or one after another."""
        return not self.reasons[training]

    def adapted(
        self, batch: int, device: str, vmap: Literal["auto", "always", "never"]
    ) -> "OwnModel":
        """Return the model with its runs batched or one after another.

        They are batched where they can be and where an operation is small, by the multiplications
        counted in a forward pass.

        Raises:
            LaunchError: If `vmap` is `always` and runs cannot be batched.
        """
        if vmap == "always":
            if self.reasons[True]:
                raise LaunchError(
                    f"pack.vmap = 'always' must be with a module whose runs can be one call, but "
                    f"{self.factory.name} is none: {self.reasons[True]}. Type pack.vmap=auto."
                )
            return self
        reason = "pack.vmap = 'never'" if vmap == "never" else ""
        if vmap == "auto" and self.size.is_large_call(batch, device):
            work = self.size.products * batch / self.size.calls
            reason = (
                f"an operation takes {work:.2g} multiplications on average, so that one call for "
                "all runs gains nothing"
            )
        if not reason:
            return self
        chosen = copy.copy(self)
        chosen.reasons = {mode: told or reason for mode, told in self.reasons.items()}
        chosen.check_one_by_one()
        return chosen

    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the module's own initial parameters for each seed, times the run's scale."""
        rows = {}
        for seed in set(seeds):
            module = self.factory.make(seed)
            trained = [each for each in module.parameters() if each.requires_grad]
            rows[seed] = torch.cat([each.detach().flatten() for each in trained])
        theta_KP = torch.stack([rows[seed] for seed in seeds]).to(scales_K.dtype)
        return theta_KP * scales_K[:, None]

    def initial_buffers(self, seeds: Sequence[int], dtype: torch.dtype) -> Buffers:
        """Return the buffers and frozen parameters that are each run's own, as they start."""
        names = self.inspected.lane_names
        if not names:
            return NO_BUFFERS
        held = {seed: held_beside(self.factory.make(seed)) for seed in set(seeds)}
        return {
            name: cast(torch.stack([held[seed][name] for seed in seeds]), dtype) for name in names
        }

    def with_buffers(self, buffers: Buffers) -> "OwnModel":
        """Return the model with the buffers of the runs that it is evaluated for."""
        bound = copy.copy(self)
        bound.buffers = buffers
        return bound

    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Return the module's outputs in evaluation mode, run by run."""
        x_KB = self.shaped(x_KBI)
        if self.is_batched(training=False):
            return self.read(self.batched(theta_KP, x_KB, training=False), x_KBI)
        keys = [EVALUATION_KEY] * len(theta_KP)
        return self.read(self.apart(theta_KP, x_KB, keys, training=False), x_KBI)

    def training_forward(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        x_KBI: Float[Tensor, "runs batch ..."],
        step: TrainingStep,
    ) -> Forward:
        """Return the module's outputs in training mode, with draws from each run's seed."""
        x_KB = self.shaped(x_KBI)
        if self.is_batched(training=True):
            return self.read(self.batched(theta_KP, x_KB, training=True), x_KBI)
        keys = [step_key(seed, step.step) for seed in step.seeds]
        return self.read(self.apart(theta_KP, x_KB, keys, training=True), x_KBI)

    def shaped(self, x_KBI: Float[Tensor, "runs batch ..."]) -> Tensor:
        """Return flat rows of inputs in the axes of a sample, as integers where they are."""
        x_KB = x_KBI.reshape(*x_KBI.shape[:2], *(self.data.input_shape or (self.data.inputs,)))
        return x_KB.to(torch.int64) if self.data.is_integer else x_KB

    def read(self, passed: Passed, x_KBI: Tensor) -> Forward:
        """Return the parts of what the module returned."""
        found = read_returned(passed.result)
        if self.predicts:
            assert found.prediction is not None, "what predicts returns a prediction"
            returned = None if found.for_loss is found.prediction else found.for_loss
            last, hidden = take_last(found.hidden)
            return Forward(found.prediction, hidden, returned, passed.buffers, last=last)
        nothing_KBO = torch.full(
            (*x_KBI.shape[:2], self.data.outputs), torch.nan, device=x_KBI.device
        )
        return Forward(nothing_KBO, found.hidden, found.for_loss, passed.buffers)

    def constants(self, like: Tensor) -> dict[str, Tensor]:
        """Return what all runs share on the device and in the precision of `like`."""
        key = (like.device, like.dtype)
        if key not in self.moved:
            self.moved[key] = {
                name: cast(value, like.dtype).to(like.device)
                for name, value in self.inspected.constants.items()
            }
        return self.moved[key]

    def held(self, runs: int) -> Buffers:
        """Return the buffers of so many runs.

        Raises:
            ModelError: If they have not been given, or are those of other runs.
        """
        names = self.inspected.lane_names
        given = {len(each) for each in self.buffers.values()}
        if names and given != {runs}:
            raise ModelError(
                f"{self.factory.name} must be evaluated with the buffers of its {runs} runs "
                f"({', '.join(names)}), but got those of {max(given, default=0)}. A measure has to "
                "evaluate each network once a call; in Python write model.with_buffers("
                "model.initial_buffers(seeds, torch.float32))."
            )
        return self.buffers

    def blocks(self, theta: Tensor) -> dict[str, Tensor]:
        """Return the trained parameters in their shapes by the module's own names.

        Args:
            theta: Of all runs, `[runs, parameters]`, or of one, `[parameters]`.
        """
        # Blocks of the layout may be parts of parameters.
        pieces = torch.split(theta, [math.prod(shape) for shape in self.shapes], dim=-1)
        return {
            name: piece.view(*theta.shape[:-1], *shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def batched(self, theta_KP: Tensor, x_KB: Tensor, *, training: bool) -> Passed:
        """Return the results of all runs in one batched call."""
        inspected = self.inspected
        module = inspected.training_module if training else inspected.module
        buffers, constants = self.held(len(theta_KP)), self.constants(theta_KP)
        tensors = LaneTensors([self.blocks(theta_KP)], buffers, constants)
        return at_once(module, tensors, x_KB, self.factory.name)

    def apart(
        self, theta_KP: Tensor, x_KB: Tensor, keys: Sequence[int], *, training: bool
    ) -> Passed:
        """Return the results of one run after another, each drawing from the seed in `keys`."""
        # Unbound, not indexed: the gradient of an index is as large as all runs together.
        rows = [self.blocks(theta_P) for theta_P in theta_KP.unbind(0)]
        tensors = LaneTensors(rows, self.held(len(rows)), self.constants(theta_KP))
        modules = self.pool.take(len(rows), training=training)
        return one_by_one(modules, tensors, x_KB, keys, self.factory.name)


def cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return floating numbers in `dtype`, and others as they are."""
    return value.to(dtype) if value.is_floating_point() else value
