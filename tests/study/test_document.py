import pytest

from symstudy.errors import StudyFileError, UnknownNameError, UserError
from symstudy.study import load_study
from symstudy.study.lines import index_keys

STUDY = """\
schema = 1
name = "example"
title = "An example"

[model]
kind = "fcn"

[data]
kind = "identity"

[train]
lr = 0.01

[sweep]
"model.width" = [8, 16]
train.gamma = { log = [1e-4, 1e-2], num = 3 }
seed = 2

[presets.small]
train.steps = 5
[presets.small.sweep]
"model.width" = [4]
"""


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "a study with 'quotes' and ümlaut.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def widths(study):
    return sorted({cell.model.width for cell in study.cells})


def test_a_file_becomes_a_grid_of_cells_and_seeds(study_file):
    study = load_study(study_file)
    assert len(study.cells) == 6
    assert study.seeds == (0, 1)
    assert widths(study) == [8, 16]
    assert sorted({cell.train.gamma for cell in study.cells}) == [1e-4, 1e-3, 1e-2]


def test_a_preset_is_merged_over_the_file(study_file):
    study = load_study(study_file, preset="small")
    assert widths(study) == [4]
    assert {cell.train.steps for cell in study.cells} == {5}
    assert study.preset == "small"


def test_an_unknown_preset_names_the_nearest(study_file):
    with pytest.raises(UnknownNameError, match="Did you mean 'small'"):
        load_study(study_file, preset="smal")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.width=32", [32]),
        ("model.width=[32, 64]", [32, 64]),
        ("sweep.model.width=[2]", [2]),
        ('sweep."model.width"=[2]', [2]),
        ("model.width={log=[2, 8], num=3}", [2, 4, 8]),
    ],
)
def test_an_override_wins_over_file_and_preset(study_file, override, expected):
    assert widths(load_study(study_file, preset="small", overrides=[override])) == expected


def test_a_list_of_measures_is_one_value_and_a_list_of_lists_an_axis(study_file):
    one = load_study(study_file, overrides=['probe.measures=["stable_rank"]'])
    assert {cell.probe.measures for cell in one.cells} == {("stable_rank",)}
    two = load_study(study_file, overrides=['probe.measures=[["stable_rank"], []]'])
    assert "probe.measures" in two.swept
    assert {cell.probe.measures for cell in two.cells} == {("stable_rank",), ()}


def test_overrides_read_bare_words_and_seeds(study_file):
    study = load_study(study_file, overrides=["model.activation=relu", "seed=4"])
    assert '"activation":"relu"' in study.cells[0].config
    assert study.seeds == (0, 1, 2, 3)


def test_fixing_a_swept_field_is_told(study_file):
    notes = load_study(study_file, overrides=["model.width=32"]).notes
    assert notes == ("model.width is fixed at 32 and no longer swept",)


def test_an_override_without_a_value_is_refused(study_file):
    with pytest.raises(UserError, match="must be key=value"):
        load_study(study_file, overrides=["train.steps"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml.*No such file"):
        load_study(tmp_path / "none.toml")


def test_a_syntax_error_is_a_mistake_of_the_file(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("schema = = 1\n")
    with pytest.raises(StudyFileError, match="must be TOML"):
        load_study(path)


def test_lines_survive_arrays_strings_and_comments():
    text = 'a = [\n  1, # ]\n  2,\n]\nb = """\nc = 1\n"""\n[t.u] # x\n"d.e" = "[" # [\nf.g = 1\n'
    assert index_keys(text) == {"a": 1, "b": 5, "t.u": 8, "t.u.d.e": 9, "t.u.f.g": 10}


def test_a_study_shows_its_size_and_axes_in_a_notebook(study_file):
    shown = load_study(study_file)._repr_html_()
    assert "<b>example</b>: An example; 6 cells x 2 seeds" in shown
    assert "<td>train.gamma</td><td>3</td>" in shown
