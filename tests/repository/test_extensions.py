"""A package that adds one of everything, one file each, is found wherever symstudy lists things."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "extra/__init__.py": '"""One of everything."""\n',
    "extra/spiral.py": '''
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from symstudy.components import DataShape, Role, component
from symstudy.datasets import AbstractDatasetConfig, Task
from symstudy.streams import Stream


@component
class Spiral(AbstractDatasetConfig):
    """Points on a spiral."""

    kind: Literal["spiral"] = "spiral"
    """Points on a spiral."""
    turns: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Turns of the spiral."""

    @property
    def shape(self):
        return DataShape(2, 1, 20, 20, is_classification=False)

    def build(self, seed):
        t = Stream(seed, "spiral").uniform(40)
        angle = 2 * np.pi * self.turns * t
        x = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1)
        return Task(
            seed=seed, is_classification=False,
            x_train=x[:20], y_train=t[:20, None], x_test=x[20:], y_test=t[20:, None],
        )
''',
    "extra/net.py": '''
from torch import nn

from symstudy.layout import Block, DeclaredSymmetry, Layout, NeuronGroup


class Net(nn.Module):
    """One hidden layer whose neurons have a symmetry of their own."""

    def __init__(self, input_dim, output_dim, hidden=4):
        super().__init__()
        self.first = nn.Linear(input_dim, hidden, bias=False)
        self.second = nn.Linear(hidden, output_dim, bias=False)

    def forward(self, x):
        h = self.first(x).tanh()
        return self.second(h), {"hidden1": h}

    def symstudy_layout(self):
        h, i = self.first.weight.shape
        o = self.second.weight.shape[0]
        blocks = (
            Block(name="first.weight", shape=(h, i), offset=0, axes=("hidden1", "input"),
                  role="weight", fan_in=i),
            Block(name="second.weight", shape=(o, h), offset=h * i, axes=("output", "hidden1"),
                  role="weight", fan_in=h),
        )
        group = NeuronGroup(name="hidden1", layer=1, size=h, odd=True, homogeneous=False)
        mirror = DeclaredSymmetry(
            kind="mirror", axis="hidden1", blocks=("first.weight",), partners=("second.weight",),
            layer=1,
        )
        return Layout(blocks=blocks, groups=(group,), symmetries=(mirror,))
''',
    "extra/focal.py": '''
from typing import Annotated, Literal

from annotated_types import Gt

from symstudy.components import component
from symstudy.losses import AbstractLoss


@component
class Power(AbstractLoss):
    """|f - y| to a power."""

    kind: Literal["power"] = "power"
    """|f - y| to a power, summed over outputs."""
    exponent_of_loss: Annotated[float, Gt(1)] = 1.5
    """The power."""

    def per_sample(self, output_KBO, target_KBO):
        return (output_KBO - target_KBO).abs().pow(self.exponent_of_loss).sum(dim=2)
''',
    "extra/signum.py": '''
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Lt

from symstudy.components import Role, component
from symstudy.optimizers import AbstractStepOptimizer


@component
class Signum(AbstractStepOptimizer):
    """Steps along the sign of a mean of gradients."""

    kind: Literal["signum"] = "signum"
    """Steps along the sign of a mean of gradients."""
    blend: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.9
    """Share of the mean in the step."""

    @classmethod
    def num_moments(cls, lanes):
        return 1

    @classmethod
    def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
        blend = numbers.keys["blend"]
        move_KP = torch.sign(blend * moments[0] + (1 - blend) * gradient_KP)
        moments[0].mul_(0.99).add_(0.01 * gradient_KP)
        return theta_KP - numbers.rate_K1 * move_KP
''',
    "extra/peak.py": """
from symstudy.measures import measure


@measure(on="layer", kind="number", meaning="norm of the largest neuron")
def peak_norm(view):
    return view.norms_KN.amax(dim=1)
""",
    "extra/mirror.py": '''
from symstudy.symmetry import symmetry
from symstudy.symmetry.sign_flip import SignFlip


@symmetry(
    kind="mirror",
    action="(u, w) -> (-u, -w)",
    applies_to="neurons of this package",
    symmetric_state="u = w = 0",
    conserved="nothing",
)
class Mirror(SignFlip):
    """Sign flip under a name of this package's own."""
''',
    "extra/quiet.py": '''
from symstudy.launch import InlineLauncher


class Quiet(InlineLauncher):
    """Trains in this process."""
''',
    "analysis/claims/learns.py": '''
"""The network learns."""

from symstudy.findings import Bound, Evidence, claim


@claim(
    title="The network learns",
    statement="The test loss of the median seed is at most 100.",
    study="extended",
    reference="a test",
)
def learns(runs: Evidence) -> Bound:
    """At most 100 in the median seed."""
    return Bound(runs.done(), "test_loss", at_most=100.0)
''',
    "analysis/__init__.py": "",
    "analysis/claims/__init__.py": "",
    "pyproject.toml": '[tool.symstudy]\nanalyses = "analysis"\nstudies = "."\n',
    "extended.toml": """
schema = 1
name   = "extended"
title  = "One of everything"
claims = ["learns"]
[model]
kind = "extra.net:Net"
hidden = 5
[data]
kind = "spiral"
turns = 2.0
[train]
optimizer = "signum"
blend = 0.8
loss = "power"
lr = 0.01
batch_size = 5
steps = 20
[sweep]
"train.blend" = [0.8, 0.9]
seed = 5
[probe]
num = 4
detail = 2
measures = ["peak_norm", "mirror_breaking"]
""",
    "extra-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n",
    "extra-1.0.dist-info/entry_points.txt": """
[symstudy.datasets]
spiral = extra.spiral:Spiral
[symstudy.losses]
power = extra.focal:Power
[symstudy.optimizers]
signum = extra.signum:Signum
[symstudy.measures]
peak_norm = extra.peak:peak_norm
[symstudy.symmetries]
mirror = extra.mirror:Mirror
[symstudy.launchers]
quiet = extra.quiet:Quiet
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project with 'quotes'")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"), encoding="utf-8")
    symstudy(folder, "run", "extended.toml", "--launcher", "quiet")
    return folder


def symstudy(folder: Path, *arguments: str) -> str:
    """Return what the program prints when it is run in `folder`, whose package is installed."""
    return python(folder, "-m", "symstudy", *arguments)


def python(folder: Path, *arguments: str) -> str:
    """Return what a Python prints that is called in `folder`, whose package is installed."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{root}", "COLUMNS": "400"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


KEYS = {
    "turns": "Turns of the spiral.",
    "blend": "Share of the mean in the step.",
    "exponent_of_loss": "The power.",
}
"""Keys of a study file that the package adds, with the words of their declarations."""


MEANINGS = {
    "datasets": {"spiral": "Points on a spiral."},
    "losses": {"power": "|f - y| to a power."},
    "optimizers": {"signum": "Steps along the sign of a mean of gradients."},
    "measures": {"peak_norm": "norm of the largest neuron"},
    "symmetries": {"mirror": "(u, w) -> (-u, -w): neurons of this package"},
    "launchers": {"quiet": "Trains in this process."},
    "claims": {"learns": "The test loss of the median seed is at most 100."},
    "keys": KEYS,
    "columns": KEYS,
}
"""What `symstudy list` must say of the package, by noun."""
LISTING = """
import contextlib, io, json, sys
from symstudy.cli import main

said = {}
for noun in sys.argv[1:]:
    sys.argv = ["symstudy", "list", noun, "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    said[noun] = json.loads(out.getvalue())
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def listed(project):
    """The rows that `symstudy list` prints in the project, by noun."""
    return json.loads(python(project, "-c", LISTING, *MEANINGS))


@pytest.mark.parametrize("noun", MEANINGS)
def test_each_is_in_the_reference_of_what_is_installed(listed, noun):
    rows = [list(row.values()) for row in listed[noun]]
    for name, meaning in MEANINGS[noun].items():
        (found,) = [row for row in rows if name in row]
        assert meaning in found


def test_all_runs_end_and_their_keys_and_measures_are_columns(project):
    columns = "turns, blend, loss, optimizer, exponent_of_loss, hidden"
    counted = symstudy(
        project, "query", "results", "--format", "csv",
        f"select {columns}, count(*) as n, min(mean_peak_norm) > 0 as measured, "
        "min(mean_mirror_breaking) > 0 as broken from runs group by all order by all",
    )  # fmt: skip
    header, *rows = csv.reader(counted.splitlines())
    assert header == [*columns.split(", "), "n", "measured", "broken"]
    assert rows == [
        ["2", str(blend), "power", "signum", "1.5", "5", "5", "true", "true"]
        for blend in (0.8, 0.9)
    ]
    assert "proven" in symstudy(project, "verify", "results")


def test_the_claim_has_a_verdict(project):
    assert "learns on extended: SUPPORTED" in symstudy(project, "analyze", "results")
