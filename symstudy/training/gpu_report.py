"""What a machine's torch and driver say of its GPUs.

It imports nothing of symstudy, so that it can be run as a file: a driver of Ray, and `plan`, ask a
process of its own and load no torch.
"""

import importlib.metadata
import json
import sys
from typing import Any

__all__ = ["has_kernel_compiler", "read_report"]


def read_report() -> dict[str, Any]:
    """Return what torch says of the GPUs that this process sees.

    Returns:
        In values of JSON: `torch`, its version; `build`, what it was built for, empty for the CPU;
        `architectures` that it has kernels for; `gpus`, the fields of
        `symstudy.study.devices.GpuFacts` of each.
    """
    import torch

    if torch.version.cuda:
        build = f"CUDA {torch.version.cuda}"
    else:
        build = f"ROCm {torch.version.hip}" if torch.version.hip else ""
    is_there = bool(build) and torch.cuda.is_available()
    return {
        "torch": str(torch.__version__),
        "build": build,
        "architectures": torch.cuda.get_arch_list() if is_there else [],
        "gpus": [gpu_facts(i) for i in range(torch.cuda.device_count())] if is_there else [],
    }


def gpu_facts(index: int) -> dict[str, Any]:
    """Return what the driver says of one GPU, or of the slice of one that this process has."""
    import torch

    found: Any = torch.cuda.get_device_properties(index)
    _, memory = torch.cuda.mem_get_info(index)
    # Of AMD's, major and minor do not name the architecture.
    is_nvidia = torch.version.cuda is not None
    return {
        "name": found.name,
        "memory_bytes": memory,
        "processors": found.multi_processor_count,
        # In kHz; builds for other vendors leave them out.
        "clock_hz": 1e3 * getattr(found, "clock_rate", 0),
        "memory_clock_hz": 1e3 * getattr(found, "memory_clock_rate", 0),
        "bus_bits": getattr(found, "memory_bus_width", 0),
        "capability": f"sm_{found.major}{found.minor}" if is_nvidia else "",
        "has_fused": has_kernel_compiler(),
    }


def has_kernel_compiler() -> bool:
    """Return whether the packages of the extra `gpu` are there, for the CUDA that torch has."""
    import torch

    try:
        bindings = importlib.metadata.version("cuda-bindings")
        importlib.metadata.version("cuda-core")
    except importlib.metadata.PackageNotFoundError:
        return False
    return bindings.split(".")[0] == str(torch.version.cuda).split(".")[0]


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(read_report())}\n")
