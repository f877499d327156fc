"""The table of operations of a network of images, made one operation after another.

See `symstudy.kernels.layer_graph`, which says what the columns mean.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from symstudy.kernels.codes import SQUARED
from symstudy.kernels.functions import LINEAR
from symstudy.kernels.layer_graph import (
    ABOVE,
    ADDED,
    ASSIGNED,
    BATCH_NORM,
    BELOW,
    BESIDE,
    BIASES,
    CHANNELS,
    CHANNELS_ABOVE,
    CODE,
    COLUMNS,
    COLUMNS_ABOVE,
    CONVOLUTION,
    DOWN_ABOVE,
    DOWN_BELOW,
    DOWN_BESIDE,
    FIELDS,
    FOLLOWING,
    GROUP_NORM,
    GROUPS,
    IS_MAXIMUM,
    KIND,
    NO_GRADIENT,
    NO_NORM,
    NORM,
    PAD,
    POOLING,
    ROWS,
    ROWS_ABOVE,
    SENDS_BELOW,
    SENDS_BESIDE,
    SIZE,
    STATE,
    STATISTIC,
    STRIDE,
    WEIGHTS,
    LayerGraph,
)
from symstudy.kernels.network import Network
from symstudy.models.stacks import NormState

__all__ = ["Images", "LayerTable", "Norm"]


class Images(NamedTuple):
    """A buffer of activations.

    Attributes:
        buffer: Its number.
        channels: Channels.
        rows: Rows of pixels.
        columns: Columns of pixels.
    """

    buffer: int
    channels: int
    rows: int
    columns: int


class Norm(NamedTuple):
    """A norm of the channels of images.

    Attributes:
        code: Of the kernels.
        gains: Where its gains start in the flat vector.
        biases: Where its biases start.
        epsilon: What is added to a variance.
        momentum: Share of a batch in the running means; 0 without any.
        groups: Groups of channels.
        name: In its module.
    """

    code: int
    gains: int
    biases: int
    epsilon: float
    momentum: float = 0.0
    groups: int = 1
    name: str = ""


class Row(NamedTuple):
    """An operation.

    Attributes:
        source: What it reads.
        target: What it makes.
        fields: Columns of the table that do not follow from these.
        residual: What it adds; None for nothing.
        epsilon: What a norm adds to a variance.
        momentum: Share of a batch in running means.
    """

    source: Images
    target: Images
    fields: dict[int, int]
    residual: Images | None = None
    epsilon: float = 0.0
    momentum: float = 0.0


@final
class LayerTable:
    """Operations on images, in the order in which they are added.

    Attributes:
        norms: Where the running means of each batch norm are kept.
    """

    def __init__(self, channels: int, rows: int, columns: int) -> None:
        """Begin with the images that are read."""
        self.rows: list[Row] = []
        self.buffers = [Images(0, channels, rows, columns)]
        self.norms: list[NormState] = []
        self.states = self.channels_normed = self.groups_normed = 0

    def add_buffer(self, channels: int, rows: int, columns: int) -> Images:
        """Return a new buffer."""
        self.buffers.append(Images(len(self.buffers), channels, rows, columns))
        return self.buffers[-1]

    def convolve(
        self, source: Images, channels: int, window: tuple[int, int, int], places: tuple[int, int]
    ) -> Images:
        """Add a convolution and return its result.

        Args:
            source: What it reads.
            channels: That it makes.
            window: Size, stride and border of the kernel.
            places: Where weights and biases start in the flat vector; -1 for no biases.
        """
        size, stride, pad = window
        left = [(each + 2 * pad - size) // stride + 1 for each in source[2:]]
        target = self.add_buffer(channels, *left)
        fields = {KIND: CONVOLUTION, SIZE: size, STRIDE: stride, PAD: pad}
        self.rows.append(Row(source, target, fields | {WEIGHTS: places[0], BIASES: places[1]}))
        return target

    def follow(
        self,
        source: Images,
        norm: Norm | None = None,
        residual: Images | None = None,
        code: int = LINEAR,
    ) -> Images:
        """Add what follows a convolution, and return its result."""
        target = self.add_buffer(*source[1:])
        fields = {KIND: FOLLOWING, CODE: code, NORM: NO_NORM}
        if norm is None:
            self.rows.append(Row(source, target, fields, residual))
            return target
        fields |= {NORM: norm.code, WEIGHTS: norm.gains, BIASES: norm.biases, GROUPS: norm.groups}
        if norm.code == BATCH_NORM:
            fields |= {STATE: self.states, STATISTIC: self.channels_normed}
            self.norms.append(NormState(norm.name, self.states, source.channels))
            self.states += 2 * source.channels
            self.channels_normed += source.channels
        else:
            assert norm.code == GROUP_NORM, f"no such norm: {norm.code}"
            fields[STATISTIC] = self.groups_normed
            self.groups_normed += norm.groups
        self.rows.append(Row(source, target, fields, residual, norm.epsilon, norm.momentum))
        return target

    def extend(self, made: Images, *, residual: Images | None = None, code: int = LINEAR) -> bool:
        """Let what made a buffer add a residual and apply an activation too, if it can.

        Nothing else may read the buffer. Returns whether it does so now.
        """
        places = [i for i, row in enumerate(self.rows) if row.target == made]
        row = self.rows[places[0]] if places else None
        if row is None or row.fields[KIND] != FOLLOWING or row.fields[CODE] != LINEAR:
            return False
        if residual is not None and row.residual is not None:
            return False
        # Behind what made the residual.
        del self.rows[places[0]]
        row.fields[CODE] = code
        self.rows.append(row._replace(residual=residual or row.residual))
        return True

    def pool(
        self, source: Images, window: tuple[int, int, int], sizes: tuple[int, int], *, maximum: bool
    ) -> Images:
        """Add a pooling to images of so many rows and columns, and return its result."""
        target = self.add_buffer(source.channels, *sizes)
        size, stride, pad = window
        fields = {KIND: POOLING, SIZE: size, STRIDE: stride, PAD: pad, IS_MAXIMUM: int(maximum)}
        self.rows.append(Row(source, target, fields))
        return target

    def unused(self, last: Images) -> list[Images]:
        """Return the buffers, but for the `last`, that nothing reads."""
        read = {last, *(row.source for row in self.rows), *(row.residual for row in self.rows)}
        return [each for each in self.buffers if each not in read]

    def finish(self, last: Images, outputs: int, places: tuple[int, int]) -> LayerGraph:
        """Return the graph whose result is `last`, read out by a layer of `outputs`.

        Args:
            last: What is averaged over pixels; not the images that are read.
            outputs: Outputs of the readout.
            places: Where its weights and biases start in the flat vector; -1 for no biases.
        """
        sizes = [each.channels * (each.rows * each.columns + 1) for each in self.buffers]
        starts = [0, *itertools.accumulate(sizes)]
        downs, down_size = share_memory(self.rows, sizes, last)
        sent = ways_down(self.rows)
        ops = np.full((len(self.rows), FIELDS), -1, np.int64)
        for op, row, (below, beside) in zip(ops, self.rows, sent, strict=True):
            source, target = row.source, row.target
            op[[CHANNELS, ROWS, COLUMNS]] = source[1:]
            op[[CHANNELS_ABOVE, ROWS_ABOVE, COLUMNS_ABOVE]] = target[1:]
            op[[BELOW, ABOVE]] = starts[source.buffer], starts[target.buffer]
            op[[DOWN_BELOW, DOWN_ABOVE]] = downs[source.buffer], downs[target.buffer]
            if row.residual is not None:
                op[BESIDE] = starts[row.residual.buffer]
                op[DOWN_BESIDE] = downs[row.residual.buffer]
            op[[SENDS_BELOW, SENDS_BESIDE]] = below, beside
            for field, value in row.fields.items():
                op[field] = value
        return LayerGraph(
            ops=ops,
            epsilon=np.array([row.epsilon for row in self.rows]),
            momentum=np.array([row.momentum for row in self.rows]),
            size=sum(sizes),
            down_size=down_size,
            last=[row.target for row in self.rows].index(last),
            states=self.states,
            head=Network(
                sizes=np.array([last.channels, outputs], np.int64),
                weights=np.array(places[:1], np.int64),
                biases=np.array(places[1:], np.int64),
                codes=np.zeros(1, np.int64),
                loss=SQUARED,
                loss_scale=1.0,
            ),
        )


def ways_down(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Return what becomes of the gradients of what each operation reads, and of what it adds.

    Going down, the first to send a buffer a gradient assigns it, the others add theirs; the images
    that are read get none.
    """
    written: set[int] = set()
    found = []

    def way(images: Images | None) -> int:
        if images is None or images.buffer == 0:
            return NO_GRADIENT
        how = ADDED if images.buffer in written else ASSIGNED
        written.add(images.buffer)
        return how

    for row in reversed(rows):
        # In the order in which the kernels send them.
        beside = way(row.residual)
        found.append((way(row.source), beside))
    return found[::-1]


def share_memory(rows: Sequence[Row], sizes: Sequence[int], last: Images) -> tuple[list[int], int]:
    """Return where each buffer's gradient lies, in numbers a sample, and the size of the whole.

    A gradient is needed from the last operation that reads the buffer down to the one that makes
    it; gradients that are not needed together may lie at one place.
    """
    made = {row.target.buffer: i for i, row in enumerate(rows)}
    read = {last.buffer: len(rows)}
    for i, row in enumerate(rows):
        for images in (row.source, row.residual):
            if images is not None:
                read[images.buffer] = max(i, read.get(images.buffer, 0))
    downs = [0] * len(sizes)
    placed: list[int] = []
    for buffer in sorted(made, key=lambda each: -sizes[each]):
        together = sorted(
            (downs[other], downs[other] + sizes[other])
            for other in placed
            if made[other] <= read[buffer] and made[buffer] <= read[other]
        )
        at = 0
        for start, stop in together:
            if at + sizes[buffer] <= start:
                break
            at = max(at, stop)
        downs[buffer] = at
        placed.append(buffer)
    return downs, max((downs[each] + sizes[each] for each in placed), default=0)
