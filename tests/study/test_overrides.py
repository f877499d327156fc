"""What is said of overrides and files that are nearly right."""

import tracemalloc

import pytest

from symstudy.errors import StudyFileError, UserError
from symstudy.study import load_study

STUDY = """\
schema = 1
name = "example"

[model]
kind = "fcn"

[data]
kind = "identity"

[train]
lr = 0.01

[sweep]
"model.width" = [8, 16]
"train.beta1" = [0.0, 0.9]
zip = [["model.width", "train.beta1"]]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.lr=.01"], r"but got '\.01'\. Type train\.lr=0\.01"),
        (["train.lr=1."], r"Type train\.lr=1"),
        (["model.activation=[tanh,relu]"], r"""Type 'model\.activation=\["tanh", "relu"\]'"""),
        (["train.lr=0.1,0.2"], r"Type 'train\.lr=\[0\.1, 0\.2\]' to sweep over them"),
        (["train.lr={log=1e-3..1}"], r"\{log = \[1e-4, 1e-1\], num = 7\}"),
        (["train.lr=0.1", "train.lr=0.2"], r"once, but got 'train\.lr=0\.1' and 'train\.lr=0\.2'"),
        (["train.lr=[0.1]", "sweep.train.lr=[0.2]"], "must set each key once"),
        (["seed=2", "seeds=3"], "must set each key once"),
        (["model.width=8"], r"swept together with train\.beta1 .*type sweep\.zip=\[\]"),
        (["trian.lr=0.1"], "trian: unknown key. Did you mean 'train'"),
        (["momentum=0.1"], r"unknown key\. Did you mean train\.momentum\?"),
        (["train.epsilom=0.1"], "Did you mean 'epsilon'"),
        (
            ["train.lr.peak=0.1"],
            r"train\.lr\.peak must be a key of a table, but train\.lr is 0\.01",
        ),
        (["name.x=1"], "name is 'example'"),
    ],
)
def test_an_override_that_is_nearly_right_says_what_to_type(path, overrides, message):
    with pytest.raises(UserError, match=message):
        load_study(path, overrides=overrides)


def test_a_mistake_of_an_override_blames_no_line_of_the_file(path):
    with pytest.raises(StudyFileError) as raised:
        load_study(path, overrides=["train.lr=-1.0"])
    assert [mistake.line for mistake in raised.value.mistakes] == [0]


def test_a_byte_order_mark_is_passed_over(path):
    path.write_bytes(b"\xef\xbb\xbf" + STUDY.encode())
    assert len(load_study(path).cells) == 2


def test_a_field_swept_in_quotes_and_as_a_dotted_key_is_there_twice(path):
    path.write_text(STUDY + "model.width = [32]\n")
    with pytest.raises(UserError, match=r"each field once, but got 'model\.width'"):
        load_study(path)


def test_a_preset_that_is_no_table_is_refused(path):
    path.write_text(STUDY + "[presets]\nsmall = 3\n")
    with pytest.raises(UserError, match=r"presets\.small .* must be a table, but got 3"):
        load_study(path, preset="small")


@pytest.mark.parametrize("more", [[], ["train.stepss=3"]])
def test_too_many_cells_are_counted_and_not_made(path, more):
    axis = "={linear=[0.001,0.9],num=60}"
    fields = ("train.lr", "train.gamma", "train.beta1", "data.label_noise")
    tracemalloc.start()
    with pytest.raises(StudyFileError) as raised:
        load_study(path, overrides=["sweep.zip=[]", *(f"{field}{axis}" for field in fields), *more])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    text = str(raised.value)
    assert (
        "must ask for at most 1,000,000 runs, but 25,920,000 cells (2 x 60 x 60 x 60 x 60)" in text
    )
    assert "sweep.max_runs=25920000" in text
    assert peak < 50e6


def test_more_runs_are_allowed_by_the_key_that_the_message_names(path):
    overrides = ["seed=2000", "sweep.max_runs=3000"]
    with pytest.raises(StudyFileError, match=r"at most 3,000 runs, but 2 cells x 2,000 seeds are"):
        load_study(path, overrides=overrides)
    study = load_study(path, overrides=[*overrides[:1], "sweep.max_runs=4000"])
    assert len(study.cells) * len(study.seeds) == 4000
    assert study.swept == ("model.width", "train.beta1")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=4294967296", "at most 1,000,000 seeds, but got 4,294,967,296"),
        ("seed=2000000", r"type seed=\[2000000\]"),
        ("seed=[18446744073709551616]", r"seeds below 2\^32, but got 18446744073709551616"),
        ("seed=[-1]", "different integers from 0 on"),
        ("seed=[1,1]", "different integers from 0 on"),
        ("seed=[1.0]", "different integers from 0 on"),
        ("seed=2.0", "at least 1, or a list"),
        ("seed=true", "at least 1, or a list"),
        ("sweep.max_runs=0", "number of runs, at least 1"),
        ("train.lr={linear=[0,1],num=1000000000}", "`num` must be at most 1,000,000"),
    ],
)
def test_seeds_and_ranges_that_cannot_be_are_refused(path, override, message):
    with pytest.raises(StudyFileError, match=message):
        load_study(path, overrides=[override])


def test_an_axis_of_many_values_is_checked_once_a_value(path, monkeypatch):
    widths = ",".join(map(str, range(1, 20_001)))
    study = "sweep.zip=[]", f"model.width=[{widths}]", "sweep.max_runs=1"
    with pytest.raises(StudyFileError, match="40,000 cells"):
        load_study(path, overrides=study)
