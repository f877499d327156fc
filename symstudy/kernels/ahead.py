"""Every kernel compiled ahead of its first use, by calling it once.

The first call of a kernel compiles it, which takes seconds, once a machine. What is compiled ahead
for the optimisers is said above this layer: `symstudy.training.compile_ahead`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from symstudy.kernels import (
    encoder,
    graph_lanes,
    graph_steps,
    lanes,
    layer_graph,
    losses,
    minimise,
    network,
    passes,
    random,
    spanning_tree,
)
from symstudy.kernels.codes import SQUARED
from symstudy.kernels.functions import TANH
from symstudy.kernels.steps import KernelStep

__all__ = ["compile_kernels"]


def compile_kernels(steps: Sequence[KernelStep]) -> None:
    """Call every kernel once in each precision, and the training of a lane by each of `steps`."""
    for single in (np.dtype(np.float32), np.dtype(np.float64)):
        for step in steps:
            compile_training(single, step)
        for step in steps[:1]:
            compile_encoder(single, step)
    key = np.uint64(1)
    block = np.uint64(0)
    numbers = np.empty(4)
    integers = np.empty(4, np.int64)
    random.fill_uniform(key, block, numbers)
    random.fill_normal(key, block, numbers)
    random.fill_integers(key, block, 3, integers)
    random.fill_permutation(key, block, integers)
    random.fill_shuffled_rows(key, 0, 3, integers)
    random.fill_normal_blocks(key, 0, np.empty((2, 4)))
    random.fill_uniform_blocks(key, 0, np.empty((2, 4)))
    random.fill_integer_blocks(key, 0, 3, np.empty((2, 4), np.int64))
    points = np.zeros((1, 3, 2))
    spanning_tree.neuron_clusters(points, False, np.zeros(1), np.empty((1, 3)), np.empty(1))


def compile_training(kind: np.dtype[np.floating], step: KernelStep) -> None:
    """Train and survey one tiny lane of dense layers in the precision `kind`."""
    net = network.Network(
        sizes=np.array([2, 3, 1], np.int64),
        weights=np.array([0, 9], np.int64),
        biases=np.array([6, 12], np.int64),
        codes=np.array([TANH, 0], np.int64),
        loss=SQUARED,
        loss_scale=1.0,
        smoothing=0.0,
    )
    pointer = step.compiled(kind)
    state, samples = train_and_survey(kind, net, 13, pointer)
    compile_images(kind, state, samples, pointer)
    lanes.update_lanes(state, np.zeros(1, np.int64), 0, np.zeros((1, 13), kind), pointer)
    if kind == np.float64:
        scratch = network.make_scratch(net, 4, kind)
        one = np.full(1, 0.1)
        descent = minimise.make_lbfgs_lanes(state.theta, one, one, 1e-9, 2)
        workspace = minimise.make_workspace(13, 2)
        zero = np.zeros(1, np.int64)
        minimise.minimise_lanes(net, descent, samples, zero, np.int64(1), workspace, scratch)


def compile_encoder(kind: np.dtype[np.floating], step: KernelStep) -> None:
    """Train and survey one tiny transformer in the precision `kind`; it serves every step."""
    sizes = encoder.Sizes(
        tokens=2,
        token_dim=1,
        width=2,
        heads=1,
        head_dim=1,
        neurons=1,
        outputs=1,
        layers=1,
        reads_last=1,
        is_normalised=1,
        code=TANH,
        embed=0,
        embed_bias=-1,
        positions=-1,
        readout=14,
        readout_bias=-1,
    )
    blocks = encoder.LayerBlocks(
        query=2,
        query_bias=-1,
        keys=4,
        output=8,
        output_bias=-1,
        into=10,
        into_bias=-1,
        out=12,
        out_bias=-1,
    )
    net = encoder.Encoder(
        sizes=np.array(sizes, np.int64),
        blocks=np.array([blocks], np.int64),
        epsilon=1e-12,
        logit_scale=1.0,
        loss=SQUARED,
    )
    train_and_survey(kind, net, 16, step.compiled(kind))


def train_and_survey(
    kind: np.dtype[np.floating], net: passes.AnyNetwork, size: int, pointer: Any
) -> tuple[lanes.Lanes, lanes.Samples]:
    """Train one lane of two inputs and one output by `pointer`, and survey it in both ways.

    Args:
        kind: Precision.
        net: The network.
        size: Its parameters.
        pointer: A compiled step.
    """
    one = np.full(1, 0.1, kind)
    zero = np.zeros(1, np.int64)
    state = lanes.Lanes(
        theta=np.zeros((1, size), kind),
        first=np.zeros((1, size), kind),
        second=np.zeros((1, size), kind),
        is_decoupled=False,
        rate=np.full((1, 1), 0.1, kind),
        stop=np.full((1, 1), size, np.int64),
        factor=np.ones((1, 1), kind),
        decay=one,
        centre=np.zeros((1, size), kind),
        stretch=np.ones((1, size), kind),
        is_pulled=zero,
        beta1=one,
        beta2=one,
        epsilon=one,
        extra=one,
        coefficient=one,
        sigma=one,
        clip=np.zeros(1, kind),
        step=0,
        diverged=np.full(1, -1, np.int64),
    )
    x = np.zeros((1, 4, 2), kind)
    y = np.zeros((1, 4, 1), kind)
    rows = np.zeros((1, 1, 4), np.int32)
    batches = lanes.Batches(
        x=x,
        y=y,
        rows=rows,
        noise=np.zeros((1, 1, 1, 1), kind),
        noise_kind=losses.NO_NOISE,
        lane_x=zero,
        lane_y=zero,
        lane_rows=zero,
        lane_noise=zero,
    )
    scratch = passes.scratch_of(net, kind)
    lanes.train_lanes(net, state, batches, zero, scratch, np.empty(size, kind), pointer)
    samples = lanes.Samples(x, y, zero, zero, rows[0, 0], np.zeros((1, 1), kind))
    number = np.empty(1)
    for columns in (0, size):
        gradient = np.empty((1, columns), kind)
        lanes.survey_lanes(net, state.theta, one, samples, zero, scratch, number, number, gradient)
    return state, samples


def compile_images(
    kind: np.dtype[np.floating], state: lanes.Lanes, samples: lanes.Samples, step: lanes.Step
) -> None:
    """Train and survey one tiny lane of convolutions in the precision `kind`.

    Args:
        kind: Precision.
        state: A lane of 13 parameters.
        samples: Four, of two numbers and one target.
        step: Of an optimiser.
    """
    op = np.zeros((1, layer_graph.FIELDS), np.int64)
    # Two channels of one pixel, made one by a kernel of one pixel with a bias.
    op[0, layer_graph.CHANNELS] = 2
    for field in ("ROWS", "COLUMNS", "CHANNELS_ABOVE", "ROWS_ABOVE", "COLUMNS_ABOVE"):
        op[0, getattr(layer_graph, field)] = 1
    op[0, [layer_graph.SIZE, layer_graph.STRIDE]] = 1
    op[0, layer_graph.ABOVE] = 4
    op[0, layer_graph.BIASES] = 2
    op[0, layer_graph.SENDS_BELOW] = layer_graph.NO_GRADIENT
    one = np.ones(1, np.int64)
    graph = layer_graph.LayerGraph(
        ops=op,
        epsilon=np.zeros(1),
        momentum=np.zeros(1),
        size=6,
        down_size=2,
        last=0,
        states=0,
        head=network.Network(np.ones(2, np.int64), 3 * one, 4 * one, 0 * one, SQUARED, 1.0),
    )
    steps = graph_steps.compile_graph_steps(kind.name)
    scratch = layer_graph.make_graph_scratch(graph, 4, kind)
    running, counts, zero = np.zeros((1, 0), kind), np.zeros(1, np.int64), np.zeros(1, np.int64)
    gradient = np.empty(13, kind)
    batches = lanes.Batches(
        x=samples.x,
        y=samples.y,
        rows=samples.rows[None, None],
        noise=np.zeros((1, 1, 1, 1), kind),
        noise_kind=losses.NO_NOISE,
        lane_x=zero,
        lane_y=zero,
        lane_rows=zero,
        lane_noise=zero,
    )
    graph_lanes.train_graph_lanes(
        graph, steps, state, running, counts, batches, zero, scratch, gradient, step
    )
    number = np.empty(1)
    for columns in (0, 13):
        empty = np.empty((1, columns), kind)
        graph_lanes.survey_graph_lanes(
            graph, steps, state.theta, running, samples, zero, scratch, number, number, empty
        )
