"""The entropic term of the loss: the covariance of per-sample gradients, by its trace.

`train.entropic` = c adds c Tr Sigma(theta) to the data loss; c = T / 4 is what SGD of temperature
T = lr / batch size adds by itself to leading order (arXiv:2502.05300, Eq. 7). Trained so, a full
batch has the effect of noise without the noise.

Shapes: K runs, P parameters, B samples, I inputs, O outputs.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from symstudy.theory.noise import BatchLoss, CovarianceTrace, covariance_trace_gradient
from symstudy.training.data import Split
from symstudy.training.engines.base import LoadedPack
from symstudy.training.losses import data_loss

__all__ = ["entropic_terms", "pack_loss", "split_terms"]


def pack_loss(pack: LoadedPack) -> BatchLoss:
    """Return the data loss of the pack's model as a function of parameters, inputs and targets."""

    def loss(theta_KP: Tensor, x_KBI: Tensor, y_KBO: Tensor) -> Tensor:
        return data_loss(pack.train.loss, pack.model.forward(theta_KP, x_KBI).for_loss, y_KBO)

    return loss


def entropic_terms(
    pack: LoadedPack,
    theta_KP: Float[Tensor, "runs parameters"],
    x_KBI: Float[Tensor, "runs batch ..."],
    y_KBO: Float[Tensor, "runs batch outputs"],
    *,
    is_batch: bool,
    chunk: int | None = None,
) -> CovarianceTrace:
    """Return Tr Sigma and its gradient; for a batch an unbiased estimate of those of the data.

    Args:
        pack: Model and loss.
        theta_KP: Parameters.
        x_KBI: Inputs.
        y_KBO: Targets.
        is_batch: Whether the samples are a batch and not the data set: the covariance is then
            divided by B - 1 (without bias where batches are drawn with replacement or anew).
        chunk: Samples whose gradients are held at a time; as many as fit if not given.
    """
    # Torch's fused attention has no second derivatives; its plain one has.
    with sdpa_kernel(SDPBackend.MATH):
        return covariance_trace_gradient(
            pack_loss(pack), theta_KP, x_KBI, y_KBO, unbiased=is_batch, chunk=chunk
        )


def split_terms(
    pack: LoadedPack, theta_KP: Float[Tensor, "runs parameters"], split: Split
) -> CovarianceTrace:
    """Return Tr Sigma of each run on a whole split, and its gradient."""
    x_KBI, y_KBO = (
        pack.data.gathered(array, groups, slice(None), theta_KP.device)
        for array, groups in ((split.x, split.lane_x), (split.y, split.lane_y))
    )
    return entropic_terms(pack, theta_KP, x_KBI, y_KBO, is_batch=False)
