import pytest

from symstudy.errors import LaunchError, UnknownNameError
from symstudy.study.devices import (
    DEVICES,
    GpuFacts,
    describe_gpu,
    find_device,
    smallest_gpu,
)
from symstudy.study.gpus import match_gpu

GIB = 1 << 30
NAMES = {
    "NVIDIA L4": "l4",
    "NVIDIA L40": "l40",
    "NVIDIA L40S": "l40s",
    "NVIDIA A10": "a10",
    "A10G": "a10g",
    "NVIDIA A40": "a40",
    "A100-80G": "a100-80gb",
    "NVIDIA A100-SXM4-40GB": "a100",
    "NVIDIA A100-SXM4-80GB": "a100-80gb",
    "Tesla V100-SXM2-32GB": "v100-32gb",
    "NVIDIA H20": "h20",
    "NVIDIA H100 80GB HBM3": "h100",
    "NVIDIA H100 PCIe": "h100-pcie",
    "NVIDIA H100 NVL": "h100-nvl",
    "NVIDIA H200": "h200",
    "NVIDIA GH200 480GB": "gh200",
    "NVIDIA B200": "b200",
    "NVIDIA B300 SXM6 AC": "b300",
    "NVIDIA GB200": "gb200",
    "AMD Instinct MI300X OAM": "mi300x",
    "NVIDIA GeForce RTX 4090": "rtx4090",
    "GeForce-RTX-4090": "rtx4090",
    "RTX-PRO-6000": "rtxpro6000",
    "NVIDIA RTX 6000 Ada Generation": "rtx6000-ada",
}
"""Names of drivers and of Ray, and ours."""


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_is_known_by_the_names_of_drivers_and_of_ray(name):
    assert find_device(name).name == NAMES[name]


@pytest.mark.parametrize("name", list(DEVICES)[1:])
def test_every_name_of_the_table_means_that_very_gpu(name):
    found = match_gpu(name.upper())
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", ["NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA X40", "G", ""])
def test_another_gpu_is_not_taken_for_one_that_is_spelled_alike(name):
    assert match_gpu(name) is None
    with pytest.raises(UnknownNameError, match="Known: .*h100-nvl"):
        find_device(name)


def test_a_slice_of_a_gpu_has_its_own_memory_and_its_share_of_the_rest():
    whole, part = find_device("h100"), find_device("NVIDIA H100 80GB HBM3 MIG 1g.10gb")
    assert part.name == "h100-mig-1g.10gb"
    assert part.memory_bytes == 10e9
    assert part.flops["float32"] == pytest.approx(whole.flops["float32"] / 7)
    assert part.bandwidth == pytest.approx(whole.bandwidth / 8)
    assert find_device(part.name) == part


def facts(name, memory=80 * GIB, clock=1.98e9):
    return GpuFacts(name, memory, 132, clock, 2.6e9, 5120, "sm_90")


def test_the_memory_of_a_gpu_that_is_there_is_asked_and_not_looked_up():
    found = describe_gpu(facts("NVIDIA H100 80GB HBM3 MIG 2g.20gb", 19 * GIB))
    assert (found.name, found.memory_bytes) == ("h100-mig-2g.20gb", 19 * GIB)
    assert "19 GiB as its driver says" in found.source


def test_a_gpu_that_nobody_listed_is_taken_at_its_processors_and_clocks():
    known, found = describe_gpu(facts("NVIDIA H100 80GB HBM3")), describe_gpu(facts("NVIDIA Next"))
    assert found.name == "NVIDIA Next"
    assert found.flops["float32"] == pytest.approx(known.flops["float32"], rel=0.05)
    assert found.bandwidth == pytest.approx(known.bandwidth, rel=0.05)
    assert "by the processors and clocks" in found.source


def test_a_gpu_that_says_nothing_of_its_speed_is_refused():
    with pytest.raises(LaunchError, match="got 'NVIDIA Next'.*pack.device=cpu"):
        describe_gpu(facts("NVIDIA Next", clock=0.0))


def test_the_smallest_gpu_decides_and_the_others_are_named():
    both = [find_device("h100"), find_device("l4"), find_device("h100")]
    assert smallest_gpu(both).name == "l4"
    assert smallest_gpu(both).source.endswith("the smallest decides, beside h100")
    assert "decides" not in smallest_gpu(both[:1]).source


def test_cuda_alone_is_no_name():
    with pytest.raises(UnknownNameError, match="must say which GPU"):
        find_device("cuda")
