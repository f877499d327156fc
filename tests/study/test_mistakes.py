import pytest

from symstudy.errors import StudyFileError
from symstudy.study import load_study

GOOD = {
    "schema": "schema = 1",
    "name": 'name = "x"',
    "model": '[model]\nkind = "fcn"',
    "data": '[data]\nkind = "identity"',
    "train": "[train]\nlr = 0.1",
    "sweep": "[sweep]\nseed = 2",
}


def mistakes(tmp_path, **parts):
    path = tmp_path / "study.toml"
    path.write_text("\n".join({**GOOD, **parts}.values()) + "\n")
    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("parts", "key", "text"),
    [
        ({"schema": "schema = 2"}, "schema", "must be 1, but got 2"),
        ({"name": 'name = "a b"'}, "name", "must be letters"),
        ({"name": 'name = "x"\nmodle = 1'}, "modle", "Did you mean 'model'"),
        ({"model": '[model]\nkind = "fnc"'}, "model.kind", "Did you mean 'fcn'"),
        ({"model": "[model]\nwidth = 3"}, "model.kind", "must be given"),
        (
            {"model": '[model]\nkind = "fcn"\nwidth = 0'},
            "model.width",
            "must be at least 1, but got 0",
        ),
        ({"model": '[model]\nkind = "fcn"\nwidth = 1.5'}, "model.width", "must be an integer"),
        ({"model": '[model]\nkind = "fcn"\nwidth = true'}, "model.width", "must be an integer"),
        ({"model": '[model]\nkind = "fcn"\nwidht = 3'}, "model.widht", "Did you mean 'width'"),
        (
            {"model": '[model]\nkind = "fcn"\nactivation = "tahn"'},
            "model.activation",
            "Did you mean 'tanh'",
        ),
        ({"data": '[data]\nkind = "mnits"'}, "data.kind", "must be a known kind"),
        (
            {"data": '[data]\nkind = "spectrum"\nsamples = 3'},
            "data",
            "must be at least `data.input_dim`",
        ),
        ({"data": '[data]\nkind = "digits"\nsamples = 1401'}, "data.samples", "at most 1400"),
        ({"train": "[train]\nlr = -1.0"}, "train.lr", "must be greater than 0"),
        ({"train": "[train]\nlr = nan"}, "train.lr", "must be a finite number"),
        ({"train": "[train]\nlr = 2020-01-01"}, "train.lr", "must be a number"),
        ({"train": "[train]\nlr = 0.1\nsteps = 0"}, "train.steps", "must be at least 1"),
        ({"train": "[train]\nlr = 0.1\ngamma = -0.1"}, "train.gamma", "must be at least 0"),
        ({"train": "[train]\nsteps = 5"}, "train.lr", "got neither"),
        ({"train": "[train]\nlr = 0.1\nlr_over_batch = 0.1"}, "train.lr_over_batch", "got both"),
        (
            {"train": '[train]\nlr = 0.1\noptimizer = "lbfgs"'},
            "train.lr",
            "must be left out for lbfgs",
        ),
        (
            {"train": '[train]\nbatch_size = 8\noptimizer = "lbfgs"'},
            "train.batch_size",
            "must be 'full' for lbfgs, but got 8",
        ),
        (
            {
                "data": '[data]\nkind = "identity"\nlabel_noise = 1.0\nnoise_mode = "online"',
                "train": '[train]\noptimizer = "lbfgs"',
            },
            "train.optimizer",
            "must not be lbfgs where data.noise_mode = 'online'",
        ),
        (
            {"train": "[train]\nlr = 0.1\ngamma = 0.1\nweight_decay = 0.1"},
            "train.weight_decay",
            "at most one",
        ),
        ({"train": "[train]\nlr = 0.1\nbatch_size = 101"}, "train.batch_size", "at most the 100"),
        (
            {"train": '[train]\nlr = 0.1\nbatch_size = "ful"'},
            "train.batch_size",
            "Did you mean 'full'",
        ),
        (
            {"train": '[train]\nlr = 0.1\nloss = "cross_entropy"'},
            "train.loss",
            "must be squared_error or mse",
        ),
        (
            {"data": '[data]\nkind = "identity"\nfresh = true'},
            "train.batch_size",
            "must be a number where every batch is drawn anew",
        ),
        ({"sweep": '[sweep]\n"model.width" = []'}, "sweep.model.width", "the list is empty"),
        ({"sweep": '[sweep]\n"model.width" = [2, 2]'}, "sweep.model.width", "different values"),
        ({"sweep": '[sweep]\n"model.width" = 3'}, "sweep.model.width", "must be a list or a range"),
        (
            {"sweep": '[sweep]\n"modle.width" = [3]'},
            "sweep.modle.width",
            "Did you mean 'model.width'",
        ),
        ({"sweep": '[sweep]\n"model.width" = [3, 0]'}, "model.width", "at least 1, but got 0"),
        (
            {"sweep": '[sweep]\n"train.gamma" = { log = [0, 1], num = 3 }'},
            "sweep.train.gamma",
            "must start above 0",
        ),
        (
            {"sweep": '[sweep]\n"train.gamma" = { log = [1, 0.1], num = 3 }'},
            "sweep.train.gamma",
            "first end must be below",
        ),
        ({"sweep": '[sweep]\n"train.gamma" = { log = [1, 2] }'}, "sweep.train.gamma", "num = n"),
        ({"sweep": "[sweep]\nseed = 0"}, "sweep.seed", "at least 1"),
        ({"sweep": "[sweep]\nseed = [1, 1]"}, "sweep.seed", "different integers"),
        (
            {
                "sweep": '[sweep]\n"train.lr" = [1, 2]\n"train.steps" = [1]\n'
                'zip = [["train.lr", "train.steps"]]'
            },
            "sweep.zip",
            "axes of one length",
        ),
        ({"sweep": '[sweep]\nzip = [["train.lr"]]'}, "sweep.zip", "must name swept fields"),
        ({"sweep": "[sweep]\nseed = 2\n[pack]\nsize = 0"}, "pack.size", "must be at least 1"),
        ({"sweep": "[sweep]\nseed = 2\n[probe]\nnum = 1"}, "probe.num", "must be at least 2"),
        (
            {"sweep": '[sweep]\nseed = 2\n[probe]\nmeasures = ["sign_flip_distnace"]'},
            "probe.measures",
            "Did you mean 'sign_flip_distance'",
        ),
        (
            {"sweep": '[sweep]\nseed = 2\n[probe]\nmeasures = ["rank"]'},
            "probe.measures",
            "must leave out 'rank', which every study records",
        ),
        (
            {"sweep": '[sweep]\nseed = 2\n[probe]\nmeasures = ["stable_rank", "stable_rank"]'},
            "probe.measures",
            "must name each measure once",
        ),
        (
            {"sweep": "[sweep]\nseed = 2\n[probe]\nmeasures = [3]"},
            "probe.measures",
            "must be a string in quotes",
        ),
        (
            {"sweep": '[sweep]\n"probe.measures" = ["stable_rank"]'},
            "probe.measures",
            "one value that is a list is typed as [[...]]",
        ),
    ],
)
def test_a_mistake_says_key_value_and_what_must_hold(tmp_path, parts, key, text):
    found = mistakes(tmp_path, **parts)
    assert key in {mistake.key for mistake in found}
    assert text in next(mistake.what for mistake in found if mistake.key == key)


def test_all_mistakes_are_listed_at_once_by_line(tmp_path):
    found = mistakes(
        tmp_path,
        model='[model]\nkind = "fcn"\nwidth = 0\ndeph = 2',
        train="[train]\nlr = 0.1\nsteps = 0",
        sweep='[sweep]\n"train.gamma" = []',
    )
    assert [(mistake.line, mistake.key) for mistake in found] == [
        (5, "model.width"),
        (6, "model.deph"),
        (11, "train.steps"),
        (13, "sweep.train.gamma"),
    ]


def test_the_message_has_file_line_and_key(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("\n".join(GOOD.values()) + "\n[probe]\nnum = 0\n")
    with pytest.raises(StudyFileError, match=r"study\.toml:12: probe\.num: must be at least 2"):
        load_study(path)
