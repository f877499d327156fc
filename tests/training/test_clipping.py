"""Gradients are clipped as a plain torch loop clips them, on every engine that takes steps."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from symstudy.components import looking_in
from symstudy.errors import LaunchError, ModelError, StudyFileError
from symstudy.study import PackConfig, make_study
from symstudy.study.padding import can_pad
from symstudy.training import train_pack
from symstudy.training.data import PackData
from symstudy.training.loop import make_engine, make_pack

ENGINES = pytest.mark.parametrize("engine", ["compiled", "torch"])
CODE = '''
import torch


def by_block(gradients, parameters):
    """Scale each parameter's gradient to a norm of 0.01 at most."""
    clipped = {}
    for name, gradient in gradients.items():
        norms = gradient.flatten(1).norm(dim=1).view(-1, *[1] * (gradient.ndim - 1))
        clipped[name] = gradient * (0.01 / norms).clamp(max=1.0)
    return clipped


def nothing(gradients, parameters):
    pass


def mixing(gradients, parameters):
    return {name: each / each.norm() for name, each in gradients.items()}


def narrow(gradients):
    return gradients
'''


def runs_of(sweep=None, **train):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "clipped",
        "title": "Clipped gradients",
        "model": {"kind": "fcn", "depth": 3, "width": 6},
        "data": {"kind": "teacher_student", "samples": 30, "test_samples": 10},
        "train": {"optimizer": "sgd", "lr": 0.2, "batch_size": 8, "steps": 12, **train},
        "sweep": sweep or {"seed": 1},
        "probe": {"num": 4, "detail": 2, "samples": 8},
    }
    return make_study(values).runs()


def trained(runs, engine):
    made = make_engine(make_pack(runs, PackConfig(engine=engine, device="cpu")))
    made.advance(0, runs[0].cell.train.steps)
    return made.theta_KP.clone()


def plain_loop(run, clip):
    """Train by torch's own module, optimiser and `clip_grad_norm_`."""
    cell = run.cell
    sizes = [cell.data.shape.inputs, 6, 6, cell.data.shape.outputs]
    start = make_pack([run], PackConfig()).model.initialise([run.seed], torch.ones(1).double())[0]
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out, dtype=torch.float64), torch.nn.Tanh()]
    module = torch.nn.Sequential(*layers[:-1])
    torch.nn.utils.vector_to_parameters(start, module.parameters())
    train = cell.train
    optimizer = torch.optim.SGD(module.parameters(), train.lr, 0.9, weight_decay=2 * train.gamma)
    block = PackData([run], np.dtype(np.float64)).block(0, train.steps)
    x, y = torch.from_numpy(block.split.x[0]), torch.from_numpy(block.split.y[0])
    norms = []
    for s in range(train.steps):
        rows = torch.from_numpy(block.rows[0, s]).long()
        optimizer.zero_grad()
        (module(x[rows]) - y[rows]).square().sum(dim=1).mean().backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(module.parameters(), clip)))
        optimizer.step()
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach(), norms


@ENGINES
def test_steps_are_those_of_torch_with_clip_grad_norm(engine):
    # Weight decay joins after clipping, as it does in torch's optimisers.
    (run,) = runs_of(dtype="float64", momentum=0.9, gamma=0.05, clip_norm=1.3)
    expected, norms = plain_loop(run, 1.3)
    assert min(norms) < 1.3 < max(norms), "some steps are clipped and some are not"
    torch.testing.assert_close(trained([run], engine)[0], expected, rtol=1e-9, atol=1e-11)


@ENGINES
def test_a_norm_that_is_never_reached_leaves_the_bits(engine):
    plain, clipped = runs_of(), runs_of(clip_norm=1e6)
    assert torch.equal(trained(plain, engine), trained(clipped, engine))
    assert plain[0].run_id == runs_of(clip_norm=0.0)[0].run_id != clipped[0].run_id


@ENGINES
def test_lanes_are_clipped_each_at_its_own_norm_as_alone(engine):
    runs = runs_of(sweep={"train.clip_norm": [0.05, 0.3, 5.0], "seed": 1})
    packed = trained(runs, engine)
    for place, run in enumerate(runs):
        assert torch.equal(trained([run], engine)[0], packed[place])
    assert len({tuple(row.tolist()) for row in packed}) == 3


def test_the_engines_clip_alike_with_an_entropic_term_too():
    runs = runs_of(dtype="float64", clip_norm=0.1)
    torch.testing.assert_close(
        trained(runs, "compiled"), trained(runs, "torch"), rtol=1e-10, atol=1e-12
    )
    with_term = runs_of(dtype="float64", clip_norm=0.1, entropic=1.0, optimizer="sgd", steps=1)
    moved = trained(with_term, "torch") - trained(
        runs_of(dtype="float64", steps=1, lr=1e-300), "torch"
    )
    assert float(moved.norm()) == pytest.approx(0.2 * 0.1, rel=1e-4)


@pytest.fixture
def own(tmp_path, request):
    """The name of a module beside the study, which no other test has."""
    name = f"clips_{abs(hash(request.node.nodeid)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(CODE)
    with looking_in(tmp_path):
        yield name


def test_a_function_of_ones_own_clips_each_block(own):
    (run,) = runs_of(clip=f"{own}:by_block", steps=1, dtype="float64")
    (still,) = runs_of(steps=1, lr=1e-300, dtype="float64")
    moved = (trained([run], "auto") - trained([still], "auto"))[0]
    layout = make_pack([run], PackConfig()).model.layout
    norms = [float(moved[block.offset : block.stop].norm()) for block in layout.blocks]
    np.testing.assert_allclose(norms, 0.2 * 0.01, rtol=1e-6)
    assert run.run_id != still.run_id
    assert not can_pad(run.cell)


def test_a_function_has_no_compiled_engine(own):
    with pytest.raises(LaunchError, match=r"'compiled' must have no function that clips"):
        trained(runs_of(clip=f"{own}:by_block"), "compiled")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "must return a dictionary of the gradients .* returned a NoneType"),
        ("mixing", "must treat each run by itself"),
        ("narrow", "must take the gradients and the parameters.* raised TypeError"),
    ],
)
def test_what_does_not_clip_is_refused_before_training(own, function, message):
    with pytest.raises(ModelError, match=message):
        train_pack(runs_of(clip=f"{own}:{function}"), PackConfig(device="cpu"))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"clip_norm": -1}, "train.clip_norm: must be at least 0.0, but got -1"),
        ({"clip": "nowhere:clip"}, "train.clip: must name an importable module"),
        ({"clip": "clip"}, "must be written as package.module:function, but got 'clip'"),
        ({"clip": "math:pi"}, "must name a function, but 'math:pi' is a float"),
        ({"clip": "math:hypot", "clip_norm": 1.0}, "must be left out where train.clip_norm is"),
        (
            {"optimizer": "lbfgs", "lr": None, "batch_size": "full", "clip_norm": 1.0},
            "train.clip_norm: must be 0 for lbfgs, but got 1.0",
        ),
    ],
)
def test_what_cannot_clip_is_a_mistake_of_the_study(train, message):
    with pytest.raises(StudyFileError) as error:
        runs_of(**train)
    assert message in str(error.value)
