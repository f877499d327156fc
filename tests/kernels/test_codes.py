"""A code that the kernels do not know is an error, never another function."""

import numpy as np
import pytest

from symstudy.errors import UnknownNameError
from symstudy.kernels.functions import POLYNOMIAL, activate
from symstudy.kernels.losses import FLIPPED, load_targets, loss_and_delta
from symstudy.kernels.network import make_scratch
from symstudy.models.activations import activation_of
from symstudy.study import PackConfig, make_study
from symstudy.training.engines.networks import kernel_network
from symstudy.training.engines.torch_steps import noisy
from symstudy.training.loop import make_pack


@pytest.fixture
def network():
    study = make_study(
        {
            "schema": 1,
            "name": "codes",
            "model": {"kind": "fcn", "depth": 2, "width": 4},
            "data": {"kind": "identity", "input_dim": 3, "samples": 8},
            "train": {"lr": 0.1, "batch_size": 4, "steps": 1, "dtype": "float64"},
        }
    )
    return kernel_network(make_pack(study.runs(), PackConfig(device="cpu")))


def test_an_unknown_activation_is_refused():
    z = np.zeros(4)
    with pytest.raises(ValueError, match="must know the activation's code"):
        activate(z, z.copy(), np.int64(POLYNOMIAL + 1), 0.0)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'tanh'.*polynomial"):
        activation_of("tahn", 0.0)


def test_an_unknown_loss_is_refused(network):
    scratch = make_scratch(network, 4, np.dtype(np.float64))
    count = np.int64(4)
    with pytest.raises(ValueError, match="must know the loss's code"):
        loss_and_delta(network._replace(loss=7), np.zeros(24), count, count, scratch, np.int64(8))


def test_an_unknown_label_noise_is_refused(network):
    scratch = make_scratch(network, 4, np.dtype(np.float64))
    y, rows, noise = np.zeros((8, 3)), np.arange(4, dtype=np.int32), np.zeros((4, 3))
    with pytest.raises(ValueError, match="must know the label noise's code"):
        load_targets(y, rows, np.int64(FLIPPED + 1), 0.1, noise, np.int64(0), scratch, np.int64(8))


def test_torch_refuses_an_unknown_label_noise_too():
    import torch

    targets = torch.zeros(1, 4, 3)
    with pytest.raises(ValueError, match="code of the label noise must be 1 or 2, but got 5"):
        noisy(targets, 5, torch.zeros(1, 1, 1), torch.zeros(1, 4, 3))
