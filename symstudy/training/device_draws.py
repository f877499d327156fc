"""Rows of batches and label noise, drawn on the device that trains.

They are those of `symstudy.training.data.PackData`: rows to the bit, normal numbers to the last bit
of float64. What only the host can make, fresh data and augmented images, is sent block by block.

Shapes: G groups of seeds, S steps of a block, B samples of a batch.
"""

from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.study.constants import DRAW_ROW_S, GPU_CALL_S
from symstudy.training.data import PackData
from symstudy.training.philox import (
    SHUFFLE_CALLS,
    integers,
    normals,
    philox_words,
    shuffled,
    stream_keys,
    uniforms,
)
from symstudy.training.resident import send

__all__ = ["DeviceDraws"]


@final
class DeviceDraws:
    """Draws of the runs of a pack, block of steps by block of steps."""

    def __init__(self, data: PackData, device: torch.device) -> None:
        """Prepare to draw on `device` what the runs of `data` read."""
        self.data = data
        self.device = device
        self.keys: dict[str, Tensor] = {}

    def keys_of(self, stream: str) -> Int64[Tensor, " groups"]:
        """Return the keys of the streams of all seeds, sent once."""
        if stream not in self.keys:
            self.keys[stream] = send(stream_keys(self.data.seeds, stream), self.device)
        return self.keys[stream]

    def rows(self, first: int, steps: int) -> Int64[Tensor, "groups steps batch"]:
        """Return the rows of batches of fixed data that are not taken whole."""
        data, batch = self.data, self.data.batch
        count = data.train.x.shape[1]
        if data.sampling == "replacement":
            return integers(philox_words(self.keys_of("batches"), first, steps, batch), count)
        if self.shuffles_here(steps):
            keys = self.keys_of("batches")
            drawn = shuffled(keys, first * batch, steps * batch, count)
            return drawn.reshape(-1, steps, batch)
        return send(data.drawn_rows(first, steps), self.device).long()

    def shuffles_here(self, steps: int) -> bool:
        """Return whether the device shuffles in less time than a core; the rows are the same.

        The device takes some operations for each sample, however many seeds and epochs there are;
        a core takes its time for each row.
        """
        calls_s = GPU_CALL_S * SHUFFLE_CALLS * self.data.train.x.shape[1]
        rows = steps * self.data.batch * len(self.data.seeds)
        return bool(calls_s < DRAW_ROW_S * rows)

    def noise(self, first: int, steps: int) -> Float[Tensor, "groups steps batch columns"]:
        """Return the draws of the online label noise, as `PackData.noise_draws` has them."""
        data, batch = self.data, self.data.batch
        outputs = data.test.y.shape[2]
        keys = self.keys_of("online_noise")
        if not data.tasks[0].is_classification:
            count = batch * outputs
            words = philox_words(keys, first, steps, count + count % 2)
            drawn = normals(words)[..., :count].reshape(-1, steps, batch, outputs)
            return drawn.to(self.kind)
        chance = uniforms(philox_words(keys, first, steps, batch))
        labels = philox_words(self.keys_of("online_labels"), first, steps, batch)
        shifts = 1 + integers(labels, outputs - 1)
        return torch.stack([chance, shifts.double()], dim=3).to(self.kind)

    @property
    def kind(self) -> torch.dtype:
        """Type of the pack's numbers, as torch names it."""
        found: torch.dtype = getattr(torch, self.data.dtype.name)
        return found
