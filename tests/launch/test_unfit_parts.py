"""Row W5 of the trial: what cannot fit is refused before anything is planned or trained."""

import pytest

from symstudy import make_study
from symstudy.errors import ModelError
from symstudy.launch import run_study

NET = """
from torch import nn
class One(nn.Module):
    def __init__(self, input_dim):
        super().__init__()
        self.a = nn.Linear(input_dim, 1)
    def forward(self, x):
        return self.a(x)
def first_samples(outputs, targets):
    return ((outputs - targets) ** 2).sum(1)
"""


@pytest.fixture
def unfit(tmp_path, monkeypatch):
    (tmp_path / "unfit_parts.py").write_text(NET)
    monkeypatch.chdir(tmp_path)

    def make(kind, **train):
        data = {"kind": "teacher_student", "samples": 12, "test_samples": 5, "output_dim": 3}
        return make_study(
            {
                "schema": 1,
                "name": "unfit",
                "model": {"kind": kind},
                "data": data,
                "train": {"lr": 0.01, "steps": 2, "batch_size": 4, **train},
            }
        )

    return make


@pytest.mark.parametrize(
    ("kind", "train", "message"),
    [
        ("unfit_parts:One", {}, r"must return outputs \[samples, 3\].* but returned \[samples, 1\]"),
        ("fcn", {"loss": "unfit_parts:first_samples"}, "must return one number a sample"),
    ],
)
def test_a_launch_of_what_cannot_fit_is_refused_and_writes_no_plan(
    unfit, tmp_path, kind, train, message
):
    with pytest.raises(ModelError, match=message):
        run_study(unfit(kind, **train), str(tmp_path / "results"))
    assert not list((tmp_path / "results").rglob("*.parquet"))
