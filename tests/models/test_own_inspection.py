"""What a user's own module may do, and what is refused before it is trained."""

import functools
import random
import sys

import numpy as np
import pytest
import torch
from torch import nn

from symstudy.components import DataShape
from symstudy.errors import ModelError
from symstudy.models import OwnModelConfig
from symstudy.models.base import TrainingStep
from symstudy.models.own.building import build_own
from symstudy.study import PackConfig
from symstudy.training import train_pack

TORCH = PackConfig(device="cpu")


class Simple(nn.Module):
    """Two layers."""

    def __init__(self, input_dim, output_dim, width=6):
        super().__init__()
        self.first = nn.Linear(input_dim, width)
        self.last = nn.Linear(width, output_dim)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class Frozen(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        generator = torch.Generator().manual_seed(3)
        features = torch.randn(self.first.weight.shape, generator=generator)
        self.first.weight = nn.Parameter(features, requires_grad=False)
        self.first.bias.requires_grad_(False).zero_()


class Dropped(Simple):
    def forward(self, x):
        return self.last(nn.functional.dropout(torch.tanh(self.first(x)), 0.5, self.training))


class CentredOverSamples(Simple):
    def forward(self, x):
        outputs = super().forward(x)
        return outputs - outputs.mean(0)


class Noisy(Simple):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


class Masked(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.register_buffer("mask", torch.arange(input_dim) % 2.0)

    def forward(self, x):
        return super().forward(x * self.mask)


class KeywordOnly(Simple):
    def __init__(self, *, input_dim, output_dim):
        super().__init__(input_dim, output_dim)


def announced(method):
    @functools.wraps(method)
    def wrapper(*arguments, **options):
        return method(*arguments, **options)

    return wrapper


class Wrapped(Simple):
    @announced
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)


class Gru(nn.Module):
    """An operation that vmap does not know."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.cell = nn.GRU(1, 3, batch_first=True)
        self.last = nn.Linear(3, output_dim)

    def forward(self, x):
        return self.last(self.cell(x[:, :, None])[0][:, -1])


class OneOutput(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, 1)


class SeededByItself(Simple):
    def __init__(self, input_dim, output_dim):
        torch.manual_seed(7)
        super().__init__(input_dim, output_dim)


class FromNumpy(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.first.weight.data = torch.from_numpy(np.random.randn(6, input_dim)).float()  # noqa: NPY002


class SameOnPurpose(SeededByItself):
    symstudy_same_start = True


class RandomBuffer(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.register_buffer("grid", torch.randn(input_dim))


class RandomAttribute(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.grid = torch.randn(input_dim)


class RandomFrozen(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.first.requires_grad_(False)


class AllFrozen(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.requires_grad_(False)


class ChangingAlways(Simple):
    calls: torch.Tensor

    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


class CountingInAnAttribute(Simple):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) / self.calls


class HoldingCopies(Simple):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        self.kept = [self.last.weight]

    def forward(self, x):
        return torch.tanh(self.first(x)) @ self.kept[0].T + self.last.bias


class Undifferentiable(Simple):
    def forward(self, x):
        return super().forward(x).detach()


class TwoForms(Simple):
    def forward(self, x):
        output = super().forward(x)
        return (output, output) if self.training else output


class OnlyText(Simple):
    def forward(self, x):
        return "no tensor"


class DrawingFromRandom(Simple):
    def forward(self, x):
        return super().forward(x) * (0.5 + random.random())


@pytest.fixture(autouse=True)
def own_modules(monkeypatch):
    monkeypatch.setitem(sys.modules, "own_modules", sys.modules[__name__])


def build(cls, **arguments):
    kind = f"own_modules:{cls.__name__}"
    return build_own(
        OwnModelConfig(kind=kind, arguments=arguments),
        DataShape(4, 3, 8, 4, is_classification=False),
    )


@pytest.fixture
def runs_of(study_of):
    def make(cls, **tables):
        tables = {"sweep": {"seed": 4}, **tables}
        study = study_of(model={"kind": f"own_modules:{cls.__name__}"}, **tables)
        return study.runs()

    return make


def test_w2_frozen_parameters_stay_as_they_are_outside_of_counts_and_penalty(runs_of):
    model = build(Frozen)
    assert [block.name for block in model.layout.blocks] == ["last.weight", "last.bias"]
    found = train_pack(runs_of(Frozen, train={"gamma": 0.1}), TORCH).runs
    layer = runs_of(Frozen)[0].cell.data.shape.outputs
    assert found["num_parameters"].tolist() == [7 * layer] * 4
    theta = model.initialise([0], torch.ones(1))
    x = torch.randn(1, 5, 4)
    hidden = torch.tanh(x[0] @ model.inspected.constants["first.weight"].T)
    weight, bias = theta[0, :18].reshape(3, 6), theta[0, 18:]
    torch.testing.assert_close(model.forward(theta, x).output_KBO[0], hidden @ weight.T + bias)


def test_w4_dropout_is_off_when_a_run_is_measured():
    model = build(Dropped)
    theta, x = model.initialise([0, 1], torch.ones(2)), torch.randn(2, 50, 4)
    module = Simple(4, 3)
    nn.utils.vector_to_parameters(theta[0], module.parameters())
    torch.testing.assert_close(model.forward(theta, x).output_KBO[0], module(x[0]))
    trained = model.training_forward(theta, x, TrainingStep((0, 1), 5)).output_KBO
    assert (trained[0] - module(x[0])).abs().max() > 0.01


@pytest.mark.parametrize("cls", [Dropped, Noisy])
def test_w4_draws_are_the_runs_own_whatever_its_pack(cls):
    model = build(cls)
    theta, x = model.initialise([3, 3, 5], torch.ones(3)), torch.randn(1, 9, 4).expand(3, 9, 4)
    output = model.training_forward(theta, x, TrainingStep((3, 3, 5), 2)).output_KBO
    alone = model.training_forward(theta[1:2], x[1:2], TrainingStep((3,), 2)).output_KBO
    later = model.training_forward(theta[1:2], x[1:2], TrainingStep((3,), 3)).output_KBO
    assert torch.equal(output[0], output[1])
    assert torch.equal(output[1], alone[0])
    assert not torch.equal(alone, later)


@pytest.mark.parametrize(
    "cls",
    [Dropped, Noisy, Masked, Gru, Frozen, RandomBuffer, RandomFrozen],
    ids=lambda c: c.__name__,
)
def test_a_packed_run_is_the_run_alone_and_torchs_generator_is_left_as_it_was(runs_of, cls):
    runs = runs_of(cls)
    before = torch.random.get_rng_state()
    packed = train_pack(runs, TORCH).runs
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    alone = train_pack(runs[2:3], TORCH).runs
    for name in ("test_loss", "train_loss", "theta_norm", "grad_norm"):
        assert packed[name][2] == alone[name][0], name
    assert len(set(packed["test_loss"].tolist())) == 4


def test_a_constant_buffer_is_kept_in_the_precision_of_the_run(runs_of):
    found = train_pack(runs_of(Masked, train={"dtype": "float64"}), TORCH).runs
    assert np.isfinite(found["test_loss"]).all()
    model = build(Masked)
    theta, x = model.initialise([0], torch.ones(1)), torch.randn(1, 5, 4)
    changed = x.clone()
    changed[:, :, 0] += 1.0
    assert torch.equal(model.forward(theta, x).output_KBO, model.forward(theta, changed).output_KBO)


@pytest.mark.parametrize("cls", [KeywordOnly, Wrapped])
def test_constructors_of_any_form_are_told_the_sizes(cls):
    assert build(cls).layout.size == 4 * 6 + 6 + 6 * 3 + 3


def test_what_vmap_does_not_know_goes_through_run_by_run_and_the_reason_is_kept():
    gru, simple = build(Gru), build(Simple)
    assert [gru.is_batched(training=mode) for mode in (True, False)] == [False, False]
    assert "Batching rule not implemented" in gru.reasons[True]
    assert simple.reasons == {True: "", False: ""}


def test_w5_outputs_of_another_shape_than_the_targets_are_refused_by_built_in_losses(runs_of):
    message = r"outputs \[samples, \d\].*train.loss = 'squared_error'.*returned \[samples, 1\]"
    with pytest.raises(ModelError, match=message):
        train_pack(runs_of(OneOutput), TORCH)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (SeededByItself, "start differently for different seeds.*Leave out manual_seed"),
        (FromNumpy, "draw its initial values from torch's generator.*differ in first.weight"),
        (RandomAttribute, "attributes grid differ between seeds 0 and 1.*register_buffer"),
        (AllFrozen, "parameters that are trained, but got 4, all with requires_grad = False"),
        (ChangingAlways, "keep its buffers in evaluation.*changes calls.*if self.training"),
        (CountingInAnAttribute, "keep its state in buffers.*an attribute counts or remembers"),
        (HoldingCopies, "must read its parameters and buffers as attributes"),
        (Undifferentiable, "must be differentiable by its parameters"),
        (TwoForms, "the same in training and evaluation"),
        (OnlyText, "tuples and dicts of tensors, but returned a str"),
        (CentredOverSamples, "give a sample the same output after eval.*first 3 of 5 have others"),
        (DrawingFromRandom, "must draw from torch's generator"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_would_give_wrong_results_is_refused(cls, message):
    with pytest.raises(ModelError, match=message):
        build(cls)


def test_a_start_that_is_the_same_on_purpose_is_declared():
    model = build(SameOnPurpose)
    theta = model.initialise([0, 1], torch.ones(2))
    assert torch.equal(theta[0], theta[1])


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            {"optimizer": "lbfgs", "lr": None, "batch_size": "full", "steps": 5},
            "minimised must draw no random numbers",
        ),
        ({"entropic": 0.1}, "where train.entropic is above 0"),
    ],
)
def test_dropout_is_refused_where_nothing_may_be_drawn(runs_of, train, message):
    with pytest.raises(ModelError, match=message):
        train_pack(runs_of(Dropped, train=train), TORCH)
