"""A user's own torch module, trained in packs.

Shapes: K runs, P parameters, B samples, I inputs, O outputs.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from symstudy.components import load_own
from symstudy.errors import ModelError
from symstudy.identity import stream_key
from symstudy.layout import Block, Layout
from symstudy.models.base import (
    AbstractModel,
    DenseStack,
    Forward,
    TrainingStep,
    split_parameters,
)
from symstudy.models.own.config import OwnModelConfig
from symstudy.models.own.inspection import inspect_module, seeded

__all__ = ["OwnModel", "build_own"]

EVALUATION_KEY = stream_key(0, "own module in evaluation") >> 1
"""Seed of what a module draws in evaluation: every run has the same draws at every probe."""


@final
class OwnModel(AbstractModel):
    """Any `nn.Module` that keeps no state, batched over runs.

    The module's own initialisation is used, seeded by the run's stream `initialisation`, and then
    multiplied by the run's scale. Parameters with `requires_grad = False` stay as they are, outside
    of penalty and counts. A module may declare its neurons and its symmetries by a method
    `symstudy_layout()` that returns a `symstudy.layout.Layout` over its trained parameters in their
    own order; its `forward` may then return `(output, {group name: activations})`. Without one it
    has no measures of neurons.

    Runs go through `torch.func.vmap` in one call. Where the module draws random numbers, or vmap
    does not know an operation, they go through one by one, each with a generator of its own: its
    numbers are the same in any pack.
    """

    def __init__(
        self,
        factory: Callable[..., nn.Module],
        arguments: Mapping[str, object],
        inputs: int,
        outputs: int,
    ) -> None:
        """Check that `factory(**arguments)` can be trained in a pack.

        Raises:
            ModelError: If it cannot; see `symstudy.models.own.inspection`.
        """
        self.factory = factory
        self.arguments = dict(arguments)
        self.inspected = inspect_module(self.make, factory.__name__, inputs, outputs)
        self.names = list(self.inspected.parameters)
        self.declared = self.declare_layout()
        self.can_vmap = vmaps(self, inputs)

    def make(self) -> nn.Module:
        """Return a fresh module, initialised from torch's global generator."""
        try:
            return self.factory(**self.arguments)
        except Exception as error:
            given = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
            raise ModelError(
                f"{self.factory.__name__}({given}) must be buildable from the keys of [model], but "
                f"raised {type(error).__name__}: {error}"
            ) from error

    def declare_layout(self) -> Layout:
        """Return the layout that the module declares, or one without neurons.

        Raises:
            ModelError: If the declared layout contradicts itself or the parameters.
        """
        parameters = self.inspected.parameters
        method = getattr(self.inspected.module, "symstudy_layout", None)
        name = self.factory.__name__
        try:
            declared: Layout = method() if callable(method) else layout_of(parameters)
        except AssertionError as error:
            raise ModelError(
                f"symstudy_layout() of {name} must be consistent, but this does not hold: {error}."
            ) from error
        shapes = [tuple(parameter.shape) for parameter in parameters.values()]
        if [block.shape for block in declared.blocks] != shapes:
            raise ModelError(
                f"symstudy_layout() of {name} must list the trained parameters in their own order, "
                f"but got shapes {[block.shape for block in declared.blocks]} for {shapes}."
            )
        return declared

    @property
    def layout(self) -> Layout:
        """The module's trained parameters in their own order, with the neurons it declared."""
        return self.declared

    @property
    def dense(self) -> DenseStack | None:
        """None: symstudy does not know what the module computes."""
        return None

    @property
    def is_stochastic(self) -> bool:
        """Whether a forward pass in training draws random numbers, as dropout does."""
        return self.inspected.draws_in_training

    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the module's own initial parameters for each seed, times the run's scale."""
        rows = {}
        for seed in set(seeds):
            module = seeded(self.make, seed)
            trained = [each for each in module.parameters() if each.requires_grad]
            rows[seed] = torch.cat([each.detach().flatten() for each in trained])
        theta_KP = torch.stack([rows[seed] for seed in seeds]).to(scales_K.dtype)
        return theta_KP * scales_K[:, None]

    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Return the module's outputs in evaluation mode, run by run."""
        module = self.inspected.module
        if self.inspected.draws_in_evaluation or not self.can_vmap:
            return self.one_by_one(module, theta_KP, x_KBI, [EVALUATION_KEY] * len(theta_KP))
        return self.at_once(module, theta_KP, x_KBI)

    def training_forward(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        x_KBI: Float[Tensor, "runs batch ..."],
        step: TrainingStep,
    ) -> Forward:
        """Return the module's outputs in training mode, with draws from each run's seed."""
        module = self.inspected.training_module
        if self.inspected.draws_in_training or not self.can_vmap:
            keys = [stream_key(seed, f"own module {step.step}") >> 1 for seed in step.seeds]
            return self.one_by_one(module, theta_KP, x_KBI, keys)
        return self.at_once(module, theta_KP, x_KBI)

    def constants(self, like: Tensor) -> dict[str, Tensor]:
        """Return frozen parameters and buffers on the device and in the precision of `like`."""
        return {
            name: value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
            for name, value in self.inspected.constants.items()
        }

    def blocks(self, theta_KP: Tensor) -> dict[str, Tensor]:
        """Return the trained parameters `[runs, ...]` by the module's own names."""
        blocks = split_parameters(self.layout, theta_KP)
        return dict(zip(self.names, blocks.values(), strict=True))

    def at_once(self, module: nn.Module, theta_KP: Tensor, x_KBI: Tensor) -> Forward:
        """Return the outputs of all runs in one batched call."""
        constants = self.constants(theta_KP)

        def single(parameters: dict[str, Tensor], x: Tensor) -> object:
            return functional_call(module, {**parameters, **constants}, (x,))

        result: Any = vmap(single, randomness="error")(self.blocks(theta_KP), x_KBI)
        if isinstance(result, tuple):
            output, hidden = result
            return Forward(output, dict(hidden))
        return Forward(result, {})

    def one_by_one(
        self, module: nn.Module, theta_KP: Tensor, x_KBI: Tensor, keys: Sequence[int]
    ) -> Forward:
        """Return the outputs of one run after another, each drawing from the seed in `keys`."""
        constants = self.constants(theta_KP)
        blocks = self.blocks(theta_KP)
        device = theta_KP.device
        results: list[Any] = []
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for k, key in enumerate(keys):
                torch.manual_seed(key)
                own = {name: block[k] for name, block in blocks.items()}
                results.append(functional_call(module, {**own, **constants}, (x_KBI[k],)))
        if not isinstance(results[0], tuple):
            return Forward(torch.stack(results), {})
        outputs, hidden = zip(*results, strict=True)
        names = list(hidden[0])
        return Forward(
            torch.stack(outputs),
            {name: torch.stack([each[name] for each in hidden]) for name in names},
        )


def vmaps(model: OwnModel, inputs: int) -> bool:
    """Return whether `torch.func.vmap` knows the module's operations and their gradients.

    A module that draws random numbers is not asked: it never goes through vmap.
    """
    inspected = model.inspected
    modes = {
        inspected.module: inspected.draws_in_evaluation,
        inspected.training_module: inspected.draws_in_training,
    }
    flat = torch.cat([each.detach().flatten() for each in inspected.parameters.values()])
    try:
        for module in [module for module, draws in modes.items() if not draws]:
            theta_KP = torch.stack([flat, flat]).requires_grad_(True)
            output = model.at_once(module, theta_KP, torch.zeros(2, 3, inputs)).output_KBO
            torch.autograd.grad(output.sum(), theta_KP)
    except Exception:  # noqa: BLE001  # whatever vmap cannot do is done one by one
        return False
    return True


def layout_of(parameters: dict[str, nn.Parameter]) -> Layout:
    """Return the layout of `parameters` with no neurons declared."""
    blocks = []
    at = 0
    for name, parameter in parameters.items():
        shape = tuple(parameter.shape)
        block = Block(
            name=name,
            shape=shape,
            offset=at,
            axes=tuple(f"{name}.{axis}" for axis in range(len(shape))),
            role="weight" if len(shape) > 1 else "bias",
            fan_in=max(1, parameter[0].numel()) if shape else 1,
        )
        blocks.append(block)
        at = block.stop
    return Layout(blocks=tuple(blocks))


def build_own(config: OwnModelConfig, input_dim: int, output_dim: int) -> OwnModel:
    """Import the class that `config.kind` names and wrap it.

    Args:
        config: `kind` is `package.module:Class`; `arguments` go to the class, and `input_dim` and
            `output_dim` too where it takes parameters of these names.
        input_dim: Number of inputs of the data.
        output_dim: Number of outputs of the data.

    Raises:
        ModelError: If there is no such module or class, or it is no `nn.Module`.
    """
    factory = load_own(config.kind, "model.kind")
    if not (isinstance(factory, type) and issubclass(factory, nn.Module)):
        raise ModelError(
            "model.kind must name a torch.nn.Module as package.module:Class, but got "
            f"{config.kind!r}, which is a {type(factory).__name__}."
        )
    arguments = dict(config.arguments)
    for key, value in sizes_wanted(factory, input_dim, output_dim).items():
        arguments.setdefault(key, value)
    return OwnModel(factory, arguments, input_dim, output_dim)


def sizes_wanted(factory: type[nn.Module], input_dim: int, output_dim: int) -> dict[str, Any]:
    """Return the sizes of the data that the constructor has parameters for, keyword-only or not.

    A constructor that was wrapped is looked at through `functools.wraps`.
    """
    known = inspect.signature(factory).parameters
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    sizes = {"input_dim": input_dim, "output_dim": output_dim}
    return {
        name: value for name, value in sizes.items() if name in known and known[name].kind in kinds
    }
