"""The packed trainer of networks of convolutions: lane after lane, as `symstudy.kernels.lanes`.

A lane has a state beside its parameters: the running means of its batch norms. A step that diverges
leaves it as it was.
"""

import numpy as np

from symstudy.kernels.clipping import clip_to_norm
from symstudy.kernels.graph_pass import graph_pass, keep_statistics
from symstudy.kernels.graph_steps import GraphSteps
from symstudy.kernels.jit import Floats, Integers, compiled
from symstudy.kernels.lanes import LOSS_LIMIT, Batches, Lanes, Samples, Step, update
from symstudy.kernels.layer_graph import GraphScratch, LayerGraph


@compiled
def train_graph_lanes(
    graph: LayerGraph,
    steps: GraphSteps,
    lanes: Lanes,
    states: Floats,
    counts: Integers,
    batches: Batches,
    chosen: Integers,
    scratch: GraphScratch,
    gradient: Floats,
    step: Step,
) -> None:
    """Train the lanes `chosen` through all steps of a block.

    A lane that diverges stops where it is, with its step in `lanes.diverged`.

    Args:
        graph: The network.
        steps: Its operations.
        lanes: Parameters and hyperparameters.
        states: Running means and variances `[K, graph.states]`; written.
        counts: Batches that they have seen `[K]`; written.
        batches: Data of the block.
        chosen: Lanes.
        scratch: Of one thread.
        gradient: Scratch, like one lane's parameters.
        step: The optimiser's.
    """
    for k in chosen:
        x = batches.x[batches.lane_x[k]]
        y = batches.y[batches.lane_y[k]]
        rows = batches.rows[batches.lane_rows[k]]
        noise = batches.noise[batches.lane_noise[k]]
        last_rows = rows.shape[0] - 1
        last_noise = noise.shape[0] - 1
        for s in range(lanes.rate.shape[1]):
            own = rows[min(s, last_rows)]
            loss, _ = graph_pass(
                graph,
                steps,
                lanes.theta[k],
                states[k],
                np.int64(1),
                x,
                y,
                own,
                batches.noise_kind,
                lanes.sigma[k],
                noise[min(s, last_noise)],
                gradient,
                scratch,
            )
            if not loss < LOSS_LIMIT:
                lanes.diverged[k] = lanes.step + s
                break
            keep_statistics(graph, states[k], own.size, scratch)
            counts[k] += 1
            if lanes.clip[k] > 0:
                clip_to_norm(gradient, lanes.clip[k])
            update(lanes, k, s, gradient, step)


@compiled
def survey_graph_lanes(
    graph: LayerGraph,
    steps: GraphSteps,
    theta: Floats,
    states: Floats,
    samples: Samples,
    chosen: Integers,
    scratch: GraphScratch,
    loss: Floats,
    accuracy: Floats,
    gradient: Floats,
) -> None:
    """Fill `loss` of the lanes `chosen`, as in evaluation, and `gradient` or else `accuracy`.

    The arguments are those of `symstudy.kernels.lanes.survey_lanes`, with the lanes' `states` in
    the place of the activation's coefficients.
    """
    for k in chosen:
        loss[k], hits = graph_pass(
            graph,
            steps,
            theta[k],
            states[k],
            np.int64(0),
            samples.x[samples.lane_x[k]],
            samples.y[samples.lane_y[k]],
            samples.rows,
            np.int64(0),
            theta.dtype.type(0.0),
            samples.noise,
            gradient[k],
            scratch,
        )
        if gradient.shape[1] == 0:
            accuracy[k] = hits / samples.rows.size
