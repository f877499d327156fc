"""Optimiser, schedule, loss, data set and model of the user's own, in a folder beside the study."""

import dataclasses
import sys
import textwrap

import numpy as np
import pytest
import torch

from symstudy.components import own_code, registry
from symstudy.errors import LaunchError, StudyFileError
from symstudy.launch import InlineLauncher, open_study_folder, run_study
from symstudy.store import Store
from symstudy.study import PackConfig, load_study
from symstudy.testing.checkpointers import PausesOnce
from symstudy.training import Paused, train_pack
from symstudy.training.loop import make_engine, make_pack

CODE = '''
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt

from symstudy.components import DataShape, Role, component
from symstudy.datasets import AbstractDatasetConfig, Task
from symstudy.losses import AbstractLoss
from symstudy.optimizers import AbstractStepOptimizer
from symstudy.schedules import AbstractSchedule
from symstudy.streams import Stream


@component
class Lion(AbstractStepOptimizer):
    """Steps along the sign of a mean of gradients (Chen et al. 2023)."""

    blend: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.9
    """Share of the mean in the step."""

    @classmethod
    def num_moments(cls, lanes):
        return 1

    @classmethod
    def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
        blend = numbers.keys["blend"]
        move_KP = torch.sign(blend * moments[0] + (1.0 - blend) * gradient_KP)
        moments[0].mul_(0.99).add_(0.01 * gradient_KP)
        return theta_KP - numbers.rate_K1 * move_KP


@component
class Halving(AbstractSchedule):
    """A learning rate that halves at even intervals."""

    halvings: Annotated[int, Ge(1), Role.LANE] = 2
    """How often it halves."""

    def shares(self, steps, total):
        return 0.5 ** np.floor(steps * (self.halvings + 1) / total)


@component
class Power(AbstractLoss):
    """The sum of |f - y|^power over outputs."""

    power: Annotated[float, Gt(1)] = 4.0
    """Exponent."""

    def per_sample(self, output_KBO, target_KBO):
        return (output_KBO - target_KBO).abs().pow(self.power).sum(dim=2)


def huber(outputs, targets):
    """Quadratic near 0 and linear away from it."""
    error = (outputs - targets).abs()
    return torch.where(error < 1, 0.5 * error**2, error - 0.5).sum(dim=2)


@component
class Spiral(AbstractDatasetConfig):
    """Points on a spiral, told by their angle."""

    turns: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Turns of the spiral."""
    points: Annotated[int, Ge(1)] = 24
    """Number of training samples; a third as many are for the test."""

    @property
    def shape(self):
        return DataShape(2, 1, self.points, self.points // 3, is_classification=False)

    def build(self, seed):
        t = Stream(seed, "spiral").uniform(self.points + self.points // 3)
        angle = 2 * np.pi * self.turns * t
        x = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1)
        y = t[:, None]
        n = self.points
        return Task(
            seed=seed, is_classification=False,
            x_train=x[:n], y_train=y[:n], x_test=x[n:], y_test=y[n:],
        )


class Net(torch.nn.Module):
    def __init__(self, input_dim, output_dim, width=5):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Linear(input_dim, width), torch.nn.Tanh(), torch.nn.Dropout(0.2),
            torch.nn.Linear(width, output_dim),
        )

    def forward(self, x):
        return self.body(x)
'''
STUDY = """
schema = 1
name   = "own"
title  = "Components of one's own"
[model]
kind  = "NAME:Net"
width = 5
[data]
kind   = "NAME:Spiral"
points = 30
[train]
optimizer  = "NAME:Lion"
schedule   = "NAME:Halving"
loss       = "NAME:Power"
halvings   = 3
power      = 3.0
lr         = 0.01
batch_size = 8
steps      = 12
[sweep]
"train.blend" = [0.5, 0.9]
"data.turns"  = [1.0, 2.0]
seed          = 2
[probe]
num     = 4
samples = 8
"""
TORCH = PackConfig(device="cpu")


@pytest.fixture
def project(tmp_path, request):
    """A folder with a study and a module beside it, whose name no other test has."""
    name = f"mine_{abs(hash(request.node.nodeid)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / "own.toml").write_text(STUDY.replace("NAME", name))
    return tmp_path, name


def study_in(project, *overrides):
    folder, name = project
    return load_study(folder / "own.toml", overrides=[o.replace("NAME", name) for o in overrides])


def run(project, study):
    results = str(project[0] / "results")
    summary = run_study(study, results, InlineLauncher(device="cpu"))
    return summary, Store([open_study_folder(results, study)])


def assert_same(left, right):
    for name in ("test_loss", "train_loss", "theta_norm", "objective"):
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_a_study_of_own_components_runs_and_its_keys_are_in_sql(project):
    summary, store = run(project, study_in(project))
    assert (summary.done, summary.failed) == (8, 0)
    rows = store.sql(
        "select distinct (config->>'$.train.blend')::double, (config->>'$.data.turns')::double, "
        "(config->>'$.train.power')::double from planned order by all"
    ).rows
    assert rows == [(0.5, 1.0, 3.0), (0.5, 2.0, 3.0), (0.9, 1.0, 3.0), (0.9, 2.0, 3.0)]
    assert store.sql("select distinct engine from runs").rows == [("one-by-one-torch-cpu",)]


def test_own_components_are_packed_as_they_are_alone(project):
    runs = study_in(project).runs()
    packed = train_pack(runs, TORCH).runs
    for place in (0, 3, 7):
        alone = train_pack([runs[place]], TORCH).runs
        for name in ("test_loss", "train_loss", "theta_norm"):
            np.testing.assert_array_equal(packed[name][place], alone[name][0], err_msg=name)


def test_own_components_go_on_from_a_checkpoint_to_the_same_bits(project, monkeypatch):
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    runs = study_in(project).runs()
    pausing = PausesOnce(7)
    with pytest.raises(Paused):
        train_pack(runs, TORCH, checkpointer=pausing)
    assert pausing.state is not None
    assert 0 < pausing.state["clock"][0] < 12
    assert_same(train_pack(runs, TORCH, checkpointer=pausing).runs, train_pack(runs, TORCH).runs)


def test_an_own_optimiser_takes_the_steps_that_it_says(project):
    runs = study_in(project, "train.steps=1", "model.kind='fcn'", "model.depth=1").runs()[:1]
    engine = make_engine(make_pack(runs, TORCH))
    before = engine.theta_KP.clone()
    engine.advance(0, 1)
    # Every parameter moves by the rate, along the sign of its gradient.
    moved = (engine.theta_KP - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.01), rtol=1e-4, atol=0)


WRONG = """

def mean(outputs, targets):
    return (outputs - targets).square().mean()


def detached(outputs, targets):
    return (outputs - targets).square().sum(dim=2).detach()


def centred(outputs, targets):
    error = (outputs - targets).square().sum(dim=2)
    return error - error.mean(dim=1, keepdim=True)


def mixed(outputs, targets):
    error = (outputs - targets).square().sum(dim=2)
    return error / error.sum(dim=0)


def one_sided(outputs):
    return outputs


@component
class Sinking(AbstractSchedule):
    def shares(self, steps, total):
        return 1.0 - 2.0 * steps / total


@component
class Lone(AbstractSchedule):
    def shares(self, steps, total):
        return 1.0


@component
class Relative(AbstractSchedule):
    def shares(self, steps, total):
        return 1.0 / np.arange(1, len(steps) + 1)
"""


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("loss", "mean", r"must return one number a sample.*:mean returned \[\]"),
        ("loss", "detached", "must have a gradient, but .*:detached"),
        ("loss", "centred", "must be the loss of each sample by itself, but what .*:centred"),
        ("loss", "mixed", "must be the loss of each sample by itself, but what .*:mixed"),
        ("loss", "one_sided", "must take outputs and targets.*:one_sided raised TypeError"),
        ("schedule", "Sinking", r"must return shares from 0 on, but .* at step 7 of 12"),
        ("schedule", "Lone", r"must return one share a step, \[12\] here, but .* returned \[\]"),
        ("schedule", "Relative", "the same share whichever others are asked for"),
    ],
)
def test_a_function_that_cannot_train_is_a_mistake_of_the_study(project, key, name, message):
    folder, module = project
    path = folder / f"{module}.py"
    path.write_text(path.read_text() + WRONG)
    file = folder / "own.toml"
    dropped = {"loss": "power      = 3.0\n", "schedule": "halvings   = 3\n"}[key]
    file.write_text(file.read_text().replace(dropped, ""))
    with pytest.raises(StudyFileError, match=message):
        study_in(project, f"train.{key}='NAME:{name}'", "model.kind='fcn'")


def test_an_own_function_is_a_loss(project):
    path = project[0] / "own.toml"
    path.write_text(path.read_text().replace("power      = 3.0\n", "").replace(":Power", ":huber"))
    study = study_in(project)
    summary, store = run(project, study)
    assert summary.failed == 0
    assert store.sql("select count(*) from runs where test_loss < 1").rows == [(8,)]


def test_the_source_of_an_own_component_counts_in_identity(project):
    folder, name = project
    first = study_in(project).runs()[0].run_id
    path = folder / f"{name}.py"
    path.write_text(path.read_text().replace("0.99", "0.98"))
    sys.modules.pop(name)
    registry.find_component.cache_clear()
    assert study_in(project).runs()[0].run_id != first


def test_code_that_changed_after_planning_is_refused(project):
    folder, name = project
    study = study_in(project)
    path = folder / f"{name}.py"
    path.write_text(path.read_text().replace("0.99", "0.98"))
    with pytest.raises(LaunchError, match=r"has changed since.*symstudy run STUDY --extend"):
        run(project, study)


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("train.optimizer", "Net", "must name a class that inherits .*AbstractStepOptimizer"),
        ("train.schedule", "huber", "must name a class that inherits .*AbstractSchedule"),
        ("data.kind", "Power", "must name a class that inherits .*AbstractDatasetConfig"),
        ("train.optimizer", "Nothing", "has no 'Nothing'"),
        ("train.loss", "Net", "must name a class that inherits .*AbstractLoss"),
    ],
)
def test_what_is_no_such_component_is_refused_when_the_study_is_read(project, key, name, message):
    with pytest.raises(StudyFileError, match=message):
        study_in(project, f"{key}='NAME:{name}'")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("class Bare(AbstractStepOptimizer):\n    pass", "Write `@component`"),
        (
            "@component\nclass Bare(AbstractStepOptimizer):\n    beta: float = 0.9",
            "lacks num_moments, step",
        ),
        (
            "@component\nclass Bare(Lion):\n    can_pad: bool = True",
            "'can_pad' of 'NAME:Bare' is something else in symstudy.optimizers.config",
        ),
        (
            "@component\nclass Bare(Lion):\n    is_decoupled: bool = True",
            "'is_decoupled' of 'NAME:Bare' is something else in symstudy.optimizers.config",
        ),
    ],
)
def test_an_own_component_that_is_incomplete_is_told_what_it_lacks(project, code, message):
    folder, name = project
    path = folder / f"{name}.py"
    path.write_text(f"{path.read_text()}\n\n{textwrap.dedent(code)}\n")
    with pytest.raises(StudyFileError, match=message.replace("NAME", name)):
        study_in(project, "train.optimizer='NAME:Bare'")


def test_an_own_optimiser_has_no_compiled_engine(project):
    study = study_in(project, "model.kind='fcn'")
    config = dataclasses.replace(TORCH, engine="compiled")
    with pytest.raises(LaunchError, match=r"'compiled' must have a loss that the kernels know"):
        train_pack(study.runs(), config)


def test_a_module_that_was_imported_before_it_changed_is_refused(project):
    # The study is read anew, so its runs are those of the new source; the code is still the old.
    folder, name = project
    study_in(project)
    path = folder / f"{name}.py"
    path.write_text(path.read_text().replace("width=5", "width=6"))
    study = study_in(project)
    with pytest.raises(LaunchError, match=r"imported .* before it was changed.*Start Python again"):
        run(project, study)


def test_an_own_loss_is_not_looked_up_at_every_step(project, monkeypatch):
    path = project[0] / "own.toml"
    path.write_text(path.read_text().replace("power      = 3.0\n", "").replace(":Power", ":huber"))
    looked: list[str] = []

    def load(*names):
        looked.append(names[0])
        return own_code.load_own(*names)

    monkeypatch.setattr("symstudy.losses.own.load_own", load)
    train_pack(study_in(project).runs(), TORCH)
    assert len([name for name in looked if name.endswith(":huber")]) <= 2
