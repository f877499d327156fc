"""Trainings on real images; skipped, with the reason, where the files are not on this machine."""

import os
from pathlib import Path

import numpy as np
import pytest

from symstudy.datasets.fashion_mnist import FashionMnistConfig
from symstudy.datasets.known import AbstractKnownConfig
from symstudy.datasets.mnist_5k import Mnist5kConfig
from symstudy.training import train_pack

pytestmark = pytest.mark.xdist_group("real_images")

GIVEN = os.environ.get("SYMSTUDY_DATA")
"""The user's folder; the session's fixtures hide it from the other tests."""
FOLDER = Path(GIVEN).expanduser() if GIVEN else Path(__file__).parents[2] / "data"
KINDS: dict[str, type[AbstractKnownConfig]] = {
    "fashion_mnist": FashionMnistConfig,
    "mnist_5k": Mnist5kConfig,
}
LEARNING = {"optimizer": "adam", "lr": 3e-3, "batch_size": 50, "steps": 300}


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    """A kind whose files are on this machine."""
    monkeypatch.setenv("SYMSTUDY_DATA", str(FOLDER))
    cls = KINDS[request.param]
    names = [remote.name for remote in cls.remotes]
    places = [FOLDER / cls.folders[0], *map(Path, cls.system)]
    if not any(all((place / name).is_file() for name in names) for place in places):
        pytest.skip(f"the images of {request.param} are not below {FOLDER}: type `make images`")
    return request.param


@pytest.fixture
def study(kind, study_on):
    """Three seeds of a small network on 2,000 images."""
    data = {"kind": kind, "samples": 2000, "test_samples": 1000}
    return study_on(data, model={"kind": "fcn", "width": 24}, train=LEARNING, sweep={"seed": 3})


def test_a_small_network_learns_real_images(study, trained):
    columns = trained(study)
    assert set(columns["engine"]) == {"compiled"}
    assert (np.asarray(columns["test_accuracy"]) > 0.7).all(), columns["test_accuracy"]


def test_a_run_on_real_images_has_the_same_bits_in_a_pack_and_alone(study):
    runs = study.runs()
    together, alone = train_pack(runs, study.pack).runs, train_pack(runs[1:2], study.pack).runs
    for name in ("train_loss", "test_loss", "mean_effective_rank"):
        assert together[name][1] == alone[name][0], name
        assert together[name][0] != alone[name][0], name


def test_any_first_images_have_all_classes_and_none_is_for_both_sides(study):
    task = study.cells[0].data.build(0)
    assert task.x_train.shape == (2000, 784)
    assert task.x_test.shape == (1000, 784)
    counts = task.y_train.sum(axis=0)
    assert (counts > 150).all()
    seen = {row.tobytes() for row in task.x_train}
    assert len(seen) > 1990
    assert sum(row.tobytes() in seen for row in task.x_test) <= 1


@pytest.mark.parametrize("kind", ["mnist_5k"], indirect=True)
def test_mnist_5k_has_the_classes_in_turns(kind, study_on):
    train = {**LEARNING, "batch_size": 10}
    task = study_on({"kind": kind}, train=train).cells[0].data.build(0)
    assert task.x_train.shape == (4000, 784)
    assert np.array_equal(task.y_train.argmax(axis=1), np.arange(4000) % 10)
    assert np.array_equal(task.y_test.argmax(axis=1), np.arange(1000) % 10)
