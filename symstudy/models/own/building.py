"""Models of the user's own modules, built once a process while they are in use."""

from typing import Any

from symstudy.components import DataShape
from symstudy.components.opened_files import hash_files
from symstudy.models.config import Reparametrise
from symstudy.models.own.config import OwnModelConfig
from symstudy.models.own.factory import ModuleFactory, find_factory
from symstudy.models.own.network import OwnModel

__all__ = ["build_own", "wrap_module"]

BUILT: dict[tuple[Any, str, DataShape, bool], OwnModel] = {}
"""The models that were built last, by class or function, arguments and data: a process trains many
packs of one shape, and to try a large module takes seconds."""
MOST_BUILT = 4


def build_own(config: OwnModelConfig, data: DataShape) -> OwnModel:
    """Import what `config.kind` names, and wrap the module that it makes.

    Args:
        config: `kind` is `package.module:Name`; `arguments` go to the class or function.
        data: Sizes that it may be told; see `symstudy.models.own.factory.find_factory`.

    Raises:
        ModelError: If there is no such class or function, or its module cannot be trained.
    """
    return wrap_module(find_factory(config, data), data, config.reparametrise)


def wrap_module(factory: ModuleFactory, data: DataShape, reparametrise: Reparametrise) -> OwnModel:
    """Return the module that `factory` makes as a model; the last few are kept.

    Raises:
        ModelError: If it cannot be trained.
    """
    # Factors of weights have a layout of their own.
    is_measured = reparametrise == "none"
    key = (factory.call, str(factory) + hash_files(factory.files), data, is_measured)
    if key not in BUILT:
        while len(BUILT) >= MOST_BUILT:
            del BUILT[next(iter(BUILT))]
        BUILT[key] = OwnModel(factory, data, is_measured=is_measured)
    return BUILT[key]
