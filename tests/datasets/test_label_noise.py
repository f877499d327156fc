"""Label noise of every kind of data, held to training by hand: a linear map, gradient descent."""

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.numpy import save_file
from scipy.io import savemat

from symstudy.streams import Stream
from symstudy.testing.images import cifar_batch, draw_images, png, write_pair, write_tar

LR, STEPS = 0.4, 6
"""Learning rate of one input, and steps."""
ROWS = 24
X = np.random.default_rng(1).normal(size=(ROWS, 3))
Y = np.stack([X[:, 0] - 2 * X[:, 1], X[:, 2]], axis=1)
LABELS = (np.arange(ROWS) % 3).astype(np.int64)
GREY = draw_images(ROWS, (6, 6), classes=3)
COLOURED = draw_images(ROWS, (3, 32, 32), classes=3)

CODE = """
import numpy as np
import torch

from symstudy.components import DataShape, Role, component
from symstudy.datasets import AbstractDatasetConfig, Task
from typing import Annotated


class Linear(torch.nn.Module):
    symstudy_same_start = True

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.map = torch.nn.Linear(input_dim, output_dim, bias=False)
        torch.nn.init.zeros_(self.map.weight)

    def forward(self, x):
        return self.map(torch.flatten(x, 1))


def numbers():
    x = np.linspace(-1.0, 1.0, 24)
    return x, 2 * x, x[:4], 2 * x[:4]


def classes():
    x = np.random.default_rng(2).normal(size=(24, 3))
    y = np.arange(24) % 3
    return x, y, x[:6], y[:6]


@component
class Line(AbstractDatasetConfig):
    label_noise: Annotated[float, Role.LANE] = 0.0
    noise_mode: str = "fixed"

    @property
    def shape(self):
        return DataShape(1, 1, 12, 12, is_classification=False)

    def build(self, seed):
        x = np.linspace(-1.0, 1.0, 12)[:, None]
        y = 3 * x
        return Task(
            seed=seed, is_classification=False, x_train=x, y_train=y, x_test=x, y_test=y
        )
"""


def write_table(name, target):
    """Write numbers, or classes by their names, into a csv file or one of Parquet."""
    columns = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
    if target == "classification":
        targets = {"y": np.array(["u", "v", "w"])[LABELS]}
    else:
        targets = {"y": Y[:, 0], "z": Y[:, 1]}
    table = pa.table({**columns, **targets})
    if name.endswith(".parquet"):
        parquet.write_table(table, name)
    else:
        table.to_pandas().to_csv(name, index=False)
    target_names = [*targets] if len(targets) > 1 else "y"
    return {"kind": "file", "task": target, "train": name, "target": target_names}


def write_arrays(name, target):
    """Write arrays into an archive, or into two npy files."""
    y = LABELS if target == "classification" else Y
    data = {"kind": "file", "task": target, "train": name}
    if name.endswith(".npz"):
        np.savez(name, x=X, y=y)
    elif name.endswith(".npy"):
        np.save(name, X)
        np.save("targets.npy", y)
        return {**data, "train_labels": "targets.npy"}
    else:
        save_file({"x": X, "y": y}, name)
    return data


def write_images(name):
    """Write images in the format that a name tells."""
    from pathlib import Path

    place = Path.cwd()
    if "idx3" in name:
        write_pair(place, GREY, end=".gz")
    elif name.endswith(".tar.gz"):
        write_tar(place / name, {"data_batch_1": cifar_batch(COLOURED)})
    elif name.endswith(".bin"):
        rows = COLOURED.x.reshape(ROWS, -1)
        both = np.hstack([COLOURED.y[:, None].astype(np.uint8), rows])
        (place / name).write_bytes(both.tobytes())
    elif name.endswith(".mat"):
        y = np.where(COLOURED.y == 0, 10, COLOURED.y)[:, None]
        savemat(place / name, {"X": COLOURED.x.transpose(2, 3, 1, 0), "y": y})
    elif name.endswith(".parquet"):
        pictures = [{"bytes": png(each.transpose(1, 2, 0)), "path": None} for each in COLOURED.x]
        parquet.write_table(pa.table({"img": pictures, "label": COLOURED.y}), name)
    else:
        for i, (picture, label) in enumerate(zip(COLOURED.x, COLOURED.y, strict=True)):
            (place / name / f"class {label}").mkdir(parents=True, exist_ok=True)
            content = png(picture.transpose(1, 2, 0))
            (place / name / f"class {label}" / f"{i}.png").write_bytes(content)
    return {"kind": "images", "train": name}


KINDS: dict[str, Any] = {
    **{
        f"{target} {name}": functools.partial(write, name, target)
        for target in ("regression", "classification")
        for write, name in (
            *((write_table, f"a.{end}") for end in ("csv", "parquet")),
            *((write_arrays, f"a.{end}") for end in ("npz", "npy", "safetensors")),
        )
    },
    **{
        name: functools.partial(write_images, name)
        for name in (
            "train-images-idx3-ubyte.gz",
            "cifar.tar.gz",
            "data_batch_1.bin",
            "a.mat",
            "a.parquet",
            "pictures",
        )
    },
    **{
        name: lambda name=name: {"kind": name}
        for name in ("teacher_student", "spectrum", "identity")
    },
    "in_context": lambda: {"kind": "in_context", "fresh": False},
    "digits": lambda: {"kind": "digits", "samples": 50},
    **{name: lambda name=name: {"kind": name} for name in ("numbers", "classes", "Line")},
}
QUICK = ("regression a.csv", "classification a.npz", "cifar.tar.gz", "teacher_student", "numbers")


def noisy(task, sigma, step):
    """Return the targets of a step, or those drawn once where it is None."""
    samples, outputs = task.y_train.shape
    if not task.is_classification:
        if step is None:
            return task.y_train + sigma * Stream(0, "label_noise").normal(samples, outputs)
        drawn = Stream(0, "online_noise").normal_blocks(step, 1, samples, outputs)
        return task.y_train + sigma * drawn.reshape(samples, outputs)
    if step is None:
        chance = Stream(0, "label_noise").uniform(samples)
        shifts = Stream(0, "label_noise_classes").integers(outputs - 1, samples)
    else:
        chance = Stream(0, "online_noise").uniform_blocks(step, 1, samples)[0]
        shifts = Stream(0, "online_labels").integer_blocks(outputs - 1, step, 1, samples)[0]
    labels = task.y_train.argmax(1)
    labels = np.where(chance < sigma, (labels + 1 + shifts) % outputs, labels)
    return np.eye(outputs)[labels]


def loss_and_slope(weight, x, y, *, is_classification):
    """Return the loss of a linear map, as it is defined for its data, and the gradient."""
    out = x @ weight.T
    if not is_classification:
        residual = out - y
        return (residual**2).sum(1).mean(), 2 * residual.T @ x / len(x)
    out = out - out.max(1, keepdims=True)
    chance = np.exp(out) / np.exp(out).sum(1, keepdims=True)
    return -(y * np.log(chance)).sum(1).mean(), (chance - y).T @ x / len(x)


def by_hand(task, sigma, mode):
    """Return the losses on training and on test data after gradient descent from 0."""
    x = task.x_train.reshape(len(task.x_train), -1)
    loss = functools.partial(loss_and_slope, is_classification=task.is_classification)
    weight = np.zeros((task.y_train.shape[1], x.shape[1]))
    for step in range(STEPS):
        y = noisy(task, sigma, step if mode == "online" else None)
        weight -= LR / x.shape[1] * loss(weight, x, y)[1]
    y = task.y_train if mode == "online" else noisy(task, sigma, None)
    test = task.x_test.reshape(len(task.x_test), -1)
    return loss(weight, x, y)[0], loss(weight, test, task.y_test)[0]


@pytest.fixture
def module(place, request):
    """A module of a linear map and of data, whose name no other test has."""
    name = f"own_noise_{abs(hash(request.node.nodeid)) % 10**9}"
    (place / f"{name}.py").write_text(CODE)
    return name


@pytest.mark.parametrize("mode", ["fixed", "online"])
@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_training_on_noisy_labels_is_what_it_is_by_hand(
    kind, engine, mode, module, study_on, trained
):
    data = KINDS[kind]()
    if data["kind"] in ("numbers", "classes", "Line"):
        data["kind"] = f"{module}:{data['kind']}"
    sigma = 0.4
    inputs = study_on(data).cells[0].data.shape.inputs
    study = study_on(
        {**data, "noise_mode": mode},
        model={"kind": f"{module}:Linear"},
        train={"optimizer": "sgd", "lr": LR / inputs, "batch_size": "full", "steps": STEPS},
        probe={"num": 2, "detail": 1},
        pack={"engine": engine},
        sweep={"data.label_noise": [0.0, sigma]},
    )
    task = study.cells[0].data.build(0)
    runs = trained(study)
    for place, level in enumerate((0.0, sigma)):
        train, test = by_hand(task, level, mode)
        assert runs["train_loss"][place] == pytest.approx(train, rel=5e-6)
        assert runs["test_loss"][place] == pytest.approx(test, rel=5e-6)
    assert runs["test_loss"][0] != pytest.approx(runs["test_loss"][1], rel=1e-5)
