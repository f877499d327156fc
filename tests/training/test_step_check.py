"""A compiled step that is not the step in torch is refused before anything is trained."""

import pytest

from symstudy.errors import ModelError
from symstudy.kernels.steps import KernelStep
from symstudy.optimizers import KernelNumbers
from symstudy.optimizers.adam import Adam
from symstudy.optimizers.adamw import AdamW
from symstudy.optimizers.nadam import NAdam
from symstudy.optimizers.rmsprop import RmsProp
from symstudy.optimizers.sgd import Sgd
from symstudy.study import PackConfig
from symstudy.training import train_pack
from symstudy.training.engines.step_check import check_kernel_step


class Forgetful(Sgd):
    """Wrong: does not hand its momentum to the kernels."""

    def kernel_numbers(self):
        return KernelNumbers()


class Coupled(AdamW):
    """Wrong: says that the penalty is in the gradient, and its step in torch shrinks."""

    is_decoupled = False


@KernelStep
def unkept(theta, first, second, gradient, numbers):
    for i in range(theta.size):
        first[i] = gradient[i]
        theta[i] -= numbers.rate * first[i]


class Momentless(Sgd):
    """Wrong: keeps no moment, and its compiled step writes to one."""

    kernel_step = unkept

    @classmethod
    def num_moments(cls, lanes):
        return 0


class Many(Sgd):
    """Wrong: keeps more moments than a compiled step is given."""

    @classmethod
    def num_moments(cls, lanes):
        return 3


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        ([Forgetful(momentum=0.9)], "be the step in torch of 'Forgetful', which takes"),
        ([Coupled()], "be the step in torch of 'Coupled'"),
        (
            [Momentless()],
            r"run in Python, with 0 moments as `num_moments` says, but got IndexError",
        ),
        ([Many()], "have an optimiser of at most 2 moments, but got 3"),
    ],
)
def test_a_compiled_step_that_is_another_step_is_refused(lanes, message):
    with pytest.raises(ModelError, match=rf"a compiled step must {message}"):
        check_kernel_step(lanes)


@pytest.mark.parametrize(
    "lanes",
    [
        [Sgd()],
        [Sgd(momentum=0.9), Sgd()],
        [Adam()],
        [AdamW()],
        [RmsProp()],
        [RmsProp(momentum=0.9), RmsProp()],
        [NAdam(), NAdam(momentum_decay=0.0)],
    ],
)
def test_those_that_are_built_in_are_let_through(lanes):
    check_kernel_step(lanes)


def test_a_pack_is_checked_before_it_trains(study_of, monkeypatch):
    monkeypatch.setattr(Sgd, "kernel_numbers", Forgetful.kernel_numbers)
    runs = study_of(train={"optimizer": "sgd", "momentum": 0.5}).runs()
    for engine in ("compiled", "torch"):
        with pytest.raises(ModelError, match="be the step in torch of 'Sgd'"):
            train_pack(runs, PackConfig(device="cpu", engine=engine))
