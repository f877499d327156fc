"""The pass of one lane, by the kind of its network: what trainers of lanes call.

A network is a named tuple; Numba picks the pass of its class when a trainer is compiled for it, so
that a trainer is compiled once a kind and knows none of them.
"""

from typing import Any

import numpy as np
from numba.extending import overload

from symstudy.kernels.encoder import (
    DELTA,
    OUT,
    PEAK,
    ROWS,
    TOTAL,
    Encoder,
    EncoderScratch,
    make_encoder_scratch,
    sizes_of,
    token_samples,
)
from symstudy.kernels.encoder_backward import decode
from symstudy.kernels.encoder_forward import encode, load_tokens
from symstudy.kernels.jit import (
    Floats,
    Index,
    Integers,
    Real,
    compiled_apart,
    options_of,
    stay_apart,
)
from symstudy.kernels.losses import EndScratch, count_hits, load_targets, loss_and_delta
from symstudy.kernels.network import CHUNK, Network, Scratch, dense_pass, make_scratch
from symstudy.kernels.tiles import padded

__all__ = ["AnyNetwork", "AnyScratch", "encoder_pass", "lane_pass", "scratch_of"]

AnyNetwork = Network | Encoder
"""What the kernels train."""
AnyScratch = Scratch | EncoderScratch
"""Memory of one thread for it."""


def scratch_of(network: AnyNetwork, dtype: np.dtype[np.floating]) -> AnyScratch:
    """Return the memory that one thread needs, whatever the batch."""
    if isinstance(network, Encoder):
        return make_encoder_scratch(network, dtype)
    return make_scratch(network, CHUNK, dtype)


@compiled_apart
def encoder_pass(
    encoder: Encoder,
    theta: Floats,
    coefficient: Real,
    x: Floats,
    y: Floats,
    rows: Integers,
    kind: Index,
    sigma: Real,
    noise: Floats,
    gradient: Floats,
    scratch: EncoderScratch,
) -> tuple[Real, Index]:
    """Return what `symstudy.kernels.network.dense_pass` returns, of an encoder."""
    stay_apart()
    loss = 0.0
    hits = 0
    first = np.int64(0)
    sizes = sizes_of(encoder)
    memory, rooms = scratch.memory, scratch.rooms
    ends = EndScratch(
        memory[rooms[ROWS] :], memory[rooms[DELTA] :], memory[rooms[PEAK] :], memory[rooms[TOTAL] :]
    )
    while first < rows.size:
        chunk = rows[first : first + scratch.chunk]
        bp = token_samples(chunk.size, sizes.tokens, theta.itemsize)
        line = padded(chunk.size, theta.itemsize)
        load_tokens(sizes, x, chunk, scratch, bp)
        encode(encoder, theta, coefficient, scratch, bp, line)
        out = memory[rooms[OUT] : rooms[OUT] + sizes.outputs * line]
        if gradient.size == 0:
            hits += count_hits(y, chunk, out, line)
        load_targets(y, chunk, kind, sigma, noise, first, ends, line)
        loss += loss_and_delta(encoder, out, chunk.size, rows.size, ends, line)
        if gradient.size > 0:
            acc = np.int64(1) if first > 0 else np.int64(0)
            decode(encoder, theta, scratch, bp, line, gradient, acc)
        first += scratch.chunk
    return loss, hits


def lane_pass(
    network: AnyNetwork,
    theta: Floats,
    coefficient: Real,
    x: Floats,
    y: Floats,
    rows: Integers,
    kind: Index,
    sigma: Real,
    noise: Floats,
    gradient: Floats,
    scratch: AnyScratch,
) -> tuple[Real, Index]:
    """Return the mean loss of the samples `rows`; with it the gradient, or else the hits.

    The arguments are those of `symstudy.kernels.network.dense_pass`; called by kernels alone.
    """
    raise TypeError(f"a pass must be called by a kernel, but {network!r} was given to it in Python")


PASSES: dict[type[Any], Any] = {Network: dense_pass, Encoder: encoder_pass}
"""The pass of each kind of network."""


OPTIONS: Any = options_of({"contract"}, allocates=False) | {"forceinline": True}


@overload(lane_pass, jit_options=OPTIONS)
def lane_pass_in_kernel(
    network: Any,
    theta: Any,
    coefficient: Any,
    x: Any,
    y: Any,
    rows: Any,
    kind: Any,
    sigma: Any,
    noise: Any,
    gradient: Any,
    scratch: Any,
) -> Any:
    """Pick the pass of the class of `network`."""
    own = PASSES[network.instance_class]

    def chosen(
        network: Any,
        theta: Any,
        coefficient: Any,
        x: Any,
        y: Any,
        rows: Any,
        kind: Any,
        sigma: Any,
        noise: Any,
        gradient: Any,
        scratch: Any,
    ) -> Any:
        return own(network, theta, coefficient, x, y, rows, kind, sigma, noise, gradient, scratch)

    return chosen
