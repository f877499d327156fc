"""Keys that no run reads are refused, since they would do nothing without a word."""

import pytest

from symstudy.errors import StudyFileError
from symstudy.optimizers.sgd import Sgd
from symstudy.study import load_study

STUDY = """
schema = 1
name = "unread"
title = "Unread"
[model]
kind = "fcn"
[data]
kind = "identity"
[train]
lr = 0.01
steps = 10
[sweep]
seed = 2
[presets.sgd.train]
optimizer = "sgd"
momentum = 0.5
[presets.fall.train]
schedule = "cosine"
lr_final = 0.1
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "unread.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("train.momentum=0.5", "train.momentum"),
        ("train.momentum=[0.0,0.5]", "train.momentum"),
        ("train.lr_final=0.1", "train.lr_final"),
        ("train.restarts=3", "train.restarts"),
    ],
)
def test_a_key_of_what_no_run_has_is_refused_and_its_owner_named(path, override, key):
    with pytest.raises(StudyFileError, match=rf"{key}: must be read by some run\. It is a key of"):
        load_study(path, overrides=[override])


def test_w8_a_key_of_one_of_several_optimizers_is_read(path):
    overrides = ['train.optimizer=["sgd","adam"]', "train.momentum=[0.0,0.9]"]
    assert len(load_study(path, overrides=overrides).cells) == 3


def test_a_preset_may_leave_a_key_of_the_file_unread(path):
    text = STUDY.replace("[train]\n", '[train]\nschedule = "linear"\nlr_final = 0.2\n')
    path.write_text(text + '[presets.flat.train]\nschedule = "constant"\n')
    assert load_study(path, preset="flat").cells[0].train.schedule.kind == "constant"
    assert load_study(path, overrides=['train.schedule="constant"']).cells
    with pytest.raises(StudyFileError, match=r"train\.lr_final"):
        load_study(path, preset="flat", overrides=["train.lr_final=0.3"])


def test_a_preset_must_read_what_it_gives(path):
    assert load_study(path, preset="sgd").cells[0].train.optimizer == Sgd(momentum=0.5)
    path.write_text(STUDY.replace('optimizer = "sgd"\n', ""))
    with pytest.raises(StudyFileError, match=r"train\.momentum: must be read"):
        load_study(path, preset="sgd")
