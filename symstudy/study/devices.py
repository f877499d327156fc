"""What packs can be trained on, and how fast each is taken to be.

Only the CPU has been measured. The peaks of GPUs are those of the vendor's data sheets for plain
32- and 64-bit arithmetic without tensor cores; that a packed step reaches `REACHED` of them is an
assumption. So an estimate for a GPU may be wrong by a factor of a few: it tells an hour from a
week, and a probe on the machine itself (`symstudy plan --probe`) tells more.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from symstudy.errors import unknown_name

__all__ = ["DEVICES", "Device", "find_device", "gpu_of"]

REACHED = 0.25
"""Share of a GPU's peak that batched products of matrices of 16 to 256 rows are taken to reach."""


class Device(NamedTuple):
    """Something that trains packs.

    Attributes:
        name: What `--device` takes.
        kind: `cpu` or `cuda`.
        flops: Operations a second of packed steps by type; of one core on the CPU, where it holds
            for packs of the torch engine.
        memory_bytes: Of the device; 0 where it is the machine's own.
        source: Where the numbers come from.
    """

    name: str
    kind: str
    flops: Mapping[str, float]
    memory_bytes: int
    source: str


def gpu(name: str, gigabytes: float, single: float, double: float) -> Device:
    """Return a GPU by its data sheet: memory in GB, peaks in Tflop/s."""
    return Device(
        name,
        "cuda",
        {"float32": REACHED * single * 1e12, "float64": REACHED * double * 1e12},
        int(gigabytes * 1e9),
        f"not measured: {REACHED:.0%} of the data sheet's {single:g} Tflop/s ({double:g} in "
        "float64) is assumed",
    )


LISTED = (
    Device(
        "cpu",
        "cpu",
        {"float32": 30e9, "float64": 12e9},
        0,
        "measured by `make bench` on one core of a server processor with AVX-512",
    ),
    Device(
        "cuda",
        "cuda",
        {"float32": 10e12, "float64": 5e12},
        24 << 30,
        "not measured: a data-centre GPU with 24 GiB and 10 Tflop/s (5 in float64) is assumed",
    ),
    gpu("t4", 16, 8.1, 0.25),
    gpu("v100", 16, 15.7, 7.8),
    gpu("a10", 24, 31.2, 0.49),
    gpu("a100", 40, 19.5, 9.7),
    gpu("l4", 24, 30.3, 0.47),
    gpu("l40s", 48, 91.6, 1.43),
    gpu("h100", 80, 67.0, 34.0),
    gpu("h200", 141, 67.0, 34.0),
    gpu("rtx4090", 24, 82.6, 1.29),
)
DEVICES = {device.name: device for device in LISTED}
"""Devices by name. Where a GPU is sold with several memories, the least is given."""


def find_device(name: str) -> Device:
    """Return the device called `name`.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in DEVICES:
        raise unknown_name("--device", name, list(DEVICES))
    return DEVICES[name]


def gpu_of(resources: Iterable[str]) -> Device:
    """Return the GPU that a Ray cluster has, by the names of its resources.

    Ray names the type of a node's GPUs in a resource such as `accelerator_type:A100`. Where it does
    not, or names one that is not in the table, or several, the nameless GPU `cuda` is returned.
    """
    found = set()
    for resource in resources:
        head, _, kind = resource.partition(":")
        if head == "accelerator_type":
            # Ray tells variants apart by a suffix: A100-80G, A10G.
            known = [name for name in DEVICES if kind.lower().startswith(name)]
            found.add(max(known, key=len, default="cuda"))
    return DEVICES[found.pop()] if len(found) == 1 else DEVICES["cuda"]
