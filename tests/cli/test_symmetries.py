"""`symstudy symmetries`: the table, the JSON, and what it refuses."""

import json

import pytest

MODULE = """
import torch
from torch import nn

class Wide(nn.Module):
    def __init__(self, input_dim, output_dim, width=3):
        super().__init__()
        self.first, self.last = nn.Linear(input_dim, width), nn.Linear(width, output_dim)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))

class Linear(Wide):
    def forward(self, x):
        return self.last(self.first(x))

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.names, self.last = nn.Embedding(7, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.names(x + 3)).sum(dim=1)

def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wide_module.py").write_text(MODULE)
    return tmp_path


def test_the_table_says_what_holds_and_what_is_explained(folder, told_in):
    said, status = told_in(folder, "symmetries", "wide_module:Wide", "--data", "4",
                   "--arguments", "width=5", "--arguments", "output_dim=2")  # fmt: skip
    assert status == 0, said
    assert "permutation" in said
    assert "5!" in said
    assert "first.weight, first.bias | last.weight" in said
    assert "nullity 5: explained by these symmetries 5, unexplained 0" in said


def test_the_json_of_a_study_takes_its_data(folder, told_in):
    study = 'schema = 1\nname = "s"\ntitle = "s"\n[model]\nkind = "fcn"\n'
    study += '[data]\nkind = "teacher_student"\ninput_dim = 6\nsamples = 7\n'
    study += "[train]\nsteps = 2\nlr = 0.1\nbatch_size = 5\n"
    (folder / "s.toml").write_text(study)
    said, status = told_in(folder, "symmetries", "wide_module:Wide", "--data", "s.toml", "--json")
    assert status == 0, said
    found = json.loads(said[said.index("{") : said.rindex("}") + 1])
    (neurons,) = found["neurons"]
    assert neurons == {"name": "first", "layer": 1, "size": 3, "odd": False, "homogeneous": True,
                       "even": False, "activations": True}  # fmt: skip
    assert {row["kind"] for row in found["symmetries"]} == {
        "permutation",
        "rescaling",
        "translation",
    }
    assert all(row["error"] < 1e-9 for row in found["symmetries"])
    assert found["jacobian"]["unexplained"] == 0
    # 3 neurons of 7 numbers, 4 outputs of 4, less 3 rescalings; 7 inputs have 28 outputs.
    assert found["jacobian"]["rank"] == 3 * 7 + 4 * 4 - 3
    on_data = found["training_data"]
    assert on_data["inputs"] == 7
    assert on_data["rank"] <= 28
    assert on_data["directions"] == 34 - on_data["rank"]


LINEAR = (
    "symmetries", "wide_module:Linear", "--data", "2", "--arguments", "width=2",
    "--arguments", "output_dim=2", "--discover",
)  # fmt: skip


def test_discovery_tells_what_the_operations_do_not(folder, told_in):
    said, status = told_in(folder, *LINEAR)
    assert status == 0, said
    table = [line.split("  ") for line in said.splitlines() if line.startswith("everywhere")]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in table]
    assert rows == [
        ["everywhere", "first.bias, last.bias", "last.weight", "2", "2"],
        ["everywhere", *["first.weight, first.bias, last.weight"] * 2, "4", "0"],
    ]
    assert "6 hold everywhere" in said
    assert "derived symmetries have 4, of which 0 were missed" in said
    assert "no generator found has: 0" in said


def test_the_json_has_what_was_discovered(folder, told_in):
    said, status = told_in(folder, *LINEAR, "--json")
    assert status == 0, said
    found = json.loads(said[said.index("{") : said.rindex("}") + 1])["discovery"]
    assert (found["generators"], found["directions"], found["derived"]) == (6, 6, 4)
    assert (found["nullity"], found["unexplained"], found["doubt"]) == (6, 0, "")
    assert found["gap"] > 100
    assert sum(row["new"] for row in found["moved"]) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["wide_module:Wide", "--data", "4"], "--arguments key=value for what it lacks"),
        (["wide_module:Wide", "--data", "four"], "Type --data 784"),
        (["wide_module:Wide", "--data", "4", "--arguments", "width"], "must be key=value"),
        (["wide_module:number", "--data", "4"], "must give a torch.nn.Module, but gave a int"),
        (
            ["wide_module:Wide", "--data", "90", "--arguments", "output_dim=9", "--discover"],
            "Make the module smaller (--arguments)",
        ),
        (["wide_module:Missing", "--data", "4"], "Missing"),
        (
            ["wide_module:Tokens", "--data", "5", "--integers", "7"],
            "must take a batch of whole numbers of shape [6, 5] in float64, where symmetries",
        ),
    ],
)
def test_what_it_cannot_do_it_says_with_what_to_type(folder, told_in, words, expected):
    said, status = told_in(folder, "symmetries", *words)
    assert status == 2, said
    assert expected in " ".join(said.split())
