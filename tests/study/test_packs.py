import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from symstudy.study import PackConfig, make_study, plan_packs
from symstudy.testing.strategies import small_studies


def wide_study(**tables):
    return make_study(
        {
            "schema": 1,
            "name": "x",
            "title": "x",
            "model": {"kind": "fcn"},
            "data": {"kind": "digits"},
            "train": {"lr": 0.01, "batch_size": 100, "steps": 5000},
            "sweep": {"model.width": [16, 256], "train.gamma": [0.0, 0.1], "seed": 30},
            **tables,
        }
    )


@given(small_studies(), st.integers(1, 8), st.none() | st.integers(1, 7))
def test_every_run_is_in_exactly_one_pack(study, workers, size):
    packs = plan_packs(study.runs(), PackConfig(size=size), workers=workers)
    packed = [run.run_id for pack in packs for run in pack.runs]
    assert sorted(packed) == sorted(run.run_id for run in study.runs())
    assert all(len({run.cell.shape for run in pack.runs}) == 1 for pack in packs)
    assert size is None or max(len(pack.runs) for pack in packs) <= size


def test_runs_of_different_shapes_are_apart_and_other_numbers_are_not():
    study = wide_study()
    packs = plan_packs(study.runs(), PackConfig(size=1000))
    assert sorted(len(pack.runs) for pack in packs) == [60, 60]


def test_long_packs_come_first():
    packs = plan_packs(wide_study().runs(), PackConfig(), workers=2)
    seconds = [pack.seconds for pack in packs]
    assert seconds == sorted(seconds, reverse=True)


def test_runs_longer_than_a_pack_are_alone():
    packs = plan_packs(wide_study().runs(), PackConfig(seconds=1e-6), workers=1)
    assert (
        max(len(pack.runs) for pack in packs if pack.runs[0].cell.config.count('"width":256')) == 1
    )


def test_every_worker_gets_several_packs():
    packs = plan_packs(wide_study().runs(), PackConfig(seconds=1e9), workers=4)
    assert len(packs) >= 12


def test_the_identifier_is_that_of_the_set_of_runs():
    runs = wide_study().runs()
    packs = plan_packs(runs, PackConfig(), workers=2)
    again = plan_packs(runs[::-1], PackConfig(), workers=2)
    assert {pack.pack_id for pack in packs} == {pack.pack_id for pack in again}


def test_packs_on_a_gpu_are_larger():
    runs = wide_study(sweep={"seed": 500}).runs()
    on_cpu, on_gpu = (plan_packs(runs, PackConfig(), device=device) for device in ("cpu", "cuda"))
    assert len(on_gpu) < len(on_cpu)


def test_small_memory_makes_small_packs(monkeypatch):
    monkeypatch.setitem(plan_packs.__globals__["MEMORY_BYTES"], "cpu", 10_000_000)
    packs = plan_packs(wide_study().runs(), PackConfig(seconds=1e9), workers=1)
    assert all(pack.memory_bytes <= 10_000_000 for pack in packs)


def test_lane_fields_are_those_that_shapes_do_not_depend_on():
    study = wide_study(
        sweep={
            "train.lr": [0.1, 0.2],
            "model.init_scale": [0.5, 1.0],
            "data.label_noise": [0.0, 0.1],
            "data.input_scale": [1.0, 2.0],
        }
    )
    assert len({cell.shape for cell in study.cells}) == 1
    changed = dataclasses.replace(study.cells[0].train, steps=7)
    assert changed.steps == 7
