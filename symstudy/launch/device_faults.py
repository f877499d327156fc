"""Faults of a GPU that spoil the process: what is raised from then on says nothing of a run."""

__all__ = ["find_device_fault", "is_out_of_memory"]

FAULTS = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "HIP error")
"""What the messages of such faults begin with or hold, where torch has no class for them."""
MEMORY = ("out of memory", "ALLOC_FAILED")
"""What they hold where only memory was lacking."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that a pack did not fit in memory, the device's or the host's."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return has_fault(error) and any(text in str(error) for text in MEMORY)


def find_device_fault(error: BaseException) -> str:
    """Return the first line of a device fault in `error` or its causes; empty if none.

    After an illegal access or a failed assertion of a kernel, every call of the process to the
    device raises. So the worker has to be replaced, and the pack trained again in a new one.
    """
    seen: BaseException | None = error
    while seen is not None:
        if has_fault(seen) and not is_out_of_memory(seen):
            return str(seen).strip().splitlines()[0]
        seen = seen.__cause__ or seen.__context__
    return ""


def has_fault(error: BaseException) -> bool:
    """Return whether `error` was raised by the device's runtime."""
    import torch

    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in FAULTS)
