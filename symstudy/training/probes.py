"""What is measured of a pack at a probe, as columns of numbers.

Shapes: K runs.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from symstudy.layout import AttentionLayer
from symstudy.measures.attention_views import AttentionView
from symstudy.measures.backward import BackwardPass
from symstudy.measures.catalogue import measures_on, network_columns
from symstudy.measures.compute import (
    measure_extra,
    measure_features,
    measure_heads,
    measure_layer,
    measure_networks,
)
from symstudy.measures.feature_views import FeaturesView
from symstudy.measures.held_against import References
from symstudy.measures.views import LayerView, NetworkView
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractTrained, LoadedPack
from symstudy.training.engines.entropic import split_terms
from symstudy.training.engines.evaluators import rows_of
from symstudy.training.engines.lanes import make_penalty
from symstudy.training.losses import data_loss

__all__ = [
    "Column",
    "Named",
    "measure_curve",
    "measure_detail",
    "measure_layers",
    "measure_named",
]

Column = NDArray[np.float64] | NDArray[np.int64]


class Named(NamedTuple):
    """What a study names of whole networks and their features, at a probe.

    Attributes:
        numbers: By name, an entry for every run of the pack: NaN where it was not measured.
        vectors: By name, a row for each run that was measured.
    """

    numbers: dict[str, NDArray[np.float64]]
    vectors: dict[str, NDArray[np.float64]]


def measure_curve(trained: AbstractTrained, pack: LoadedPack) -> dict[str, NDArray[np.float64]]:
    """Return losses and accuracies of each run, on fixed training data and on test data.

    `train_loss` is NaN where every batch is drawn anew: the test loss is its expectation, up to the
    label noise. Accuracies are NaN in regression.
    """
    missing = np.full(len(pack.runs), np.nan)
    classes = pack.data.tasks[0].is_classification
    splits = [pack.data.test] if pack.data.is_fresh else [pack.data.test, pack.data.train]
    test, *rest = trained.evaluate_all(splits)
    train = rest[0] if rest else None
    return {
        "train_loss": train.loss_K if train else missing,
        "test_loss": test.loss_K,
        "train_accuracy": train.accuracy_K if train and classes else missing,
        "test_accuracy": test.accuracy_K if classes else missing,
    }


def measure_detail(
    trained: AbstractTrained, pack: LoadedPack, train_loss: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the objective, the norms of the parameters and the gradient of the full objective.

    The objective is the data loss on the fixed training data plus gamma |theta|^2 and the entropic
    term; with syre theta is what the penalty sees, and the network is evaluated at theta + theta_0.
    For fresh data it and its gradient are NaN. `grad_ratio` is |grad| / (1 + |objective|), which a
    certified minimum keeps below a tolerance.
    """
    if pack.data.is_absent:
        # Of a large file there are no copies to make for what is not there.
        norm = torch.linalg.vector_norm(trained.theta_KP, dim=1, dtype=torch.float64)
        return {"theta_norm": norm.cpu().numpy()}
    gamma = pack.lane_values("gamma")
    penalty = make_penalty(pack)
    theta = penalty.offset(trained.theta_KP.double().cpu().numpy())
    # Row sums of NumPy do not depend on how many rows there are; torch's may, in the last bit.
    squares = np.square(theta).sum(axis=1)
    pulled = penalty.gradient(theta)
    objective = train_loss + gamma * (theta * pulled).sum(axis=1)
    entropic = None
    if pack.train.entropic > 0 and not pack.data.is_fresh:
        entropic = split_terms(pack, trained.theta_KP, pack.data.train)
        objective += pack.lane_values("entropic") * entropic.trace_K.double().cpu().numpy()
    if pack.data.is_fresh:
        norm = np.full(len(gamma), np.nan)
    else:
        gradient = trained.gradient(pack.data.train).double().cpu().numpy()
        full = gradient + 2.0 * gamma[:, None] * pulled
        if entropic:
            share = entropic.gradient_KP.double().cpu().numpy()
            full += pack.lane_values("entropic")[:, None] * share
        norm = np.sqrt(np.square(full).sum(axis=1))
    dead = trained.diverged_K >= 0
    columns = {
        "objective": objective,
        "theta_norm": np.sqrt(squares),
        "grad_norm": norm,
        "grad_ratio": norm / (1.0 + np.abs(objective)),
    }
    return {name: np.where(dead, np.nan, column) for name, column in columns.items()}


def measure_layers(
    trained: AbstractTrained, pack: LoadedPack, lanes: NDArray[np.int64], samples: int
) -> Sequence[dict[str, Column]]:
    """Return the measures of each hidden layer, for the runs `lanes`, none of which has diverged.

    These are what every study records, and what `[probe] measures` names.

    Args:
        trained: Holds the parameters.
        pack: The runs.
        lanes: Which of them.
        samples: Test inputs on which representations are measured, at most.

    Returns:
        One dictionary a layer, in order: a group of neurons has the measures of `MEASURES`, an
        attention layer those of `ATTENTION_MEASURES`. `distinct_curve` has a column a threshold.
    """
    layout = pack.model.network_layout
    if not layout.hidden_layers or len(lanes) == 0:
        return []
    theta = trained.theta_KP
    index = pack.data.resident.index(lanes, theta.device)
    if len(lanes) < len(theta):
        theta = theta[index]
    if pack.data.is_absent:
        return measured(pack, theta, {}, References())
    batch = first_of_test(pack, lanes, samples, theta)
    model = pack.model.with_buffers(rows_of(trained.buffers, index))
    with torch.no_grad():
        hidden = model.forward(theta, batch.inputs).hidden
        weights = pack.model.network_parameters(theta)
    loss = functools.partial(data_loss, pack.train.loss)
    backward = BackwardPass(model, theta, batch.inputs, batch.targets, loss)
    return measured(pack, weights, hidden, references_of(pack, lanes, batch.inputs), backward)


class Batch(NamedTuple):
    """Inputs and their targets, on the device, a batch for each run."""

    inputs: torch.Tensor
    targets: torch.Tensor


def first_of_test(
    pack: LoadedPack, lanes: NDArray[np.int64], samples: int, theta: torch.Tensor
) -> Batch:
    """Return the first `samples` test samples of the runs `lanes`, where `theta` is.

    Targets are without label noise.
    """
    return first_of(pack, pack.data.test, lanes, samples, theta)


def first_of(
    pack: LoadedPack, split: Split, lanes: NDArray[np.int64], samples: int, theta: torch.Tensor
) -> Batch:
    """Return the first `samples` samples of a split of the runs `lanes`, where `theta` is."""
    return Batch(
        *(
            pack.data.gathered(rows, lane[lanes], slice(samples), theta.device)
            for rows, lane in ((split.x, split.lane_x), (split.y, split.lane_y))
        )
    )


def references_of(
    pack: LoadedPack, lanes: NDArray[np.int64], inputs_KBI: torch.Tensor
) -> References:
    """Return what the activations of the runs `lanes` on some inputs may be held against."""
    if pack.data.test.x.dtype.kind != "f":
        return References()

    @functools.cache
    def universal() -> torch.Tensor:
        roots = np.stack([pack.data.universal_root(lane) for lane in lanes.tolist()])
        return inputs_KBI.double() @ torch.from_numpy(roots).to(inputs_KBI.device)

    return References(inputs_KBI, universal)


def measure_named(trained: AbstractTrained, pack: LoadedPack, lanes: NDArray[np.int64]) -> Named:
    """Return the measures of whole networks that the study names, for the runs `lanes`.

    Where there are no data, and of features where the model does not tell them or every batch is
    drawn anew, nothing is measured.
    """
    probe = pack.runs[0].cell.probe
    named = {item.name: np.full(len(pack.runs), np.nan) for item in network_columns(probe.measures)}
    vectors: dict[str, NDArray[np.float64]] = {}
    if len(lanes) == 0 or pack.data.is_absent:
        return Named(named, vectors)
    found: dict[str, torch.Tensor] = {}
    if measures_on(probe.measures, "network"):
        found |= measure_networks(network_view(trained, pack, lanes), probe.measures)
    if measures_on(probe.measures, "features") and not why_no_features(pack):
        found |= measure_lanes_features(trained, pack, lanes)
    for name, value in on_host(found).items():
        numbers = value.astype(np.float64, copy=False)
        if name in named:
            named[name][lanes] = numbers
        else:
            vectors[name] = numbers
    return Named(named, vectors)


def network_view(
    trained: AbstractTrained, pack: LoadedPack, lanes: NDArray[np.int64]
) -> NetworkView:
    """Return the networks of the runs `lanes` with test samples."""
    index = pack.data.resident.index(lanes, trained.theta_KP.device)
    theta = trained.theta_KP[index]
    samples = pack.runs[0].cell.probe.samples
    inputs, targets = first_of_test(pack, lanes, samples, theta)
    loss = functools.partial(data_loss, pack.train.loss)
    model = pack.model.with_buffers(rows_of(trained.buffers, index))
    return NetworkView(model, theta, inputs, targets, loss)


def why_no_features(pack: LoadedPack) -> str:
    """Return why features of the runs of a pack cannot be measured; empty if they can."""
    if pack.data.is_fresh or pack.data.is_absent:
        return "there are no fixed training samples"
    if not pack.data.tasks[0].is_classification:
        return "samples have no classes"
    return pack.model.why_no_features


def measure_lanes_features(
    trained: AbstractTrained, pack: LoadedPack, lanes: NDArray[np.int64]
) -> dict[str, torch.Tensor]:
    """Return the measures of features that the study names, of the runs `lanes`.

    Run by run: the same bits in every pack, and the features of one run in memory.
    """
    probe = pack.runs[0].cell.probe
    theta = trained.theta_KP
    parts: list[dict[str, torch.Tensor]] = []
    for lane in lanes.tolist():
        row = np.array([lane])
        index = pack.data.resident.index(row, theta.device)
        model = pack.model.with_buffers(rows_of(trained.buffers, index))
        batch = first_of(pack, pack.data.train, row, probe.samples, theta)
        with torch.no_grad():
            passed = model.forward(theta[lane : lane + 1], batch.inputs)
        assert passed.last is not None, "a model that tells its features tells its last layer"
        last, classes_KB = passed.last, batch.targets.argmax(dim=2)
        view = FeaturesView(last.features_KBF, last.weight_KOF, passed.output_KBO, classes_KB)
        parts.append(measure_features(view, probe.measures))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def measured(
    pack: LoadedPack,
    weights: torch.Tensor,
    hidden: Mapping[str, torch.Tensor],
    references: References,
    backward: BackwardPass | None = None,
) -> Sequence[dict[str, Column]]:
    """Return the measures of each hidden layer.

    Args:
        pack: Of runs with one layout.
        weights: Parameters `[runs, parameters]` of the network, of some of its runs.
        hidden: Activations `[runs, samples, neurons]` of groups of neurons; what is measured of
            those of others is null.
        references: What activations may be held against.
        backward: The way back through the networks, for what reads it; None without data.
    """
    layout = pack.model.network_layout
    rows = []
    for layer in layout.hidden_layers:
        view: LayerView | AttentionView
        if isinstance(layer, AttentionLayer):
            view = AttentionView(layout, layer, weights)
            measures = measure_heads(view.heads)
        else:
            hidden_KBN = hidden.get(layer.name)
            view = LayerView(layout, layer, weights, hidden_KBN, backward, references)
            measures = measure_layer(view)
        measures.update(measure_extra(view, pack.runs[0].cell.probe.measures))
        rows.append(on_host(measures))
    return rows


def on_host(measures: Mapping[str, torch.Tensor]) -> dict[str, Column]:
    """Return measures `[runs, ...]` as columns, in one copy from the device.

    Counts are float64 on the way, which is exact below 2^53.
    """
    found: dict[str, Column] = {
        name: value.numpy() for name, value in measures.items() if value.device.type == "cpu"
    }
    away = {name: value for name, value in measures.items() if name not in found}
    if away:
        flat = [value.double().reshape(len(value), -1) for value in away.values()]
        columns = torch.cat(flat, dim=1).cpu()
        for name, value in away.items():
            width = value[:1].numel()
            own, columns = columns[:, :width], columns[:, width:]
            found[name] = own.reshape(value.shape).to(value.dtype).numpy()
    return {name: found[name] for name in measures}
