"""What the last layer of a network reads of training samples, as measures of features need it.

Shapes: K runs, B samples, F features, C classes.
"""

from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from symstudy.symmetry.ranks import singular_values

__all__ = ["FeaturesView"]

LEAST_OF_A_CLASS = 2
"""Samples that a class must have at least: one alone does not vary within its class."""


class FeaturesView:
    """Features of training samples with their classes, and the last layer that reads them.

    Features are the inputs of the last layer. All classes count alike, however many samples each
    has: the global mean is the mean of the class means, and covariances are means over classes.

    Args of the constructor: inputs `[runs, samples, features]` of the last layer, its weights
    `[runs, classes, features]`, the network's outputs `[runs, samples, classes]`, and the samples'
    classes `[runs, samples]`. All finite, of any precision; what follows is float64.

    Attributes:
        features_KBF: Features.
        weight_KCF: Weights of the last layer.
        predicted_KB: Class of the largest output of each sample.
        classes_KB: Class of each sample.
    """

    def __init__(
        self,
        features_KBF: Float[Tensor, "runs samples features"],
        weight_KCF: Float[Tensor, "runs classes features"],
        outputs_KBC: Float[Tensor, "runs samples classes"],
        classes_KB: Int64[Tensor, "runs samples"],
    ) -> None:
        """See the class."""
        self.features_KBF = features_KBF.detach().double()
        self.weight_KCF = weight_KCF.detach().double()
        self.predicted_KB = outputs_KBC.detach().argmax(dim=2)
        self.classes_KB = classes_KB

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.weight_KCF.shape[1]

    @cached_property
    def membership_KBC(self) -> Float[Tensor, "runs samples classes"]:
        """1 where a sample is of a class, else 0."""
        return torch.nn.functional.one_hot(self.classes_KB, self.num_classes).double()

    @cached_property
    def counts_KC(self) -> Float[Tensor, "runs classes"]:
        """Samples of each class."""
        return self.membership_KBC.sum(dim=1)

    @cached_property
    def is_known_K(self) -> Bool[Tensor, " runs"]:
        """Whether every class has two samples or more, and not all class means are one point."""
        has_classes_K = (self.counts_KC >= LEAST_OF_A_CLASS).all(dim=1)
        is_apart_K: Tensor = self.centred_means_KCF.square().sum(dim=(1, 2)) > 0
        return has_classes_K & is_apart_K

    @cached_property
    def means_KCF(self) -> Float[Tensor, "runs classes features"]:
        """Mean features of each class."""
        sums_KCF = self.membership_KBC.transpose(1, 2) @ self.features_KBF
        return sums_KCF / self.counts_KC.clamp(min=1.0)[..., None]

    @cached_property
    def global_mean_K1F(self) -> Float[Tensor, "runs 1 features"]:
        """Mean of the class means."""
        return self.means_KCF.mean(dim=1, keepdim=True)

    @cached_property
    def centred_means_KCF(self) -> Float[Tensor, "runs classes features"]:
        """Class means less the global mean."""
        return self.means_KCF - self.global_mean_K1F

    @cached_property
    def deviations_KBF(self) -> Float[Tensor, "runs samples features"]:
        """Features less the mean of their class."""
        return self.features_KBF - self.membership_KBC @ self.means_KCF

    @cached_property
    def shares_KB(self) -> Float[Tensor, "runs samples"]:
        """Weight of each sample in a mean over classes of means over their samples."""
        inverse_KC = 1.0 / (self.num_classes * self.counts_KC.clamp(min=1.0))
        return (self.membership_KBC @ inverse_KC[..., None])[..., 0]

    @cached_property
    def eigenvalues_KR(self) -> Float[Tensor, "runs values"]:
        """Eigenvalues of the second moment of the features, about 0, largest first.

        As many as features or samples, whichever are fewer; below 1e-16 of the largest they are
        round-off.
        """
        return singular_values(self.features_KBF).square() / self.features_KBF.shape[1]

    @cached_property
    def centred_eigenvalues_KR(self) -> Float[Tensor, "runs values"]:
        """Eigenvalues of the covariance of the features, largest first."""
        centred_KBF = self.features_KBF - self.features_KBF.mean(dim=1, keepdim=True)
        return singular_values(centred_KBF).square() / self.features_KBF.shape[1]

    def where_known(self, value_K: Float[Tensor, " runs"]) -> Float[Tensor, " runs"]:
        """Return a number of each run, NaN where its classes are not known."""
        return torch.where(self.is_known_K, value_K, torch.nan)
