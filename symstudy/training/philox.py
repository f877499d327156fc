"""The numbers of `symstudy.streams` by torch operations, on the device that reads them.

The words of Philox4x32-10 are those of `symstudy.kernels.random`, bit for bit, on every device:
they take products, shifts and bits of 64-bit integers alone. Integers and uniform numbers have the
same bits too. Normal numbers take a logarithm, a sine and a cosine, whose last bit is the device's.

Torch has no unsigned integers to multiply. Products of int64 wrap around, so that their low 64 bits
are those of unsigned ones; what a shift to the right copies of the sign is masked.

Shapes: G streams, S blocks, N numbers of a block.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.streams import Stream

__all__ = [
    "SHUFFLE_CALLS",
    "integers",
    "normals",
    "philox_words",
    "shuffled",
    "stream_keys",
    "uniforms",
]

M0, M1 = 0xD2511F53, 0xCD9E8D57
W0, W1 = 0x9E3779B9, 0xBB67AE85
LOW = 0xFFFFFFFF
UNIT = 2.0**-32
SHUFFLE_CALLS = 4
"""Operations of `shuffled` for each sample of the data."""


def stream_keys(seeds: Sequence[int], name: str) -> Int64[np.ndarray, " streams"]:
    """Return the bits of the keys of the streams called `name` of `seeds`."""
    keys = np.array([Stream(seed, name).key for seed in seeds], np.uint64)
    return keys.view(np.int64)


def philox(
    keys_G: Int64[Tensor, " streams"], first: int, steps: int, positions: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the four words at the first `positions` of the blocks `first`, `first` + 1, ...

    Args:
        keys_G: Bits of the key of each stream, on the device.
        first: First block.
        steps: Number of blocks.
        positions: Number of positions in each block.

    Returns:
        Four tensors `[streams, steps, positions]` of int64 in [0, 2^32).

    References:
        Salmon, Moraes, Dror and Shaw 2011.
    """
    device = keys_G.device
    block_S1 = torch.arange(first, first + steps, device=device)[:, None]
    c0 = torch.arange(positions, device=device)
    c1, c2, c3 = torch.zeros_like(c0), block_S1 & LOW, block_S1 >> 32
    k0, k1 = (keys_G & LOW)[:, None, None], ((keys_G >> 32) & LOW)[:, None, None]
    for turn in range(10):
        p0, p1 = M0 * c0, M1 * c2
        # Masked where they are multiplied next; elsewhere the high bits do no harm until the end.
        c0 = ((p1 >> 32) ^ c1 ^ (k0 + turn * W0)) & LOW
        c2 = ((p0 >> 32) ^ c3 ^ (k1 + turn * W1)) & LOW
        c1, c3 = p1, p0
    return c0, c1 & LOW, c2, c3 & LOW


def philox_words(
    keys_G: Int64[Tensor, " streams"], first: int, steps: int, count: int
) -> Int64[Tensor, "streams steps count"]:
    """Return the first `count` words of the blocks `first` .. `first` + `steps` - 1."""
    words = philox(keys_G, first, steps, -(-count // 4))
    return torch.stack(words, dim=-1).flatten(-2)[..., :count]


def integers(words: Int64[Tensor, "*shape"], bound: int) -> Int64[Tensor, "*shape"]:
    """Return integers in [0, bound), as `symstudy.kernels.random.fill_integers` makes them."""
    return (words * bound) >> 32


def uniforms(words: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return float64 numbers in (0, 1), as `fill_uniform` makes them."""
    return (words.double() + 0.5) * UNIT


def normals(words: Int64[Tensor, "*shape pairs"]) -> Float[Tensor, "*shape pairs"]:
    """Return standard normal float64 numbers, as `fill_normal` makes them.

    Args:
        words: An even number in the last axis, since a pair of words makes a pair of numbers.
    """
    pairs = words.reshape(*words.shape[:-1], -1, 2)
    radius = (-2.0 * uniforms(pairs[..., 0]).log()).sqrt()
    angle = 2.0 * math.pi * (pairs[..., 1].double() * UNIT)
    return torch.stack((radius * angle.cos(), radius * angle.sin()), dim=-1).flatten(-2)


def shuffled(
    keys_G: Int64[Tensor, " streams"], start: int, length: int, count: int
) -> Int64[Tensor, "streams length"]:
    """Return `length` places from `start` on of permutations of 0 .. `count` - 1 in a row.

    They are those of `symstudy.kernels.random.fill_shuffled_rows`. The permutations of all streams
    and epochs are shuffled at the same time, by `SHUFFLE_CALLS` operations for each of `count`.
    """
    first = start // count
    epochs = (start + length - 1) // count - first + 1
    chosen = philox(keys_G, first, epochs, count)[0]
    places = torch.arange(1, count + 1, device=keys_G.device)
    swaps = (chosen * places) >> 32
    order = (places - 1).expand(swaps.shape).clone()
    for i in range(count - 1, 0, -1):
        last, other = order[..., i : i + 1], swaps[..., i : i + 1]
        kept = last.clone()
        last.copy_(order.gather(-1, other))
        order.scatter_(-1, other, kept)
    begin = start - first * count
    return order.flatten(1)[:, begin : begin + length]
