"""Neural collapse: how features and last layer of a classifier come to the simplex of its classes.

Features are the inputs of the last layer, on the first `[probe] samples` training samples. A
network has collapsed completely where NC1 to NC4 are 0: features of a class are one point, the
class means are a simplex equiangular tight frame (ETF) about their mean, the rows of the last layer
are proportional to them, and the network decides for the nearest class mean.

Everything is NaN where a class has less than two of the samples, or all class means are one point.

Shapes: K runs, B samples, F features, C classes, N images that are compared.

References:
    Papyan, Han and Donoho 2020, arXiv:2008.08186: NC1 to NC4. Zhu et al. 2021, arXiv:2105.02375,
    Eq. 10: NC2 as one number. arXiv:2502.05300, Figs. 5 and 11 to 13: spectrum and correlations.
"""

import numpy as np
import torch
from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.feature_views import FeaturesView
from symstudy.measures.views import RunView
from symstudy.symmetry import ranks

PSEUDO_INVERSE = 1e-6
"""Share of the largest singular value of the class means below which a direction has none."""
FLOOR = 1e-12
"""Share of the largest eigenvalue that counts as the least: what is below is round-off."""
IMAGES = 10
"""Images of a class that are compared with each other."""
MOST_CLASSES = 10
"""Classes whose images are compared, at most: the first."""
EXACT = 1e-9
"""What an accuracy of 1 may lack by rounding: less than a sample of a billion."""


@measure(
    on="features",
    kind="number",
    meaning="NC1: Tr(S_W S_B^+) / C, variation of features within classes in the directions of the "
    "class means, over that between them",
    source="arXiv:2008.08186",
)
def nc1(view: FeaturesView) -> Tensor:
    """Return NC1 by the pseudo-inverse of the covariance of the class means."""
    _, values_KC, axes_KCF = torch.linalg.svd(view.centred_means_KCF, full_matrices=False)
    along_KBC = view.deviations_KBF @ axes_KCF.transpose(1, 2)
    within_KC = (view.shares_KB[..., None] * along_KBC.square()).sum(dim=1)
    # S_B is the mean over classes: its eigenvalues are the squares over C, and NC1 is over C too.
    is_there_KC = values_KC > PSEUDO_INVERSE * values_KC[:, :1]
    ratios_KC = torch.where(is_there_KC, within_KC / values_KC.square(), 0.0)
    return view.where_known(ratios_KC.sum(dim=1))


@measure(
    on="features",
    kind="number",
    meaning="NC1 as a ratio of traces: variance of features within classes, Tr S_W, over that of "
    "the class means, Tr S_B",
    source="arXiv:2008.08186",
)
def nc1_trace(view: FeaturesView) -> Tensor:
    """Return the variance within classes over that between them, in all directions."""
    within_K = (view.shares_KB * view.deviations_KBF.square().sum(dim=2)).sum(dim=1)
    between_K = view.centred_means_KCF.square().sum(dim=2).mean(dim=1)
    return view.where_known(within_K / between_K)


@measure(
    on="features",
    kind="number",
    meaning="NC2: distance of the Gram matrix of the centred class means from that of a simplex "
    "ETF, both of norm 1",
    source="arXiv:2105.02375, Eq. 10",
)
def nc2(view: FeaturesView) -> Tensor:
    """Return |G / |G| - E / |E|| in Frobenius norms, with E = I - 1 1^T / C."""
    gram_KCC = view.centred_means_KCF @ view.centred_means_KCF.transpose(1, 2)
    simplex_CC = torch.eye(view.num_classes, dtype=torch.float64, device=gram_KCC.device)
    simplex_CC = simplex_CC - 1.0 / view.num_classes
    norm_K11 = gram_KCC.norm(dim=(1, 2), keepdim=True)
    away_KCC = gram_KCC / norm_K11 - simplex_CC / simplex_CC.norm()
    return view.where_known(away_KCC.norm(dim=(1, 2)))


@measure(
    on="features",
    kind="number",
    meaning="NC2 of norms: standard deviation over mean of the norms of the centred class means",
    source="arXiv:2008.08186",
)
def nc2_norms(view: FeaturesView) -> Tensor:
    """Return how unequal the norms are; 0 for a simplex ETF."""
    norms_KC = view.centred_means_KCF.norm(dim=2)
    return view.where_known(norms_KC.std(dim=1, correction=0) / norms_KC.mean(dim=1))


@measure(
    on="features",
    kind="number",
    meaning="NC2 of angles: mean over pairs of classes of |cos + 1 / (C - 1)| of their centred "
    "means",
    source="arXiv:2008.08186",
)
def nc2_angles(view: FeaturesView) -> Tensor:
    """Return how far angles are from the largest equal ones; 0 for a simplex ETF."""
    unit_KCF = torch.nn.functional.normalize(view.centred_means_KCF, dim=2, eps=1e-300)
    cosines_KCC = unit_KCF @ unit_KCF.transpose(1, 2)
    classes = view.num_classes
    away_KCC = (cosines_KCC + 1.0 / (classes - 1)).abs()
    is_pair_CC = ~torch.eye(classes, dtype=torch.bool, device=away_KCC.device)
    return view.where_known(away_KCC[:, is_pair_CC].mean(dim=1))


@measure(
    on="features",
    kind="number",
    meaning="NC3: squared distance of the weights of the last layer from the centred class means, "
    "both of norm 1; from 0 to 4, 2 where they are orthogonal",
    source="arXiv:2008.08186",
)
def nc3(view: FeaturesView) -> Tensor:
    """Return |W / |W| - M / |M||^2 in Frobenius norms; NaN for weights that are all 0."""
    weight_norm_K11 = view.weight_KCF.norm(dim=(1, 2), keepdim=True)
    means_norm_K11 = view.centred_means_KCF.norm(dim=(1, 2), keepdim=True)
    away_KCF = view.weight_KCF / weight_norm_K11 - view.centred_means_KCF / means_norm_K11
    return view.where_known(away_KCF.square().sum(dim=(1, 2)))


@measure(
    on="features",
    kind="number",
    meaning="NC4: share of samples for which the network decides otherwise than the nearest class "
    "mean",
    source="arXiv:2008.08186",
)
def nc4(view: FeaturesView) -> Tensor:
    """Return the share of disagreements, from 0 to 1."""
    nearest_KB = torch.cdist(
        view.features_KBF, view.means_KCF, compute_mode="donot_use_mm_for_euclid_dist"
    ).argmin(dim=2)
    differs_KB = nearest_KB != view.predicted_KB
    return view.where_known(differs_KB.double().mean(dim=1))


@measure(
    on="features",
    kind="number",
    meaning="exp of the entropy of the eigenvalues of the second moment of the features, about 0",
    source="Roy and Vetterli 2007",
)
def feature_effective_rank(view: FeaturesView) -> Tensor:
    """Return the effective rank of the features; 0 where all are 0."""
    return ranks.effective_rank(view.eigenvalues_KR.sqrt())


@measure(
    on="features",
    kind="number",
    meaning="eigengap: eigenvalue C over eigenvalue C + 1 of the second moment of the features, "
    "about 0, the latter at least 1e-12 of the largest; C is the number of classes",
    source="arXiv:2502.05300, Figs. 5 and 11",
)
def feature_eigengap(view: FeaturesView) -> Tensor:
    """Return by how much C eigenvalues stand out; NaN without C + 1 of them."""
    return eigengap(view.eigenvalues_KR, view.num_classes)


@measure(
    on="features",
    kind="number",
    meaning="eigengap of the covariance: eigenvalue C - 1 over eigenvalue C of the features less "
    "their mean, the latter at least 1e-12 of the largest",
    source="arXiv:2008.08186",
)
def feature_eigengap_centred(view: FeaturesView) -> Tensor:
    """Return by how much C - 1 eigenvalues of the covariance stand out; NaN without C of them."""
    return eigengap(view.centred_eigenvalues_KR, view.num_classes - 1)


def eigengap(values_KR: Tensor, place: int) -> Tensor:
    """Return eigenvalue `place`, counted from 1, over the next; NaN where there is none."""
    if not 1 <= place < values_KR.shape[1]:
        return torch.full_like(values_KR[:, 0], torch.nan)
    largest_K = values_KR[:, 0]
    next_K = torch.maximum(values_KR[:, place], FLOOR * largest_K)
    return torch.where(largest_K > 0, values_KR[:, place - 1] / next_K, torch.nan)


@measure(
    on="features",
    kind="vector",
    meaning="eigenvalues of the second moment of the features, about 0, largest first",
    source="arXiv:2502.05300, Figs. 5 and 11",
)
def feature_spectrum(view: FeaturesView) -> Tensor:
    """Return the eigenvalues, as many as features or samples, whichever are fewer."""
    return view.eigenvalues_KR


@measure(
    on="features",
    kind="vector",
    meaning="correlations of features between the first 10 images of each class, of 10 classes at "
    "most: cosines of the features less their global mean, class by class, row by row; null where "
    "a class has fewer images",
    source="arXiv:2502.05300, Figs. 5 and 11",
)
def feature_correlation(view: FeaturesView) -> Tensor:
    """Return the matrix `[N, N]` of N = 10 images of each of the classes, row after row.

    The paper does not say about which mean it takes correlations. About the global mean a collapsed
    network has 1 within a class and -1 / (C - 1) between two.
    """
    classes = min(view.num_classes, MOST_CLASSES)
    rows = []
    for features_BF, of_B, centre_1F in zip(
        view.features_KBF, view.classes_KB, view.global_mean_K1F, strict=True
    ):
        firsts = [torch.nonzero(of_B == each)[:IMAGES, 0] for each in range(classes)]
        chosen_N = torch.cat(firsts)
        if len(chosen_N) < classes * IMAGES:
            rows.append(torch.full((classes * IMAGES,) * 2, torch.nan, dtype=torch.float64))
            continue
        unit_NF = torch.nn.functional.normalize(features_BF[chosen_N] - centre_1F, dim=1)
        rows.append((unit_NF @ unit_NF.T).cpu())
    return torch.stack(rows).flatten(1)


@measure(
    on="run",
    kind="count",
    meaning="steps before the end in which every training sample was classified right, at every "
    "probe; null in regression and for fresh data",
    source="terminal phase of training, arXiv:2008.08186",
)
def zero_error_steps(view: RunView) -> float:
    """Return the steps from the first probe of the last stretch of zero training error on.

    0 where the last probe has an error.
    """
    accuracy = view.history["train_accuracy"]
    if np.isnan(accuracy[-1]):
        return float("nan")
    has_error = ~(accuracy >= 1.0 - EXACT)
    wrong = np.flatnonzero(has_error)
    first = int(wrong[-1]) + 1 if len(wrong) else 0
    if first == len(accuracy):
        return 0.0
    return float(view.steps[-1] - view.steps[first])
