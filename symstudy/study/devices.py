"""What packs can be trained on, how much memory it has and how fast each is taken to be.

A device is looked up by name for a plan on a machine without it (`--device h200`), or described by
what its driver says where it is (`describe_gpu`). What the estimates rest on is in
`symstudy.study.constants`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from symstudy.errors import LaunchError, UnknownNameError, unknown_name
from symstudy.study.constants import EAGER_FLOPS
from symstudy.study.gpus import SHEETS, DataSheet, match_gpu, slice_of

__all__ = ["CPU", "DEVICES", "Device", "GpuFacts", "describe_gpu", "find_device", "smallest_gpu"]


class Device(NamedTuple):
    """A device that trains packs: a CPU core or a GPU.

    Attributes:
        name: What `--device` takes, or the driver's name of a GPU that is not in the table.
        kind: `cpu` or `cuda`.
        flops: Operations a second by type; on the CPU those of one core for packs of the torch
            engine, of a GPU its peak without tensor cores.
        bandwidth: Bytes a second of a GPU's memory; 0 on the CPU.
        memory_bytes: Of the device; 0 where it is the machine's own.
        source: Where the numbers come from.
        has_fused: Whether a GPU's machine has what compiles the fused kernel.
    """

    name: str
    kind: str
    flops: Mapping[str, float]
    bandwidth: float
    memory_bytes: int
    source: str
    has_fused: bool = False


class GpuFacts(NamedTuple):
    """What the driver of a machine says of one of its GPUs, or of a slice of one.

    Attributes:
        name: Full name.
        memory_bytes: Memory in all.
        processors: Multiprocessors.
        clock_hz: Of these.
        memory_clock_hz: Of the memory.
        bus_bits: Width of the way to the memory.
        capability: Architecture, such as `sm_90`; empty where it has no such name.
        has_fused: Whether its machine has what compiles the fused kernel.
    """

    name: str
    memory_bytes: int
    processors: int
    clock_hz: float
    memory_clock_hz: float
    bus_bits: int
    capability: str
    has_fused: bool = False


CPU = Device(
    "cpu",
    "cpu",
    EAGER_FLOPS,
    0.0,
    0,
    "measured by `make bench` on one core of a server processor with AVX-512",
)


def gpu(sheet: DataSheet) -> Device:
    """Return a GPU by its data sheet."""
    return Device(
        sheet.name,
        "cuda",
        {"float32": sheet.single * 1e12, "float64": sheet.double * 1e12},
        sheet.bandwidth * 1e9,
        int(sheet.gigabytes * 1e9),
        f"estimated, not measured: by the data sheet's {sheet.single:g} Tflop/s "
        f"({sheet.double:g} in float64) and {sheet.bandwidth:g} GB/s",
    )


DEVICES = {"cpu": CPU, **{sheet.name: gpu(sheet) for sheet in SHEETS}}
"""Devices by name."""


def find_device(name: str) -> Device:
    """Return the device of a name: `cpu`, or a GPU by any name that vendors, drivers or Ray use.

    Raises:
        UnknownNameError: If there is none; `cuda` is none, since it says nothing of the GPU.
    """
    if name in DEVICES:
        return DEVICES[name]
    if name == "cuda":
        raise UnknownNameError(
            "--device must say which GPU, but got 'cuda'. On a machine that has it type "
            f"`symstudy plan STUDY --device cuda`; elsewhere one of {', '.join(DEVICES)}."
        )
    sheet = match_gpu(name)
    if sheet is None:
        raise unknown_name("--device", name, list(DEVICES))
    return part_of(gpu(sheet), name)


def part_of(whole: Device, name: str) -> Device:
    """Return the slice of a GPU that `name` says: its own memory, and its share of the rest."""
    found = slice_of(name)
    if found is None:
        return whole
    memory = int(found.gigabytes * 1e9)
    return whole._replace(
        name=f"{whole.name}-mig-{found.compute}g.{found.gigabytes:g}gb",
        flops={kind: rate * found.compute / 7 for kind, rate in whole.flops.items()},
        bandwidth=whole.bandwidth * min(1.0, memory / whole.memory_bytes),
        memory_bytes=memory,
    )


SINGLE_LANES = {"sm_60": 64, "sm_70": 64, "sm_75": 64, "sm_80": 64}
"""Float32 units of a multiprocessor where they are not 128."""
DOUBLE_SHARE = {"sm_60": 1 / 2, "sm_70": 1 / 2, "sm_80": 1 / 2, "sm_90": 1 / 2, "sm_100": 1 / 2}
"""Peak in float64 over that in float32 where it is not 1/64."""


def describe_gpu(facts: GpuFacts) -> Device:
    """Return the GPU that a driver describes: its memory as asked, its speed by the table.

    The speed of a GPU that is not in the table is that of its processors and clocks.

    Raises:
        LaunchError: If it is not in the table and its driver does not tell these either.
    """
    sheet = match_gpu(facts.name)
    if sheet is not None:
        known = part_of(gpu(sheet), facts.name)
        return known._replace(
            memory_bytes=facts.memory_bytes,
            has_fused=facts.has_fused,
            source=f"{known.source}; {facts.memory_bytes / 2**30:.0f} GiB as its driver says",
        )
    units = facts.processors * SINGLE_LANES.get(facts.capability, 128)
    single = 2.0 * units * facts.clock_hz
    bandwidth = 2.0 * facts.memory_clock_hz * facts.bus_bits / 8
    if not single or not bandwidth:
        raise LaunchError(
            f"a GPU must be one whose speed is known or told by its driver, but got "
            f"{facts.name!r}. Known: {', '.join(sheet.name for sheet in SHEETS)}. Type "
            "pack.device=cpu, or report the name."
        )
    double = single * DOUBLE_SHARE.get(facts.capability, 1 / 64)
    return Device(
        facts.name,
        "cuda",
        {"float32": single, "float64": double},
        bandwidth,
        facts.memory_bytes,
        "estimated, not measured: by the processors and clocks that its driver says",
        facts.has_fused,
    )


def smallest_gpu(devices: Sequence[Device]) -> Device:
    """Return the GPU that packs for all of `devices` are planned for: that of least memory.

    Its source names the others, if there are any of another kind.
    """
    least = min(devices, key=lambda device: (device.memory_bytes, device.flops["float32"]))
    others = sorted({device.name for device in devices} - {least.name})
    least = least._replace(has_fused=all(device.has_fused for device in devices))
    if not others:
        return least
    return least._replace(
        source=f"{least.source}; the smallest decides, beside {', '.join(others)}"
    )
