"""The torch engine on a device that is not the CPU: no mixed devices, no wait inside a block."""

from typing import Any

import numpy as np
import pytest
import torch

from symstudy.study import PackConfig, make_study
from symstudy.training import train_pack
from symstudy.training.loop import make_engine, make_pack

TORCH = PackConfig(device="cpu", engine="torch")
CASES: dict[str, dict[str, Any]] = {
    "sgd": {"train": {"optimizer": "sgd", "momentum": 0.9}},
    "adam": {},
    "adamw": {"train": {"optimizer": "adamw", "gamma": 0.1, "schedule": "cosine"}},
    "syre": {"train": {"gamma": 0.1, "syre": 0.2, "syre_anisotropy": 0.3}},
    "online noise": {"data": {"label_noise": 0.3, "noise_mode": "online"}},
    "classes": {"data": {"kind": "digits", "samples": 20}},
    "products": {"model": {"reparametrise": "gate"}},
    "padded": {"sweep": {"model.width": [3, 6], "seed": 2}},
    "transformer": {
        "model": {"kind": "transformer", "width": 6, "heads": 2, "head_dim": 3, "mlp_width": 5},
        "data": {"kind": "digits", "samples": 20, "patch": 4},
    },
    "diverging": {"train": {"optimizer": "sgd"}, "sweep": {"train.lr": [0.01, 60.0], "seed": 1}},
}


def runs_of(**tables):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "gpu",
        "model": {"kind": "fcn", "depth": 2, "width": 5},
        "data": {"kind": "teacher_student", "samples": 20, "test_samples": 10},
        "train": {"lr": 0.01, "batch_size": 8, "steps": 12},
        "sweep": {"seed": 3},
        "probe": {"num": 4, "detail": 2, "samples": 8},
    }
    for name, table in tables.items():
        values[name] = table if "kind" in table or name == "sweep" else {**values[name], **table}
    return make_study(values).runs()


@pytest.mark.parametrize("case", CASES)
def test_a_pack_is_trained_and_measured_without_mixing_devices(case, request):
    runs = runs_of(**CASES[case])
    expected = train_pack(runs, TORCH).runs
    request.getfixturevalue("pretend_gpu")
    found = train_pack(runs, PackConfig(device="cuda")).runs
    assert set(found["engine"]) <= {"torch-pretend", "padded-torch-pretend"}
    assert list(found["outcome"]) == list(expected["outcome"])
    for name in ("test_loss", "theta_norm"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("case", [case for case in CASES if case != "diverging"])
def test_every_step_of_a_block_is_the_same_calls_and_no_wait(case, pretend_gpu):
    engine = make_engine(make_pack(runs_of(**CASES[case]), PackConfig(device="cuda")))
    counts = []
    for first, steps in ((0, 2), (2, 3), (5, 6)):
        with pretend_gpu.counting():
            engine.advance(first, steps)
        counts.append((pretend_gpu.kernels, pretend_gpu.waits))
    (two, waits), (three, _), (six, more) = counts
    assert sum(three.values()) - sum(two.values()) > 10
    assert sum(six.values()) - sum(three.values()) == 3 * (sum(three.values()) - sum(two.values()))
    assert waits == more


def test_the_device_refuses_what_a_gpu_refuses(pretend_gpu):
    there = torch.ones(3).to("pretend")
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    assert pretend_gpu.waits["pageable copy to the device"] == 1
    assert bool((there > 0).all())
    assert pretend_gpu.waits["_local_scalar_dense"] + pretend_gpu.waits["is_nonzero"] == 1
