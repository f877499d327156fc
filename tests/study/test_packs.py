import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symstudy.errors import UnknownNameError
from symstudy.study import PackConfig, make_study, plan_packs
from symstudy.study.cost import Speed
from symstudy.study.packs import gpu_share, make_pack, packs_per_gpu
from symstudy.testing.strategies import small_studies

ON_GPU = PackConfig(device="cuda")


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
    on_cpu, on_gpu = (plan_packs(runs, ON_GPU, device=device) for device in ("cpu", "h100"))
    assert len(on_gpu) < len(on_cpu)


def test_small_memory_makes_small_packs(monkeypatch):
    monkeypatch.setattr("symstudy.study.packs.CPU_PACK_BYTES", 10_000_000)
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


def ending_times(packs, workers):
    """Return when each worker has nothing left to do, if packs are started in their order."""
    free = [0.0] * workers
    for pack in packs:
        first = free.index(min(free))
        free[first] += pack.seconds
    return free


@pytest.mark.parametrize("workers", [2, 8, 32])
def test_the_last_packs_are_short_so_that_workers_end_together(workers):
    runs = wide_study(sweep={"model.width": [16, 64], "seed": 9000}).runs()
    packs = plan_packs(runs, PackConfig(), workers=workers)
    longest = packs[0].seconds
    ends = ending_times(packs, workers)
    assert longest > 5
    assert max(ends) - min(ends) <= longest / 3
    tail = [pack for pack in packs if pack.seconds < longest / 2]
    assert len(tail) >= workers
    assert packs[-len(tail) :] == tail


def test_packs_last_seconds_where_there_is_enough_work():
    runs = wide_study(sweep={"model.width": [16, 64], "seed": 9000}).runs()
    packs = plan_packs(runs, PackConfig(), workers=4)
    assert sum(pack.seconds > 5 for pack in packs) > 0.8 * len(packs)
    assert max(pack.seconds for pack in packs) < 10


def test_a_wanted_size_is_kept_to_the_end():
    runs = wide_study(sweep={"seed": 900}).runs()
    packs = plan_packs(runs, PackConfig(size=90), workers=8)
    assert {len(pack.runs) for pack in packs} == {90}


def test_short_packs_are_not_cut_further():
    runs = wide_study(sweep={"seed": 40}).runs()
    packs = plan_packs(runs, PackConfig(seconds=0.4), workers=4)
    assert max(len(pack.runs) for pack in packs) - min(len(pack.runs) for pack in packs) <= 1


def test_a_pack_of_small_networks_takes_a_quarter_of_a_gpu():
    packs = plan_packs(wide_study().runs(), ON_GPU, device="a100")
    assert gpu_share(packs, ON_GPU, "a100") == 0.25


def test_shares_are_chosen_so_that_the_packs_fit_the_memory():
    pack = plan_packs(wide_study().runs(), ON_GPU, device="h100")[0]
    shares = {
        size: gpu_share([pack._replace(memory_bytes=size << 30)], PackConfig(), "h100")
        for size in (1, 12, 20, 44)
    }
    assert shares == {1: 0.25, 12: 0.3333, 20: 0.5, 44: 1.0}


def test_a_share_that_is_given_is_taken_and_bounds_the_packs():
    runs = wide_study(sweep={"model.width": [256], "seed": 3000}).runs()
    quarter = PackConfig(device="cuda", gpus=0.25, seconds=1e9)
    whole, part = (plan_packs(runs, config, device="t4") for config in (
        PackConfig(device="cuda", gpus=1.0, seconds=1e9), quarter))  # fmt: skip
    assert gpu_share(part, quarter, "t4") == 0.25
    assert max(pack.memory_bytes for pack in part) < max(pack.memory_bytes for pack in whole)


def test_packs_planned_for_a_share_fit_it_when_more_train_at_a_time():
    runs = wide_study(sweep={"model.width": [64], "seed": 20_000}).runs()
    minute = PackConfig(device="cuda", seconds=60)
    alone = plan_packs(runs, minute, workers=1, device="a100")
    share = gpu_share(alone, minute, "a100")
    together = plan_packs(runs, minute, workers=round(1 / share), device="a100")
    assert gpu_share(together, minute, "a100") <= share


def test_a_slower_machine_has_smaller_packs_of_the_same_duration():
    runs = wide_study(sweep={"seed": 4000}).runs()
    fast, slow = (plan_packs(runs, PackConfig(), speed=Speed({}, factor)) for factor in (1, 3))
    assert len(slow) > 2 * len(fast)
    assert slow[0].seconds == pytest.approx(fast[0].seconds, rel=0.1)
    assert sum(p.seconds for p in slow) == pytest.approx(3 * sum(p.seconds for p in fast))


def test_an_unknown_device_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'h100'"):
        plan_packs(wide_study().runs(), PackConfig(), device="h1000")


@pytest.mark.parametrize(
    ("share", "fit"), [(0.4, 2), (0.5, 2), (0.3333, 3), (1 / 3, 3), (0.1, 10), (0.6, 1), (1.0, 1)]
)
def test_no_pack_is_cut_over_two_gpus(share, fit):
    assert packs_per_gpu(share) == fit
    assert fit * share <= 1


def test_a_larger_gpu_gets_larger_packs():
    runs = wide_study(
        sweep={"model.width": [512], "seed": 9000}, train={"lr": 0.1, "steps": 9}
    ).runs()
    long = PackConfig(device="cuda", seconds=1e9)
    sizes = [
        max(pack.memory_bytes for pack in plan_packs(runs, long, device=name))
        for name in ("h100-mig-1g.10gb", "a10", "h200")
    ]
    assert sizes[0] < 10e9 < sizes[1] < 24e9 < sizes[2]


def test_few_small_networks_are_for_a_core_and_many_large_ones_for_the_gpu():
    model, probe = {"kind": "fcn", "depth": 4}, {"num": 2, "detail": 1}
    few, many = (
        wide_study(model=model, probe=probe, sweep={"model.width": [width], "seed": seeds}).runs()
        for width, seeds in ((8, 10), (512, 200))
    )
    packs = plan_packs([*few, *many], PackConfig(), device="h200")
    by_run = {run.run_id: pack.device for pack in packs for run in pack.runs}
    assert {by_run[run.run_id] for run in few} == {"cpu"}
    assert {by_run[run.run_id] for run in many} == {"cuda"}
    assert {pack.device for pack in plan_packs(few, ON_GPU, device="h200")} == {"cuda"}
    assert all(make_pack(pack.runs, PackConfig(), device="h200") == pack for pack in packs)


def test_what_the_compiled_solver_trains_is_for_the_cpu_on_every_machine():
    runs = wide_study(
        model={"kind": "fcn", "width": 512},
        train={"optimizer": "lbfgs", "steps": 100, "dtype": "float64"},
        sweep={"seed": 40},
    ).runs()
    assert {pack.device for pack in plan_packs(runs, PackConfig(), device="h200")} == {"cpu"}
