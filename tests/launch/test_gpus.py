"""GPUs that packs are planned for: asked of the machines, refused where torch cannot use them."""

from pathlib import Path

import pytest
import torch

from symstudy.errors import LaunchError
from symstudy.launch import Capacity, InlineLauncher, open_study_folder, run_study
from symstudy.launch.cluster.gpus import ask_this_machine, choose_gpu, find_fault
from symstudy.launch.cluster.nodes import Node, count_room
from symstudy.launch.planning import plan_launch
from symstudy.store import Store, current_provenance
from symstudy.study.devices import Device, find_device
from symstudy.study.gpu_faults import has_kernels
from symstudy.training import gpu as module

GIB = 1 << 30
HERE = torch.__version__


def report_of(*gpus, torch="2.13.0+cu130", build="CUDA 13.0"):
    """Return what a machine with such GPUs (name, GiB, architecture) answers."""
    facts = [
        {
            "name": name,
            "memory_bytes": memory * GIB,
            "processors": 108,
            "clock_hz": 1.4e9,
            "memory_clock_hz": 1.2e9,
            "bus_bits": 5120,
            "capability": capability,
        }
        for name, memory, capability in gpus
    ]
    architectures = ["sm_75", "sm_80", "sm_90", "compute_120"]
    return {"torch": torch, "build": build, "architectures": architectures, "gpus": facts}


L4, A100 = ("NVIDIA L4", 22, "sm_89"), ("NVIDIA A100-SXM4-80GB", 79, "sm_80")
ON_CPU = report_of(torch="2.13.0+cpu", build="")


class OnGpus(InlineLauncher):
    """A launcher that says it has a certain GPU."""

    gpu: Device | None = find_device("h200")
    share = 1.0

    @property
    def capacity(self):
        return Capacity(round(1 / self.share), "cuda", self.gpu)

    def reserve(self, gpus):
        self.share = gpus
        return self.capacity


def test_packs_are_planned_for_the_smallest_gpu_that_is_there_and_it_is_told():
    found = choose_gpu({"a": report_of(A100), "b": report_of(L4)}, may_use_cpu=False)
    assert found.device is not None
    assert (found.device.name, found.device.memory_bytes) == ("l4", 22 * GIB)
    assert found.note.startswith("packs are planned for l4: ")
    assert found.note.endswith("the smallest decides, beside a100-80gb")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (ON_CPU, r"torch 2\.13\.0\+cpu, a build for the CPU.*pip install .*torch==2\.13\.0"),
        (report_of(), "sees no GPU.*nvidia-smi"),
        (report_of(A100, ("Tesla V100-SXM2-16GB", 16, "sm_70")), "V100.*sm_70.*sm_75.*cu126"),
        ({"error": "ModuleNotFoundError: torch"}, "says ModuleNotFoundError: torch"),
    ],
    ids=["build", "none", "architecture", "error"],
)
def test_a_gpu_that_torch_cannot_use_is_refused_with_a_line_to_type(report, said):
    reports = {"good": report_of(A100), "bad": report}
    with pytest.raises(LaunchError, match=f"not so: bad .*{said}"):
        choose_gpu(reports, may_use_cpu=False)
    on_this_machine = choose_gpu({"here": report}, may_use_cpu=True)
    assert on_this_machine.device is None
    assert on_this_machine.note.startswith("packs train on the CPU: this machine has a GPU")


@pytest.mark.parametrize(
    ("capability", "architectures", "is_there"),
    [
        ("sm_86", ["sm_80"], True),
        ("sm_80", ["sm_86"], False),
        ("sm_90", ["sm_80"], False),
        ("sm_90", ["compute_80"], True),
        ("sm_120", ["sm_100", "sm_120"], True),
        ("sm_103", ["sm_100a"], False),
        ("sm_70", ["sm_75", "compute_120"], False),
    ],
)
def test_a_build_runs_on_its_architectures_and_later_ones_of_the_same_kind(
    capability, architectures, is_there
):
    assert has_kernels(capability, architectures) == is_there


def test_a_process_of_its_own_tells_what_this_machine_has():
    report = ask_this_machine()
    assert report["torch"] == HERE
    assert bool(find_fault(report)) == (not torch.cuda.is_available())


@pytest.mark.skipif(torch.version.cuda is not None, reason="torch here is a build with CUDA")
def test_a_pack_that_was_planned_for_a_gpu_does_not_train_on_a_core(study_of, tmp_path):
    study = study_of(sweep={"seed": 2}, pack={"device": "cuda"})
    with pytest.raises(LaunchError, match=r"a pack for a GPU .* a build for the CPU"):
        run_study(study, str(tmp_path), OnGpus())
    assert not open_study_folder(str(tmp_path), study).list_files("runs", "")
    with pytest.raises(LaunchError, match=r"a build for the CPU.*pack.device=cpu"):
        assert InlineLauncher(device="cuda").capacity


def test_packs_fill_the_memory_of_the_gpu_that_is_there(study_of, tmp_path):
    pack = {"device": "cuda", "seconds": 1e9, "gpus": 1.0}
    wide = {"kind": "fcn", "depth": 4, "width": 2048}
    study = study_of(model=wide, sweep={"seed": 1000}, pack=pack)
    folder = open_study_folder(str(tmp_path), study)
    plans = {}
    for name in ("h200", "l4"):
        launcher, gpu = OnGpus(), find_device(name)
        launcher.gpu = gpu
        plans[name] = plan_launch(folder, study, study.runs(), launcher)
        largest = max(pack.memory_bytes for pack in plans[name].packs)
        assert largest < gpu.memory_bytes
    assert len(plans["h200"].packs) < len(plans["l4"].packs)


def test_rows_name_the_build_of_torch_that_trained_them(study_of, run_inline, monkeypatch):
    release = HERE.partition("+")[0]
    driver = current_provenance(Path())._replace(torch_version=f"{release}+elsewhere")
    monkeypatch.setattr("symstudy.launch.session.current_provenance", lambda folder: driver)
    _, store = run_inline(study_of())
    assert isinstance(store, Store)
    assert store.sql("select distinct torch_version from runs").rows == [(HERE,)]


def test_room_is_counted_node_by_node():
    nodes = [Node("a", "a", 3, 1), Node("b", "b", 3, 1), Node("c", "c", 64, 1)]
    assert count_room(nodes, cpus=2, gpus=0.0) == (34, 0)
    assert count_room(nodes, cpus=2, gpus=0.4) == (4, 30)
    assert count_room(nodes, cpus=1, gpus=0.25) == (10, 60)
    assert count_room(nodes[:2], cpus=4, gpus=1.0) == (0, 0)


@pytest.mark.parametrize(("share", "fraction"), [(1.0, None), (0.5, 0.425), (0.05, 0.025)])
def test_packs_that_share_a_gpu_have_a_fraction_of_its_memory_each(share, fraction, monkeypatch):
    told: list[float] = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, 10 * GIB))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    module.limit_memory(share)
    assert told == ([] if fraction is None else [pytest.approx(fraction)])


def test_both_switches_of_tf32_are_off_where_a_gpu_trains():
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    try:
        products.allow_tf32 = convolutions.allow_tf32 = True
        module.pin_precision()
        assert not products.allow_tf32
        assert not convolutions.allow_tf32
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before


def test_a_launcher_that_does_not_say_which_gpu_is_told_how(study_of, tmp_path):
    study = study_of()
    launcher = OnGpus()
    launcher.gpu = None
    with pytest.raises(LaunchError, match="must say on which.*find_device"):
        plan_launch(open_study_folder(str(tmp_path), study), study, study.runs(), launcher)
