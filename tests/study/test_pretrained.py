"""Trained weights in a study: known by their content, planned before they are there."""

import pytest

from symstudy.errors import LaunchError, StudyFileError
from symstudy.launch.cluster.environment import require_files
from symstudy.study import make_study, plan_packs
from symstudy.testing.weights import planted_layers, state_dict_of, write_weights


def study(paths, **tables):
    values = {
        "schema": 1,
        "name": "files",
        "model": {"kind": "pretrained", "heads": 4, **tables.pop("model", {})},
        "data": tables.pop("data", {"kind": "none"}),
        "train": tables.pop("train", {"optimizer": "none"}),
        "sweep": {"model.path": [str(path) for path in paths], **tables.pop("sweep", {})},
    }
    return make_study({**values, **tables})


def write(path, seed=0):
    layers = planted_layers([(5, 3)], heads=4, directions=8, seed=seed)
    return write_weights(path, state_dict_of(layers, "timm"))


def test_a_run_is_known_by_what_the_file_holds(tmp_path):
    (first,) = study([write(tmp_path / "a.safetensors")]).runs()
    (moved,) = study([write(tmp_path / "b.safetensors")]).runs()
    (other,) = study([write(tmp_path / "a.safetensors", seed=1)]).runs()
    assert first.run_id == moved.run_id != other.run_id
    assert first.cell.config != moved.cell.config


def test_a_relative_path_is_made_absolute_for_the_workers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.pth")
    (run,) = study(["a.pth"]).runs()
    assert run.cell.model.path == str(tmp_path / "a.pth")


def test_weights_that_are_not_there_can_be_planned_and_not_launched(tmp_path):
    planned = study([tmp_path / "later.pth"])
    assert len(plan_packs(planned.runs(), planned.pack)) == 1
    assert planned.notes == (
        f"model.path: {tmp_path / 'later.pth'} is not there yet; runs are named when it is",
    )
    with pytest.raises(LaunchError, match=r"none at .*later\.pth"):
        require_files(planned)


def test_files_of_one_content_would_be_one_run(tmp_path):
    paths = [write(tmp_path / "a.pth"), write(tmp_path / "b.pth")]
    paths[1].write_bytes(paths[0].read_bytes())
    with pytest.raises(StudyFileError, match="must hold different weights"):
        study(paths)


def test_content_that_is_given_is_checked(tmp_path):
    path = write(tmp_path / "a.pth")
    (run,) = study([path]).runs()
    (same,) = study([path], model={"content": run.cell.model.content}).runs()
    assert same.run_id == run.run_id
    with pytest.raises(StudyFileError, match=r"model\.content: must be the SHA-256"):
        study([path], model={"content": "0" * 64})


def test_an_index_without_its_files_is_a_mistake_of_the_study(tmp_path):
    (tmp_path / "i.json").write_text('{"weight_map": {"a": "1.safetensors"}}')
    with pytest.raises(StudyFileError, match=r"model\.path: every file of the index"):
        study([tmp_path / "i.json"])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"train": {"lr": 0.1}}, r"train\.optimizer: must be 'none' where data.kind = 'none'"),
        ({"data": {"kind": "digits"}}, r"data\.kind: must be 'none' for model.kind = 'pretrained'"),
        ({"train": {"optimizer": "none", "lr": 0.1}}, r"train\.lr: must be left out for none"),
        ({"train": {"optimizer": "none", "syre": 0.1}}, r"train\.syre: must be 0 for none"),
        ({"train": {"optimizer": "none", "converged": 1e-3}}, "it takes no steps"),
        ({"train": {"optimizer": "none", "polish": 9, "dtype": "float64"}}, "goes nowhere"),
    ],
)
def test_what_trains_nothing_has_nothing_to_set(tmp_path, tables, message):
    with pytest.raises(StudyFileError, match=message):
        study([tmp_path / "a.pth"], **tables)


def test_no_data_are_for_trained_weights_alone():
    values = {"schema": 1, "name": "n", "model": {"kind": "fcn"}, "data": {"kind": "none"}}
    with pytest.raises(StudyFileError, match="and for no other model, but got 'none' for 'fcn'"):
        make_study({**values, "train": {"optimizer": "none"}})


def test_a_larger_file_is_estimated_to_take_longer(tmp_path):
    small, large = tmp_path / "small.pth", tmp_path / "large.pth"
    write(small)
    layers = planted_layers([(5, 3)] * 4, heads=4, directions=16)
    write_weights(large, state_dict_of(layers, "timm"))
    packs = plan_packs(study([small, large]).runs(), study([small]).pack)
    assert [getattr(pack.runs[0].cell.model, "path", "") for pack in packs] == [
        str(large),
        str(small),
    ]
