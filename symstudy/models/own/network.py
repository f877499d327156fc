"""A user's own torch module, trained in packs through `torch.func.vmap`."""

import importlib
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from symstudy.errors import ModelError
from symstudy.identity import stream_key
from symstudy.layout import Block, Layout
from symstudy.models.base import AbstractModel, DenseStack, Forward, split_parameters
from symstudy.models.own.config import OwnModelConfig

__all__ = ["OwnModel", "build_own"]


class OwnModel(AbstractModel):
    """Any `nn.Module` without buffers, batched over runs by `torch.func.vmap`.

    The module's own initialisation is used, seeded by the run's stream `initialisation`, and then
    multiplied by the run's scale. A module may declare its neurons and its symmetries by a method
    `symstudy_layout()` that returns a `symstudy.layout.Layout` over its parameters in their own
    order; its `forward` may then return `(output, {group name: activations})`. Without one it has
    no measures of neurons.
    """

    def __init__(self, factory: type[nn.Module], arguments: dict[str, object]) -> None:
        """Check that `factory(**arguments)` can be trained in a pack.

        Raises:
            ModelError: If it cannot be built, has no parameters, or keeps state in buffers.
        """
        self.factory = factory
        self.arguments = arguments
        with torch.random.fork_rng(devices=[]):
            self.module = self.make()
        buffers = [name for name, _ in self.module.named_buffers()]
        if buffers:
            raise ModelError(
                f"{factory.__name__} must keep no state outside its parameters, but got the "
                f"buffers {', '.join(buffers)}. Replace batch statistics by LayerNorm or "
                "GroupNorm."
            )
        parameters = dict(self.module.named_parameters())
        if not parameters:
            raise ModelError(f"{factory.__name__} must have parameters, but got none.")
        declared = getattr(self.module, "symstudy_layout", None)
        try:
            self.declared = declared() if callable(declared) else layout_of(parameters)
        except AssertionError as error:
            raise ModelError(
                f"symstudy_layout() of {factory.__name__} must be consistent, but this does not "
                f"hold: {error}."
            ) from error
        self.names = list(parameters)
        shapes = [tuple(parameter.shape) for parameter in parameters.values()]
        if [block.shape for block in self.declared.blocks] != shapes:
            raise ModelError(
                f"symstudy_layout() of {factory.__name__} must list the parameters in their own "
                f"order, but got shapes {[block.shape for block in self.declared.blocks]} for "
                f"{shapes}."
            )

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

    @property
    def layout(self) -> Layout:
        """The module's parameters in their own order, with the neurons it declared."""
        return self.declared

    @property
    def dense(self) -> DenseStack | None:
        """None: symstudy does not know what the module computes."""
        return None

    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the module's own initial parameters for each seed, times the run's scale."""
        rows = {}
        for seed in set(seeds):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(stream_key(seed, "initialisation") >> 1)
                module = self.make()
            rows[seed] = torch.cat([p.detach().flatten() for p in module.parameters()])
        theta_KP = torch.stack([rows[seed] for seed in seeds]).to(scales_K.dtype)
        return theta_KP * scales_K[:, None]

    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Return what the module makes of the inputs, run by run, in one batched call."""
        blocks = split_parameters(self.layout, theta_KP)
        stacked = dict(zip(self.names, blocks.values(), strict=True))

        def single(parameters: dict[str, Tensor], x: Tensor) -> object:
            return functional_call(self.module, parameters, (x,))

        result: Any = vmap(single, randomness="different")(stacked, x_KBI)
        if isinstance(result, tuple):
            output, hidden = result
            return Forward(output, dict(hidden))
        return Forward(result, {})


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
    path, _, name = config.kind.partition(":")
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise ModelError(
            f"model.kind must name an importable module, but got {config.kind!r}: {error}. "
            "Install the package, or run from the folder that holds it."
        ) from error
    factory = getattr(module, name, None)
    if not (isinstance(factory, type) and issubclass(factory, nn.Module)):
        raise ModelError(
            "model.kind must name a torch.nn.Module as package.module:Class, but got "
            f"{config.kind!r}."
        )
    arguments = dict(config.arguments)
    wanted = factory.__init__.__code__.co_varnames[: factory.__init__.__code__.co_argcount]
    for key, value in (("input_dim", input_dim), ("output_dim", output_dim)):
        if key in wanted:
            arguments.setdefault(key, value)
    return OwnModel(factory, arguments)
