"""Every built-in model passes the shipped suite, and modules of one's own; a wrong one does not."""

from pathlib import Path

import pytest
import torch

from symstudy.components import DataShape, find_component, load_all
from symstudy.models import OwnModelConfig
from symstudy.models.base import AbstractModel, Forward
from symstudy.models.fcn.network import Fcn
from symstudy.testing.models import ModelSuite

TABLES = [
    {"kind": "fcn", "width": 6, "depth": 3},
    {"kind": "fcn", "width": 6, "activation": "relu", "reparametrise": "hadamard"},
    {"kind": "deep_linear", "width": 5, "depth": 3},
    {"kind": "transformer", "width": 6, "head_dim": 3, "heads": 2, "tokens": 3, "mlp_width": 4},
    {"kind": "cnn", "width": 3, "layers": 2, "input_shape": (1, 3, 4)},
    {"kind": "cnn", "width": 3, "layers": 1, "norm": "none", "input_shape": (3, 2, 2)},
    {"kind": "resnet", "width": 2, "stages": 2, "blocks": 1, "input_shape": (1, 3, 4)},
]


class TestOwnModules(ModelSuite):
    """Modules with buffers of their own, draws, tied weights and parametrised ones."""

    @pytest.fixture(params=["Averaging", "Dropped", "Tied", "WeightNormed"])
    def config(self, request, monkeypatch):
        folder = Path(__file__).parents[1] / "training"
        monkeypatch.syspath_prepend(folder)
        return OwnModelConfig(kind=f"sample_modules:{request.param}")


class TestBuiltIn(ModelSuite):
    """What is trained from an initial state."""

    @pytest.fixture(params=TABLES, ids=lambda table: table["kind"])
    def config(self, request):
        cls = find_component("models", request.param["kind"])
        return cls(**request.param)


def test_every_kind_that_is_trained_is_tested():
    # A pretrained model is read from a file, has no data, and is tested with it.
    assert {table["kind"] for table in TABLES} == set(load_all("models")) - {"pretrained"}


class Mixed(Fcn):
    """Wrong: a run's outputs depend on its mates."""

    def forward(self, theta_KP, x_KBI):
        found = super().forward(theta_KP, x_KBI)
        return Forward(found.output_KBO - found.output_KBO.mean(dim=0), found.hidden)


class Cut(Fcn):
    """Wrong: no gradient reaches the parameters."""

    def forward(self, theta_KP, x_KBI):
        return super().forward(theta_KP.detach() + 0.0 * theta_KP.sum(), x_KBI)


@pytest.mark.parametrize(
    ("cls", "test"),
    [
        (Mixed, "test_a_run_alone_is_the_run_in_a_pack"),
        (Mixed, "test_gradients_flow_to_a_runs_own_parameters_alone"),
        (Cut, "test_gradients_flow_to_a_runs_own_parameters_alone"),
    ],
)
def test_a_wrong_model_fails(cls, test):
    model: AbstractModel = cls([ModelSuite.data.inputs, 5, ModelSuite.data.outputs], "tanh")
    with pytest.raises(AssertionError):
        getattr(ModelSuite(), test)(model)


def test_the_suite_builds_on_other_data_too():
    class Small(ModelSuite):
        data = DataShape(2, 1, 5, 5, is_classification=False)

    assert Small().inputs().shape[2] == 2
    assert torch.isfinite(Small().inputs()).all()
