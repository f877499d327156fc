import pytest

from symstudy.study import PackConfig, make_study, plan_packs
from symstudy.study.constants import BUSY, PACK_S, START_S
from symstudy.study.cost import estimate_cost
from symstudy.study.devices import DEVICES
from symstudy.study.forecast import forecast, outline


@pytest.fixture
def pack():
    """A pack of one run that takes no time yet."""
    study = make_study(
        {
            "schema": 1,
            "name": "x",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.1, "steps": 10},
        }
    )
    return plan_packs(study.runs(), study.pack)[0]


def lasting(pack, *seconds):
    """Return packs of such durations, what starting each takes included."""
    return [pack._replace(seconds=value - PACK_S) for value in seconds]


def test_each_worker_that_is_free_takes_the_next_pack(pack):
    found = forecast(lasting(pack, 4, 3, 2, 1), workers=2)
    # 4 + 1 beside 3 + 2: both end after 5 seconds.
    assert found.wall == pytest.approx(START_S + 5)
    assert found.seconds == pytest.approx(10)
    assert found.idle == pytest.approx(0)
    assert (found.packs, found.last) == (4, 0)


def test_packs_that_others_wait_for_are_counted(pack):
    found = forecast(lasting(pack, 1, 1, 6), workers=2)
    assert found.wall == pytest.approx(START_S + 7)
    assert found.last == 1
    assert found.longest_last == pytest.approx(6)
    assert found.idle == pytest.approx(6 / 14)


def test_workers_without_a_pack_are_idle_too(pack):
    found = forecast(lasting(pack, 2), workers=4)
    assert found.idle == pytest.approx(0.75)
    assert found.last == 1


def test_packs_on_one_gpu_take_turns_once_it_is_busy(pack):
    packs = lasting(pack, *[1.0] * 4)
    together = forecast(packs, workers=4, share=0.25)
    assert together.wall - START_S == pytest.approx(PACK_S + (1 - PACK_S) * BUSY * 4)
    # Two at a time keep it busy: no faster and no slower than each alone.
    half = forecast(packs, workers=2, share=0.5)
    assert half.wall - START_S == pytest.approx(2)
    assert half.seconds == pytest.approx(2)


def test_cores_count_by_what_a_pack_uses(pack):
    assert forecast(lasting(pack, 3), workers=1, cpus=4).seconds == pytest.approx(12)


@pytest.mark.parametrize("device", list(DEVICES))
def test_an_outline_is_there_for_every_device(device, study_of):
    study = study_of(sweep={"model.width": [8, 64], "seed": 20})
    config = PackConfig(device="cpu" if device == "cpu" else "cuda")
    found = outline(study.runs(), config, workers=None, device=device)
    assert sum(len(pack.runs) for pack in found.packs) == 40
    assert found.forecast.wall > START_S
    assert (found.share is None) == (device == "cpu")
    assert found.share is None or found.workers == int(1 / found.share)


def test_faster_devices_are_planned_to_be_faster(study_of):
    study = study_of(
        model={"width": 512}, train={"steps": 20_000, "batch_size": 40}, sweep={"seed": 500}
    )
    hours = [
        outline(study.runs(), PackConfig(), workers=1, device=name).forecast.seconds
        for name in ("cpu", "t4", "a100", "h100")
    ]
    assert hours == sorted(hours, reverse=True)


def test_packs_of_the_cpu_beside_a_gpu_are_told_apart(study_of):
    study = study_of(
        model={"depth": 5},
        train={"steps": 20_000, "batch_size": 40},
        sweep={"model.width": [4, 256], "seed": 40},
    )
    found = outline(study.runs(), PackConfig(), workers=2, device="a100")
    assert found.on_cpu is not None
    assert found.on_cpu.packs + found.forecast.packs == len(found.packs)
    assert found.wall == max(found.on_cpu.wall, found.forecast.wall)


def test_a_step_on_a_gpu_is_bound_by_calls_then_by_memory(study_of):
    (cell,) = study_of(model={"width": 64}, train={"steps": 1000}).cells
    cost = estimate_cost(cell, device="h200", engine="torch")
    assert cost.pack_seconds(2) < 1.1 * cost.pack_seconds(1)
    assert cost.pack_seconds(40_000) == pytest.approx(2 * cost.pack_seconds(20_000), rel=0.01)
    fast, slow = (estimate_cost(cell, device=name, engine="torch") for name in ("h200", "l4"))
    assert slow.hidden_s > 5 * fast.hidden_s
    assert slow.calls_s == fast.calls_s


def dense_cell(width=16, **train):
    values = {
        "schema": 1,
        "name": "x",
        "model": {"kind": "fcn", "depth": 3, "width": width},
        "data": {"kind": "teacher_student", "samples": 256, "input_dim": 10, "output_dim": 10},
        "train": {"lr": 0.1, "steps": 10_000, "batch_size": 32, "optimizer": "adam", **train},
        "probe": {"num": 2, "detail": 1},
    }
    return make_study(values).cells[0]


FUSED = DEVICES["h200"]._replace(has_fused=True)


@pytest.mark.parametrize(
    ("width", "millions"), [(16, 82), (64, 15), (128, 4.6)], ids=["16", "64", "128"]
)
def test_a_full_gpu_takes_the_steps_of_the_roofline_in_the_fused_kernel(width, millions):
    cost = estimate_cost(dense_cell(width), device=FUSED, engine="auto")
    assert cost.is_fused
    rate = 10_000 / cost.hidden_s / 1e6
    assert millions / 1.5 < rate < millions * 1.5


@pytest.mark.parametrize(
    ("train", "engine", "device"),
    [
        ({}, "torch", FUSED),
        ({}, "auto", DEVICES["h200"]),
        ({"optimizer": "lion"}, "auto", FUSED),
        ({"clip_norm": 1.0}, "auto", FUSED),
    ],
)
def test_what_the_fused_kernel_does_not_train_is_not_planned_for_it(train, engine, device):
    assert not estimate_cost(dense_cell(**train), device=device, engine=engine).is_fused


def test_a_step_that_is_a_graph_takes_less_time_for_its_calls():
    graph = estimate_cost(dense_cell(256), device="h200", engine="auto")
    called = estimate_cost(
        dense_cell(256, optimizer="torch.optim:RMSprop"), device="h200", engine="auto"
    )
    assert graph.calls_s < 0.5 * called.calls_s


def test_few_narrow_runs_are_for_a_core_and_many_for_the_gpu():
    study = make_study(
        {
            "schema": 1,
            "name": "x",
            "model": {"kind": "fcn", "depth": 3, "width": 4},
            "data": {"kind": "teacher_student", "samples": 64},
            "train": {"lr": 0.1, "steps": 10_000, "batch_size": 4},
            "sweep": {"seed": 4000},
        }
    )
    few = plan_packs(study.runs()[:2], study.pack, device="h200")
    many = plan_packs(study.runs(), study.pack, device="h200")
    assert {pack.device for pack in few} == {"cpu"}
    assert {pack.device for pack in many} == {"cuda"}
