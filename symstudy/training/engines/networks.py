"""A pack's model and loss as the compiled kernels know them."""

from symstudy.kernels.encoder import Sizes
from symstudy.kernels.network import Network
from symstudy.kernels.passes import AnyNetwork
from symstudy.training.engines.base import LoadedPack

__all__ = ["activation_coefficient", "kernel_network", "step_network"]


def kernel_network(pack: LoadedPack) -> Network | None:
    """Return the pack's dense layers with its loss, or None if the model is more than that."""
    dense, loss = pack.model.dense, pack.train.loss
    if dense is None or loss.kernel_code is None:
        return None
    outputs = int(dense.sizes[-1])
    return Network(
        sizes=dense.sizes,
        weights=dense.weights,
        biases=dense.biases,
        codes=dense.codes,
        loss=loss.kernel_code,
        loss_scale=1.0 / loss.divisor(outputs),
        smoothing=float(loss.value("label_smoothing", 0.0)),
    )


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
