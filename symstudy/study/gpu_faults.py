"""Why torch cannot train on the GPUs of a machine, by what it reports of them, and what to type."""

from typing import Any

__all__ = ["has_kernels", "why_not"]


def why_not(report: dict[str, Any]) -> str:
    """Return why torch cannot train on the GPUs of a report, and what to type; empty if it can."""
    version, build = report["torch"], report["build"]
    release = version.partition("+")[0]
    if not build:
        return (
            f"has torch {version}, a build for the CPU. Type `pip install --force-reinstall "
            f"torch=={release}` there for the build with CUDA, or pack.device=cpu"
        )
    if not report["gpus"]:
        return (
            f"has torch {version} ({build}), which sees no GPU. See whether `nvidia-smi` lists "
            "one and its driver is new enough, or type pack.device=cpu"
        )
    for gpu in report["gpus"]:
        if gpu["capability"] and not has_kernels(gpu["capability"], report["architectures"]):
            return (
                f"has a {gpu['name']} ({gpu['capability']}), for which torch {version} was not "
                f"built (it was for {', '.join(report['architectures'])}). Type `pip install "
                f"--force-reinstall torch=={release} --index-url "
                "https://download.pytorch.org/whl/cu126`, the build with the oldest CUDA, or "
                "pack.device=cpu"
            )
    return ""


def has_kernels(capability: str, architectures: list[str]) -> bool:
    """Return whether a build has code for a GPU.

    Code of `sm_80` runs on 8.0 and later 8.x; code of `compute_80` is compiled by the driver for
    8.0 and all later ones.

    Args:
        capability: Of the GPU, such as `sm_86`.
        architectures: What the build has code for, such as `sm_80`, `sm_90a`, `compute_90`.
    """
    wanted = int(capability.removeprefix("sm_"))
    for architecture in architectures:
        kind, _, digits = architecture.partition("_")
        number = int(digits.rstrip("abcdefghijklmnopqrstuvwxyz") or 0)
        is_same = number // 10 == wanted // 10
        # An ending such as the a of sm_90a: for that very architecture alone.
        is_near = number == wanted if not digits.isdigit() else number <= wanted
        if is_near and (kind == "compute" or is_same):
            return True
    return False
