"""A pack's model and loss as the compiled kernels know them."""

from symstudy.components.sizes import pays_compiled
from symstudy.kernels.encoder import Sizes
from symstudy.kernels.layer_graph import (
    BATCH_NORM,
    COLUMNS,
    FOLLOWING,
    KIND,
    NORM,
    ROWS,
    LayerGraph,
)
from symstudy.kernels.network import Network
from symstudy.kernels.passes import AnyNetwork
from symstudy.training.engines.base import LoadedPack

__all__ = [
    "activation_coefficient",
    "kernel_graph",
    "kernel_network",
    "step_network",
    "why_no_graph",
]


def kernel_network(pack: LoadedPack) -> Network | None:
    """Return the pack's dense layers with its loss, or None if the model is more than that."""
    dense, loss = pack.model.dense, pack.train.loss
    if dense is None or loss.kernel_code is None:
        return None
    smoothing = float(loss.value("label_smoothing", 0.0))
    return dense.network(loss.kernel_code, 1.0 / loss.divisor(int(dense.sizes[-1])), smoothing)


def kernel_graph(pack: LoadedPack) -> LayerGraph | None:
    """Return the pack's convolutions with its loss, or None where the kernels do not train them.

    They train those up to a width (`pays_compiled`), and with `pack.engine = "compiled"` all that
    they know.
    """
    graph, loss = pack.model.images.graph, pack.train.loss
    if why_no_graph(pack) or loss.kernel_code is None:
        return None
    assert graph is not None, "a model without a graph has a reason"
    head = graph.head._replace(
        loss=loss.kernel_code,
        loss_scale=1.0 / loss.divisor(int(graph.head.sizes[-1])),
        smoothing=float(loss.value("label_smoothing", 0.0)),
    )
    return graph._replace(head=head)


def why_no_graph(pack: LoadedPack) -> str:
    """Return why the kernels do not train the pack's model as convolutions; empty if they do."""
    if pack.model.images.graph is None:
        return pack.model.images.reason
    ops = pack.model.images.graph.ops
    widest = pack.model.images.widest
    if not (pack.config.engine == "compiled" or pays_compiled(widest)):
        return f"with {widest} channels torch trains unless pack.engine = 'compiled' asks"
    is_normed = (ops[:, KIND] == FOLLOWING) & (ops[:, NORM] == BATCH_NORM)
    pixels = (ops[is_normed, ROWS] * ops[is_normed, COLUMNS]).min(initial=2)
    if pixels * pack.train.batch_size < 2:
        return "a batch norm has one number to normalise"
    return ""


def step_network(pack: LoadedPack) -> AnyNetwork | None:
    """Return what the kernels train by steps: dense layers or a transformer, or None."""
    encoder, loss = pack.model.encoder, pack.train.loss
    if encoder is None or loss.kernel_code is None:
        return kernel_network(pack)
    return encoder._replace(
        loss=loss.kernel_code,
        loss_scale=1.0 / loss.divisor(Sizes(*encoder.sizes.tolist()).outputs),
        smoothing=float(loss.value("label_smoothing", 0.0)),
    )


def activation_coefficient(pack: LoadedPack) -> float:
    """Return the coefficient of the polynomial activation in the kernels; 0 where there is none."""
    if pack.model.dense is not None:
        return pack.model.dense.coefficient
    return float(pack.runs[0].cell.model.value("activation_coefficient", 0.0))
