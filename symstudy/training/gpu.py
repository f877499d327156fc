"""The GPU of a process that trains: whether torch can use it, its precision, its memory."""

import functools
import platform

import torch

from symstudy.errors import LaunchError
from symstudy.study.constants import CONTEXT_BYTES
from symstudy.study.gpu_faults import why_not
from symstudy.training.gpu_report import read_report

__all__ = ["limit_memory", "pin_precision", "require_gpu"]


@functools.cache
def why_no_gpu() -> str:
    """Return why torch cannot train on a GPU in this process; empty if it can."""
    return why_not(read_report())


def require_gpu() -> None:
    """Check that torch can train on a GPU in this process.

    A pack that was planned for a GPU is too large for a core: it must not train there instead.

    Raises:
        LaunchError: If it cannot.
    """
    if reason := why_no_gpu():
        raise LaunchError(
            f"a pack for a GPU must be trained where torch can use one, but {platform.node()} "
            f"{reason}."
        )


def pin_precision() -> None:
    """Let float32 be float32: without TF32 in products, nor in cuDNN, where it is on by default."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def limit_memory(share: float) -> None:
    """Keep this process to its share of the memory of a GPU that packs of others are on too.

    What is beyond raises `torch.OutOfMemoryError`, which splits this pack and not a neighbour's.

    Args:
        share: Share of the GPU that the pack reserves; 1 where it is alone on it.
    """
    if share < 1.0:
        _, memory = torch.cuda.mem_get_info()
        # The context of the process is not torch's and does not count to it.
        fraction = share - CONTEXT_BYTES / memory
        torch.cuda.set_per_process_memory_fraction(max(fraction, share / 2))
