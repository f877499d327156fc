"""The contract of a model's configuration: what a study file says of it, read without torch."""

import importlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from symstudy.components import Component, DataShape, NetworkSize

if TYPE_CHECKING:
    from symstudy.models.base import AbstractModel

__all__ = ["AbstractModelConfig", "Activation", "Reparametrise", "build_model"]

Reparametrise = Literal["none", "hadamard", "gate", "factorised"]
Activation = Literal["tanh", "silu", "relu", "gelu", "sin", "linear", "polynomial"]


class AbstractModelConfig(Component):
    """A model as the `[model]` table describes it.

    Contract: `build` imports torch and returns a network of fixed shape, the same for the same
    configuration and data; `size` reads no data, and needs torch only where a module of the user's
    own has to be built to be counted.

    Attributes:
        kind: Name of the model.
        network: Import path of the function or class that builds it, `module:name`, called with the
            configuration, the number of inputs and that of outputs, unless `build` says otherwise.
        pads: Key of the width along which runs may be padded to one shape; empty if they may not.
        reads_integers: Whether it can be given integers, such as the numbers of tokens.
        needs_data: Whether it is trained; a model of weights from a file is measured as it is.
        is_own_code: Whether it is code of the user's own, which is tried before it is trained.
    """

    table: ClassVar[str] = "model"
    network: ClassVar[str]
    pads: ClassVar[str] = ""
    reads_integers: ClassVar[bool] = False
    needs_data: ClassVar[bool] = True
    is_own_code: ClassVar[bool] = False
    kind: str

    @property
    @abstractmethod
    def reparametrise(self) -> Reparametrise:
        """How weights are written as products."""

    @property
    def is_width_scaled(self) -> bool:
        """Whether initial weights and learning rates follow the width rules of muP."""
        return False

    @property
    def scale(self) -> float:
        """Factor on the initial weights."""
        return float(getattr(self, "init_scale", 1.0))

    @abstractmethod
    def size(self, data: DataShape) -> NetworkSize:
        """Return the size of the network on data of the given shape, weights as products or not.

        Raises:
            ModelError: If it has to be built for that, and cannot be.
        """

    def build(self, data: DataShape) -> "AbstractModel":
        """Return the network for data of the given shape, its weights not yet as products.

        Raises:
            ModelError: If it cannot be built.
        """
        model: AbstractModel = self.builder()(self.fitted(data), data.inputs, data.outputs)
        return model

    def builder(self) -> Callable[..., Any]:
        """Return the function or class that `network` names."""
        module, _, name = self.network.partition(":")
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return found

    def misfits(self, data: DataShape) -> Iterator[tuple[str, str]]:
        """Yield the key and what must hold where the model cannot be given the data."""
        del data
        yield from ()

    def check_files(self) -> str:
        """Return how its files differ from those that were planned; empty if they do not."""
        return ""

    def fitted(self, data: DataShape) -> Self:
        """Return the configuration with what it takes from the data filled in."""
        del data
        return self

    @property
    def missing(self) -> str:
        """Path of a file that the model is read from and that is not there yet; empty for none."""
        return ""


def build_model(config: AbstractModelConfig, data: DataShape) -> "AbstractModel":
    """Return the network that `config` describes, for data of the given shape.

    Raises:
        ModelError: If a user's own module cannot be built or packed, trained weights not read, or
            inputs not cut into tokens.
    """
    model = config.build(data)
    if config.reparametrise == "none":
        return model
    wrapper = importlib.import_module("symstudy.models.reparametrised")
    factored: AbstractModel = wrapper.Reparametrised(model, config.reparametrise)
    return factored
