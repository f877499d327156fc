"""Files of trained weights through the whole way: plan, pack, store, ledger, SQL."""

import shutil

import pytest

from symstudy.errors import LaunchError
from symstudy.store import verify
from symstudy.study import make_study
from symstudy.testing.weights import planted_layers, state_dict_of, write_weights


def study(*paths, weights=("file",)):
    return make_study(
        {
            "schema": 1,
            "name": "files",
            "model": {"kind": "pretrained", "heads": 4},
            "data": {"kind": "none"},
            "train": {"optimizer": "none"},
            "sweep": {
                "model.path": [str(path) for path in paths],
                "model.weights": list(weights),
            },
        }
    )


@pytest.fixture
def files(tmp_path):
    one = state_dict_of(planted_layers([(5, 3)], heads=4, directions=8), "timm")
    two = state_dict_of(planted_layers([(8, 8), (2, 7)], heads=4, directions=8), "huggingface")
    return [
        write_weights(tmp_path / "one.safetensors", one),
        write_weights(tmp_path / "two.safetensors", two),
    ]


def test_each_file_is_a_run_whose_layers_are_rows(files, run_inline):
    summary, store = run_inline(study(*files, weights=("file", "random")))
    assert summary.done == 4
    assert verify(store.folders[0]).is_proven
    rows = store.sql(
        "select layer, query_key_breaking, value_output_breaking, head_directions from layers "
        "where weights = 'file' and is_final order by all"
    ).rows
    assert rows == [(1, 20, 12, 32), (1, 32, 32, 32), (2, 8, 28, 32)]
    assert store.sql(
        "select avg(query_key_breaking) from layers where weights = 'random'"
    ).rows == [(32.0,)]


def test_a_file_that_was_measured_is_not_measured_again_wherever_it_lies(
    files, tmp_path, run_inline
):
    run_inline(study(files[0]))
    moved = tmp_path / "elsewhere.safetensors"
    shutil.move(files[0], moved)
    assert run_inline(study(moved))[0].done == 0
    assert run_inline(study(moved, files[1]))[0].done == 1


def test_a_file_that_is_not_there_is_told_before_anything_is_written(tmp_path, run_inline):
    with pytest.raises(LaunchError, match="Download them first"):
        run_inline(study(tmp_path / "none.pth"))
    assert not list(tmp_path.glob("**/study.json"))


def test_a_file_of_something_else_is_the_reason_of_its_run(tmp_path, files, run_inline):
    (tmp_path / "page.pth").write_text("<!doctype html>")
    summary, store = run_inline(study(files[0], tmp_path / "page.pth"))
    assert (summary.done, summary.failed) == (1, 1)
    ((reason,),) = store.sql("select reason from runs where outcome = 'error'").rows
    assert "ModelError: model.path must name a file of safetensors or torch" in reason
