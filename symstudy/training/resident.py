"""Arrays of the host on the device that reads them: each is sent once and stays.

On the CPU a tensor shares the memory of its array, and nothing is kept.
"""

from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Resident", "send"]

MOST_INDICES = 64
"""Choices of runs that are kept on a device; runs drop out of a pack, and seldom."""


def send(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return `array` on `device`; to a GPU from pinned memory, so that the host does not wait."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@final
class Resident:
    """What is on a device already, by array and by choice of runs.

    An array must not be written to once it was sent. One that has been sent is kept as long as
    this object, so that no other array takes its address.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.arrays: dict[tuple[int, torch.device], tuple[NDArray[Any], Tensor]] = {}
        self.indices: dict[tuple[bytes, torch.device], Tensor] = {}

    def tensor(self, array: NDArray[Any], device: torch.device) -> Tensor:
        """Return `array` on `device`."""
        if device.type == "cpu":
            return torch.from_numpy(array)
        key = (id(array), device)
        if key not in self.arrays:
            self.arrays[key] = (array, send(array, device))
        return self.arrays[key][1]

    def index(
        self, chosen: Int64[np.ndarray, " chosen"], device: torch.device
    ) -> Int64[Tensor, " chosen"]:
        """Return places of runs on `device`, for indexing tensors that are there."""
        if device.type == "cpu":
            return torch.from_numpy(chosen)
        key = (chosen.tobytes(), device)
        if key not in self.indices:
            if len(self.indices) >= MOST_INDICES:
                self.indices.clear()
            self.indices[key] = send(np.ascontiguousarray(chosen, np.int64), device)
        return self.indices[key]
