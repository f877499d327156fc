import pytest

from symstudy.errors import StudyFileError
from symstudy.study import load_study, make_study
from symstudy.study.space import Dimension, read_dimension

FILE = """\
schema = 1
name = "hunt"

[model]
kind = "fcn"

[data]
kind = "teacher_student"
samples = 40

[train]
steps = 50

[sweep]
"train.gamma" = [0.0, 0.1]
seed = 2

[search]
method = "tpe"
objective = "test_loss"
trials = 10

[search.space]
"train.lr" = { log = [1e-3, 1.0] }
"model.width" = { log = [4, 64] }
model.activation = ["tanh", "relu"]

[presets.long]
search.trials = 30
search.space."train.lr" = { linear = [0.1, 0.2] }
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text, old="", new=""):
        path = tmp_path / "study.toml"
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return path

    return to_file


def mistakes(path):
    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    return {mistake.key: (mistake.line, mistake.what) for mistake in caught.value.mistakes}


def test_a_search_has_branches_a_space_and_a_budget(write):
    study = load_study(write(FILE))
    assert study.runs() == []
    assert study.search is not None
    assert study.search.branches == ({"train.gamma": 0.0}, {"train.gamma": 0.1})
    assert [d.field for d in study.search.space] == ["train.lr", "model.width", "model.activation"]
    assert study.swept == ("train.gamma", "train.lr", "model.width", "model.activation")
    assert study.search.num_runs == 2 * 10 * 2


def test_points_of_a_branch_become_cells(write):
    search = load_study(write(FILE)).search
    assert search is not None
    points = [{"train.lr": lr, "model.width": 8, "model.activation": "relu"} for lr in (0.01, 0.1)]
    cells = search.cells(1, points)
    assert [cell.train.lr for cell in cells] == [0.01, 0.1]
    assert {cell.train.gamma for cell in cells} == {0.1}
    # The same cell as that of a grid, so a run is the same run wherever it is asked for.
    grid = make_study(
        {
            "schema": 1,
            "name": "grid",
            "model": {"kind": "fcn", "width": 8, "activation": "relu"},
            "data": {"kind": "teacher_student", "samples": 40},
            "train": {"steps": 50, "lr": 0.01, "gamma": 0.1},
        }
    )
    assert cells[0].cell_id == grid.cells[0].cell_id


def test_expected_runs_stand_for_what_is_asked_for(write):
    runs = load_study(write(FILE)).expected_runs()
    assert len(runs) == 40
    assert len({run.cell.model for run in runs}) > 4
    grid = make_study({**HEAD, "sweep": {"seed": 3}, "train": {"lr": 0.1}})
    assert grid.expected_runs() == grid.runs()


def test_runs_that_confirm_finds_are_expected_too(write):
    confirm = "[search.confirm]\nbeyond = 0.1\nseeds = 3\nmost = 4\n"
    study = load_study(write(FILE + confirm))
    assert study.search is not None
    assert study.search.num_confirming == 2 * 4 * 3
    assert len(study.expected_runs()) == study.search.num_runs + study.search.num_confirming
    again = load_study(write(FILE + confirm + 'set = { "train.tolerance" = 1e-12 }\n'))
    assert again.search is not None
    assert again.search.num_confirming == 2 * 4 * (3 + 2)


def test_presets_and_overrides_reach_the_search(write):
    path = write(FILE)
    search = load_study(path, preset="long").search
    assert search is not None
    assert search.config.trials == 30
    assert search.space[0].kind == "linear"
    assert len(search.space) == 3
    fixed = load_study(path, overrides=["train.lr=0.1", "search.batch=4"])
    assert fixed.search is not None
    assert [d.field for d in fixed.search.space] == ["model.width", "model.activation"]
    assert fixed.search.config.batch == 4
    assert fixed.notes == ("train.lr is fixed at 0.1 and no longer searched",)
    swept = load_study(path, overrides=["model.width=[8,16]"])
    assert swept.search is not None
    assert len(swept.search.branches) == 4
    overrides = ["train.lr={log=[0.1, 0.2]}", "search.space.train.beta1=[0.8, 0.9]"]
    ranged = load_study(path, overrides=overrides)
    assert ranged.search is not None
    assert ranged.search.space[0].low == 0.1
    assert ranged.search.space[-1].values == (0.8, 0.9)


@pytest.mark.parametrize(
    ("old", "new", "key", "line", "text"),
    [
        ('method = "tpe"', 'method = "tep"', "search.method", 19, "Did you mean 'tpe'"),
        ('objective = "test_loss"', "", "search.objective", 18, "must be given"),
        ("trials = 10", "trials = 0", "search.trials", 21, "at least 1, but got 0"),
        ("trials = 10", "trails = 10", "search.trails", 21, "Did you mean 'trials'"),
        ("trials = 10", "resolution = 0.1", "search.resolution", 21, "must be left out for tpe"),
        ("[1e-3, 1.0]", "[0.0, 1.0]", "search.space.train.lr", 24, "must start above 0"),
        ("[1e-3, 1.0]", "[1.0, 0.1]", "search.space.train.lr", 24, "first end must be below"),
        ("log = [1e-3, 1.0]", "log = [1.0]", "search.space.train.lr", 24, "{log = [low, high]}"),
        ('["tanh", "relu"]', '["tanh"]', "search.space.model.activation", 26, "at least two"),
        ('["tanh", "relu"]', '["tanh", "rleu"]', "search.space.model.activation", 26,
         "Did you mean 'relu'"),
        ("[4, 64]", "[0, 64]", "search.space.model.width", 25, "must start above 0"),
        ('"train.lr" =', '"train.rl" =', "search.space.train.rl", 24, "Did you mean 'lr'"),
        ('"train.lr" =', '"train.gamma" =', "search.space.train.gamma", 24, "is in [sweep] too"),
        ("steps = 50", "steps = 50\nlr = 0.1", "search.space.train.lr", 25, "is 0.1 in [train]"),
        ("[search]", "[search.confirm]\nbeyond = 0.1\nset = {train.gamma = 0.1}\n[search]",
         "search.confirm.set.train.gamma", 20, "must be a fixed field"),
        ("[search]", "[search.confirm]\nseeds = 3\n[search]", "search.confirm.beyond", 18,
         "must be given"),
        ("[search]", "[search.halt]\nmeasure = 3\n[search]", "search.halt.measure", 19,
         "must be a string"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(write, old, new, key, line, text):
    found = mistakes(write(FILE, old, new))
    assert key in found
    assert text in found[key][1]
    assert found[key][0] == line


HEAD = {
    "schema": 1,
    "name": "x",
    "model": {"kind": "fcn"},
    "data": {"kind": "teacher_student"},
    "train": {"lr": 0.1},
}


@pytest.mark.parametrize(
    ("search", "sweep", "key", "text"),
    [
        ({"method": "tpe"}, {}, "search.space", "must name at least one field"),
        ({"method": "bisect", "space": {"train.momentum": {"linear": [0, 0.9]}, "train.gamma":
          {"log": [0.1, 1]}}}, {}, "search.space", "the one field that is bisected, but has 2"),
        ({"method": "bisect", "space": {"model.width": [1, 2]}}, {}, "search.space.model.width",
         "must be a range for bisect"),
        ({"method": "bisect", "direction": "maximize"}, {}, "search.direction",
         "must be left out for bisect"),
        ({"method": "replicate", "high": 1.0}, {}, "search.looks", "must be given for replicate"),
        ({"method": "replicate", "looks": [5, 5], "high": 1.0}, {}, "search.looks",
         "must be growing"),
        ({"method": "replicate", "looks": [5, 10]}, {}, "search.low", "at least one of"),
        ({"method": "replicate", "looks": [5, 10], "low": 2.0, "high": 1.0}, {}, "search.high",
         "must be above search.low"),
        ({"method": "replicate", "looks": [5, 10], "low": 2.0}, {"seed": 3}, "search.looks",
         "leave sweep.seed out"),
        ({"method": "cmaes", "space": {"train.momentum": {"linear": [0, 0.9]}}}, {},
         "search.space", "at least two fields for cmaes"),
        ({"method": "cmaes", "space": {"train.momentum": {"linear": [0, 0.9]}, "model.activation":
          ["tanh", "relu"]}}, {}, "search.space.model.activation", "must be a range for cmaes"),
    ],
)  # fmt: skip
def test_each_method_has_what_it_needs_and_nothing_else(search, sweep, key, text):
    with pytest.raises(StudyFileError) as caught:
        make_study({**HEAD, "sweep": sweep, "search": {"objective": "test_loss", **search}})
    found = {mistake.key: mistake.what for mistake in caught.value.mistakes}
    assert text in found[key]


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        ({"log": [1e-3, 1.0]}, (1e-3, 1.0)),
        ({"linear": [0, 10]}, (0, 10)),
        ({"log": [1, 100]}, (1, 100)),
        (["a", "b", "c"], ("a", "b", "c")),
    ],
)
def test_shares_and_values_of_a_dimension_agree(value, ends):
    dimension = read_dimension("train.x", value)
    assert dimension.ends == ends
    assert (dimension.at(0.0), dimension.at(1.0)) == (ends[0], ends[-1])
    for place in range(101):
        found = dimension.at(place / 100)
        assert dimension.holds(found)
        assert dimension.at(dimension.share(found)) == found


def test_integers_have_equal_parts_of_the_way():
    dimension = Dimension(field="x", kind="linear", low=1, high=4, is_integer=True)
    found = [dimension.at((place + 0.5) / 400) for place in range(400)]
    assert {value: found.count(value) for value in (1, 2, 3, 4)} == dict.fromkeys((1, 2, 3, 4), 100)


def test_what_lies_outside_is_not_held():
    dimension = read_dimension("train.x", {"linear": [0, 10]})
    assert not any(dimension.holds(value) for value in (-1, 11, 0.5, "a"))
    assert not read_dimension("train.x", ["a", "b"]).holds("c")
