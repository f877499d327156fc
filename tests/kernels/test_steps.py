"""What a compiled step must be, and when it is compiled anew."""

import math
from types import FunctionType
from typing import Any

import pytest

from symstudy.errors import ModelError
from symstudy.kernels.steps import KernelStep
from symstudy.optimizers.sgd import Sgd, descend

FACTOR = 0.5
TEXT = "not a number"
size = "a name that a step may have for something else"


def scaled(theta, first, second, gradient, numbers):
    for i in range(theta.size):
        theta[i] -= FACTOR * numbers.rate * math.tanh(gradient[i])


def raising(theta, first, second, gradient, numbers):
    assert theta.size > 0


def reading(theta, first, second, gradient, numbers):
    theta[0] = len(TEXT)


def calling(theta, first, second, gradient, numbers):
    scaled(theta, first, second, gradient, numbers)


def short(theta, gradient):
    theta[0] = gradient[0]


def not_compilable(theta, first, second, gradient, numbers):
    theta[0] = {"a": [1.0]}.popitem()[1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raising, "raise nothing, which kernels cannot pass on, but got `raise` or `assert`"),
        (reading, "only numbers, math and numpy of its module, but got 'TEXT', a str"),
        (calling, "only numbers, math and numpy of its module, but got 'scaled', a function"),
        (short, "have the parameters theta, first, second, gradient, numbers, but got theta, grad"),
    ],
)
def test_a_step_that_kernels_would_run_otherwise_is_refused_where_it_is_declared(function, message):
    with pytest.raises(ModelError, match=rf"{message}.*test_steps\.py:\d+\). Mend it"):
        KernelStep(function)


def test_a_step_that_holds_variables_of_another_function_is_refused():
    factor = 2.0

    def inner(theta, first, second, gradient, numbers):
        theta[0] = factor

    with pytest.raises(ModelError, match="must be a function of its module"):
        KernelStep(inner)


def test_a_step_that_numba_cannot_compile_is_told_with_its_line():
    with pytest.raises(ModelError, match=r"(?s)be what Numba compiles.*test_steps\.py"):
        KernelStep(not_compilable).compiled("f8")


def test_a_step_is_told_to_stand_in_a_file():
    known: dict[str, Any] = {}
    exec("def typed(theta, first, second, gradient, numbers):\n    theta[0] = 1.0\n", known)
    with pytest.raises(
        ModelError, match="must stand in a file, where Numba reads it, but got <str"
    ):
        KernelStep(known["typed"]).compiled("f8")


def test_a_constant_that_came_from_another_file_changes_the_folder_of_the_compiled_step():
    known = {**scaled.__globals__, "FACTOR": 0.25}
    changed = FunctionType(scaled.__code__, known, "scaled")
    assert KernelStep(scaled).stamp() == KernelStep(scaled).stamp()
    assert KernelStep(changed).stamp() != KernelStep(scaled).stamp()


def test_a_compiled_step_is_not_that_of_a_subclass_with_another_step():
    class Other(Sgd):
        @classmethod
        def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
            return theta_KP

    class Same(Sgd):
        pass

    assert (Sgd.step_in_kernels(), Same.step_in_kernels()) == (descend, descend)
    assert Other.step_in_kernels() is None
