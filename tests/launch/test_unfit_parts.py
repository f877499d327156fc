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
class Table(nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.a = nn.Linear(input_dim, output_dim)
    def forward(self, x):
        return {"values": self.a(x)}
def of_table(table, targets):
    return ((table["values"] - targets) ** 2).sum(1)
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


def test_a_module_of_other_outputs_is_refused_and_nothing_is_planned(unfit, tmp_path):
    with pytest.raises(ModelError, match=r"outputs \[samples, 3\].* but returned \[samples, 1\]"):
        run_study(unfit("unfit_parts:One"), str(tmp_path / "results"))
    assert not list((tmp_path / "results").rglob("*.parquet"))


def test_a_loss_of_what_a_module_returns_may_not_sum_over_samples(unfit, tmp_path):
    study = unfit("unfit_parts:Table", loss="unfit_parts:of_table")
    with pytest.raises(ModelError, match="must return one number a sample"):
        run_study(study, str(tmp_path / "results"))
