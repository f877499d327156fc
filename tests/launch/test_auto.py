"""What is trained in this process and what through Ray, without starting either but once."""

import pytest

from symstudy.launch import AutoLauncher, InlineLauncher, RayLauncher, run_study
from symstudy.launch.launchers.auto import SMALL_S
from symstudy.store import open_store, verify
from symstudy.study import PackConfig, load_study, make_study
from symstudy.study.cost import estimate_cost


def study_of(**tables):
    base = {
        "schema": 1,
        "name": "small",
        "title": "Small",
        "model": {"kind": "fcn", "width": 8},
        "data": {"kind": "teacher_student", "input_dim": 3, "output_dim": 2, "samples": 32},
        "train": {"lr": 0.05, "steps": 20, "batch_size": 8},
        "probe": {"num": 2, "detail": 1},
        "sweep": {"seed": 2},
    }
    return make_study({**base, **tables})


def chosen_for(study, **options):
    launcher = AutoLauncher.from_options(study.pack, **options)
    launcher.prepare(study)
    return type(launcher.chosen)


def test_a_small_study_is_trained_in_this_process():
    assert chosen_for(study_of()) is InlineLauncher


@pytest.mark.parametrize("options", [{"address": "head:6379"}, {"workers": 2}])
def test_an_address_or_a_number_of_workers_asks_for_ray(options):
    assert chosen_for(study_of(), **options) is RayLauncher


def test_what_one_core_trains_for_longer_goes_through_ray():
    def trained_for(steps):
        return study_of(train={"lr": 0.05, "steps": steps, "batch_size": 8})

    (cell,) = trained_for(1_000_000).cells
    enough = int(
        1_000_000 * SMALL_S / estimate_cost(cell, device="cpu", engine="auto").pack_seconds(2)
    )
    assert chosen_for(trained_for(enough // 2)) is InlineLauncher
    assert chosen_for(trained_for(2 * enough)) is RayLauncher


def test_a_search_and_what_is_to_be_on_a_gpu_go_through_ray():
    search = {
        "method": "bisect",
        "objective": "test_loss > 1",
        "trials": 4,
        "batch": 2,
        "resolution": 0.1,
        "space": {"train.gamma": {"linear": [0.1, 1.0]}},
    }
    assert chosen_for(study_of(search=search)) is RayLauncher
    assert chosen_for(study_of(pack={"device": "cuda"})) is RayLauncher


def test_code_of_the_users_own_goes_through_ray(tmp_path, monkeypatch):
    (tmp_path / "nets_5e1.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Linear(3, 2))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert chosen_for(study_of(model={"kind": "nets_5e1:Net"})) is RayLauncher


def test_a_small_study_is_trained_whole(tmp_path, root):
    study = load_study(root / "studies" / "smoke.toml")
    summary = run_study(study, str(tmp_path), AutoLauncher(PackConfig(device="cpu")))
    assert summary.done == 12
    assert verify(open_store(tmp_path).folders[0]).is_proven
