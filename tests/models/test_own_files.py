"""Files that a module of the user's own reads, and what differs between processes."""

import sys

import pytest

from symstudy.components import looking_in
from symstudy.errors import LaunchError, ModelError
from symstudy.study import PackConfig
from symstudy.training import train_pack
from symstudy.training.dry_run import check_own_models

NET = """
from pathlib import Path

from torch import nn

class Scaled(nn.Linear):
    def __init__(self, input_dim, output_dim, scale="PLACE/scale.txt"):
        super().__init__(input_dim, output_dim)
        self.scale = float(Path(scale).read_text())

    def forward(self, x):
        return self.scale * super().forward(x)

class Late(nn.Linear):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)

    def forward(self, x):
        return float(Path("PLACE/scale.txt").read_text()) * super().forward(x)

class Hashed(nn.Linear):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)
        nn.init.constant_(self.bias, hash("text") % 1000)
"""


@pytest.fixture
def scaled(tmp_path, monkeypatch, study_of, request):
    """A maker of studies of these modules, beside a file with a number."""
    module = f"nets_{abs(hash(request.node.nodeid)) % 10**9}"
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / f"{module}.py").write_text(NET.replace("PLACE", str(tmp_path)))
    (tmp_path / "scale.txt").write_text("2.0")
    with looking_in(tmp_path):
        yield lambda name, **keys: study_of(model={"kind": f"{module}:{name}", **keys})
    sys.modules.pop(module, None)


CPU = PackConfig(device="cpu")


@pytest.mark.parametrize(("name", "when"), [("Scaled", "it is built"), ("Late", "in forward")])
def test_a_file_that_no_key_names_is_refused(scaled, name, when):
    with pytest.raises(ModelError, match=rf"reads .*scale\.txt .*{when}.*type model\.scale="):
        check_own_models(scaled(name).cells, CPU)


def test_the_content_of_a_file_that_a_key_names_counts_in_identity(scaled, tmp_path):
    file = tmp_path / "scale.txt"
    study = scaled("Scaled", scale=str(file))
    first = train_pack(study.runs(), study.pack).runs["test_loss"][0]
    file.write_text("3.0")
    with pytest.raises(LaunchError, match=r"the files that arguments of .* name are others now"):
        train_pack(study.runs(), study.pack)
    other = scaled("Scaled", scale=str(file))
    assert other.runs()[0].run_id != study.runs()[0].run_id
    assert train_pack(other.runs(), other.pack).runs["test_loss"][0] != first


def test_a_text_that_names_no_file_leaves_the_identity_as_it_was(scaled):
    assert "+files" not in scaled("Scaled", scale="no/such.txt").cells[0].config


@pytest.mark.slow
def test_a_start_that_differs_between_processes_is_refused(scaled):
    with pytest.raises(ModelError, match=r"must start the same in every process.*: hash"):
        check_own_models(scaled("Hashed").cells, CPU)
