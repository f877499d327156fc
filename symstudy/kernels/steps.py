"""An optimiser's step as the compiled kernels take it: a function in the optimiser's own file.

The step is compiled by itself and handed to the kernels as a pointer, so that they are compiled
once for all steps and know no optimiser. This module imports no numba: a step is compiled when a
pack first needs it, in the precision of that pack, and kept on disk for every later process.
"""

import dataclasses
import dis
import functools
import hashlib
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import DTypeLike

from symstudy.errors import ModelError

__all__ = ["KernelStep", "LaneNumbers"]

PARAMETERS = ["theta", "first", "second", "gradient", "numbers"]
MODULES = (math, np)
"""Modules that a step may use; their constants are the same wherever it is compiled."""


class LaneNumbers(NamedTuple):
    """The numbers of one step of one lane, in the precision of the parameters but for `time`.

    A coupled penalty gamma |theta|^2 adds `coupled` theta to the gradient; a decoupled one shrinks
    the parameters to `shrink` theta beside the step. The other is 0 or 1, so a step may have both.

    Attributes:
        rate: Learning rate.
        coupled: 2 gamma; 0 where the optimiser is decoupled.
        shrink: 1 - rate x 2 gamma where the optimiser is decoupled; else 1.
        beta1: Of `KernelNumbers`.
        beta2: Of `KernelNumbers`.
        epsilon: Of `KernelNumbers`.
        extra: Of `KernelNumbers`.
        time: Number of the step, from 1.
    """

    rate: Any
    coupled: Any
    shrink: Any
    beta1: Any
    beta2: Any
    epsilon: Any
    extra: Any
    time: Any


StepFunction = Callable[[Any, Any, Any, Any, LaneNumbers], None]


@final
@dataclasses.dataclass(frozen=True)
class KernelStep:
    """One step of one lane, in place, for the compiled kernels; a decorator of a plain function.

    Contract: `function(theta, first, second, gradient, numbers)` moves the vector `theta` by its
    `gradient`, in loops over single parameters, and updates the moments `first` and `second`; one
    that `num_moments` does not count has no items. It reads of its module numbers, `math` and
    `numpy` alone, neither raises nor allocates, and does not depend on the lane.

    Attributes:
        function: What is compiled.
    """

    function: StepFunction

    def __post_init__(self) -> None:
        """Check what Numba would compile to something else than Python runs.

        Raises:
            ModelError: If the function does not keep the contract.
        """
        found = list(inspect.signature(self.function).parameters)
        if found != PARAMETERS:
            raise self.refusal(f"have the parameters {', '.join(PARAMETERS)}", ", ".join(found))
        if not isinstance(self.function, FunctionType) or self.function.__closure__:
            raise self.refusal("be a function of its module", "one that holds variables of another")
        if any(each.opname == "RAISE_VARARGS" for each in dis.get_instructions(self.function)):
            raise self.refusal("raise nothing, which kernels cannot pass on", "`raise` or `assert`")
        for name, value in self.globals().items():
            if not isinstance(value, int | float) and all(value is not each for each in MODULES):
                what = "read only numbers, math and numpy of its module"
                raise self.refusal(what, f"{name!r}, a {type(value).__name__}")

    def refusal(self, what: str, got: str) -> ModelError:
        """Return the error of a function that does not keep the contract."""
        code = self.code
        return ModelError(
            f"a compiled step must {what}, but got {got} ({self.function.__name__!r}, "
            f"{code.co_filename}:{code.co_firstlineno}). Mend it, or leave out `kernel_step`: then "
            "torch takes the steps."
        )

    @property
    def code(self) -> CodeType:
        """The bytecode of the function."""
        return self.function.__code__

    def globals(self) -> dict[str, Any]:
        """Return what the function reads of its module, by name."""
        known = self.function.__globals__
        steps = dis.get_instructions(self.function)
        names = {each.argval for each in steps if each.opname == "LOAD_GLOBAL"}
        return {name: known[name] for name in sorted(names) if name in known}

    def stamp(self) -> str:
        """Return a hash of all that the compiled code depends on.

        Numba keeps constants of the module in the code, and would not notice that one has changed
        which comes from another file.

        Raises:
            ModelError: If the function does not stand in a file.
        """
        path = Path(self.code.co_filename)
        if not path.is_file():
            raise self.refusal("stand in a file, where Numba reads it", str(path))
        read = [(name, repr(value)) for name, value in self.globals().items()]
        whole = hashlib.blake2b(path.read_bytes(), digest_size=8)
        whole.update(repr(read).encode())
        return whole.hexdigest()

    def compiled(self, kind: DTypeLike) -> Any:
        """Return the step for the kernels, compiled in the precision `kind` if it is not yet."""
        return compiled_step(self, np.dtype(kind))


@functools.cache
def compiled_step(step: KernelStep, kind: np.dtype[Any]) -> Any:
    """Return what `KernelStep.compiled` returns, worked out once."""
    from symstudy.kernels import jit

    numbers = [*[kind.name] * (len(LaneNumbers._fields) - 1), "int64"]
    name = f"{step.function.__name__}-{step.stamp()}"
    try:
        return jit.compile_pointer(step.function, kind.name, LaneNumbers, numbers, name)
    except jit.NotCompilable as error:
        raise step.refusal("be what Numba compiles", f"this: {error}") from error
