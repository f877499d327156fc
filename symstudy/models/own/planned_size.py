"""The size of a user's own module, for a plan: built, tried and counted once a shape."""

import time
from typing import Any

from symstudy.components import DataShape, NetworkSize
from symstudy.identity import canonical_json
from symstudy.models.own.building import build_own
from symstudy.models.own.config import OwnModelConfig
from symstudy.models.own.factory import find_factory
from symstudy.models.own.kernel_form import KernelForm

__all__ = ["size_of_own"]

LIMIT_S = 30.0
"""After so much processor time, further shapes of a class are taken to be as large as its largest
yet."""
COUNTED: dict[tuple[Any, str, DataShape], NetworkSize] = {}
"""Sizes by class or function, arguments, and shape of the data."""
SPENT_S: dict[Any, float] = {}
"""Processor time spent on each class or function."""


def size_of_own(config: OwnModelConfig, data: DataShape) -> NetworkSize:
    """Return the size of the module that `config` describes, on data of a shape.

    Raises:
        ModelError: If it cannot be built, or cannot be trained.
    """
    factory = find_factory(config, data)
    key = (factory.call, canonical_json(config.arguments), data)
    if key in COUNTED:
        return COUNTED[key]
    if SPENT_S.get(factory.call, 0.0) > LIMIT_S:
        known = [size for (call, _, _), size in COUNTED.items() if call is factory.call]
        return max(known, key=lambda size: size.parameters)
    start = time.process_time()
    try:
        model = build_own(config, data)
    finally:
        SPENT_S[factory.call] = SPENT_S.get(factory.call, 0.0) + time.process_time() - start
    # Not in the time that is spent: the first kernels on a machine are compiled here.
    COUNTED[key] = with_kernels(model.size, model.form)
    return COUNTED[key]


def with_kernels(size: NetworkSize, form: KernelForm) -> NetworkSize:
    """Return a size that says what the compiled kernels know the module as."""
    return size._replace(
        is_dense=form.dense is not None,
        channels=form.images.widest,
        unknown=form.reason,
    )
