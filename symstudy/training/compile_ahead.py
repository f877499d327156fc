"""Compile all that the compiled engine needs: `python -m symstudy.training.compile_ahead`.

An installation or an image that runs this spares its first study the wait. Optimisers that other
packages install are compiled too; one that a study file names as `package.module:Name` is compiled
when it first trains.
"""

import time

from symstudy.components import load_all
from symstudy.kernels.ahead import compile_kernels
from symstudy.kernels.steps import KernelStep
from symstudy.optimizers import AbstractStepOptimizer

__all__ = ["compile_all", "known_steps"]


def known_steps() -> list[KernelStep]:
    """Return the compiled steps of all optimisers that are built in or installed, each once."""
    found = load_all("optimizers").values()
    steps = [each.step_in_kernels() for each in found if issubclass(each, AbstractStepOptimizer)]
    return list(dict.fromkeys(step for step in steps if step is not None))


def compile_all() -> None:
    """Compile every kernel and every known step, in each precision."""
    compile_kernels(known_steps())


if __name__ == "__main__":
    start = time.perf_counter()
    compile_all()
    print(f"kernels are ready after {time.perf_counter() - start:.1f} s")  # noqa: T201
