"""NC1 to NC4, spectrum and correlations against states whose numbers are known exactly."""

import numpy as np
import pytest
import torch

from symstudy.measures import NETWORK_MEASURES, FeaturesView, RunView
from symstudy.measures.compute import measure_features, measure_runs

OF_FEATURES = [item.name for item in NETWORK_MEASURES if item.on == "features"]
VECTORS = ("feature_spectrum", "feature_correlation")
F = 24
RADIUS, OFFSET = 1.5, 0.7


def simplex(classes, radius=RADIUS):
    """Return a simplex ETF of centred means of norm `radius`, turned at random, `[C, F]`."""
    corners = torch.eye(classes, dtype=torch.float64) - 1.0 / classes
    generator = torch.Generator().manual_seed(classes)
    turn = torch.linalg.qr(torch.randn(F, F, generator=generator, dtype=torch.float64)).Q
    return radius * corners / corners[0].norm() @ turn[:classes]


def aside(means):
    """Return a vector of norm `OFFSET` at right angles to all means."""
    axes = torch.linalg.svd(means).Vh
    return OFFSET * axes[-1]


def measured(features, classes, weight=None, names=OF_FEATURES):
    """Return the measures of one network with these features `[B, F]` and classes `[B]`."""
    weight = simplex(int(classes.max()) + 1) if weight is None else weight
    view = FeaturesView(features[None], weight[None], (features @ weight.T)[None], classes[None])
    found = measure_features(view, names)
    return {name: value[0] if name in VECTORS else float(value[0]) for name, value in found.items()}


def collapsed(classes=4, samples=12):
    """Return features that are the class means alone, off the origin, with their classes."""
    means = simplex(classes)
    of = torch.arange(classes).repeat(samples)
    return (means + aside(means))[of], of


@pytest.mark.parametrize("classes", [3, 4, 10])
def test_a_simplex_has_collapsed_completely(classes):
    features, of = collapsed(classes)
    found = measured(features, of, weight=3.0 * simplex(classes))
    for name in ("nc1", "nc1_trace", "nc2", "nc2_norms", "nc2_angles", "nc3", "nc4"):
        assert found[name] == pytest.approx(0.0, abs=1e-12), name


@pytest.mark.parametrize("classes", [3, 4, 10])
def test_the_second_moment_of_a_simplex_has_an_eigenvalue_a_class(classes):
    features, of = collapsed(classes)
    found = measured(features, of)
    exact = sorted([RADIUS**2 / (classes - 1)] * (classes - 1) + [OFFSET**2], reverse=True)
    np.testing.assert_allclose(found["feature_spectrum"][:classes], exact, rtol=1e-10)
    np.testing.assert_allclose(found["feature_spectrum"][classes:], 0.0, atol=1e-14)
    shares = np.array(exact) / sum(exact)
    assert found["feature_effective_rank"] == pytest.approx(
        np.exp(-(shares * np.log(shares)).sum())
    )
    assert found["feature_eigengap"] == pytest.approx(exact[-1] / exact[0] * 1e12)
    assert found["feature_eigengap_centred"] == pytest.approx(1e12)


def test_the_correlations_of_a_simplex_are_blocks():
    features, of = collapsed(classes=10)
    found = measured(features, of)["feature_correlation"].view(100, 100)
    block = torch.arange(10).repeat_interleave(10)
    exact = torch.where(block[:, None] == block[None], 1.0, -1.0 / 9.0)
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_spread_within_classes_is_measured_exactly():
    classes, spread = 5, 0.3
    means = simplex(classes)
    steps = spread * torch.cat([torch.eye(F), -torch.eye(F)]).double()
    of = torch.arange(classes).repeat_interleave(2 * F)
    found = measured(means[of] + steps.repeat(classes, 1), of, weight=means)
    within, between = spread**2 / F, RADIUS**2 / (classes - 1)
    assert found["nc1_trace"] == pytest.approx(F * within / RADIUS**2)
    assert found["nc1"] == pytest.approx((classes - 1) * within / between / classes)
    assert found["feature_eigengap"] == pytest.approx(1.0)
    assert found["feature_eigengap_centred"] == pytest.approx(1.0 + between / within)
    assert found["nc2"] == pytest.approx(0.0, abs=1e-12)


def test_means_on_a_line_are_as_far_from_a_simplex_as_they_are():
    features = torch.zeros(6, F, dtype=torch.float64)
    features[:, 0] = torch.tensor([-1.0, -1.0, 0.0, 0.0, 1.0, 1.0])
    found = measured(features, torch.tensor([0, 0, 1, 1, 2, 2]))
    assert found["nc2"] == pytest.approx((2.0 - 2.0**0.5) ** 0.5)
    assert found["nc2_norms"] == pytest.approx(0.5**0.5)
    assert found["nc2_angles"] == pytest.approx(0.5)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0.0), (-2.0, 4.0)])
def test_weights_along_the_means_and_against_them(factor, expected):
    features, of = collapsed()
    assert measured(features, of, weight=factor * simplex(4))["nc3"] == pytest.approx(expected)


def test_weights_at_right_angles_to_the_means():
    features, of = collapsed()
    weight = torch.ones(4, 1) * aside(simplex(4))
    assert measured(features, of, weight=weight)["nc3"] == pytest.approx(2.0)


def test_decisions_for_another_mean_than_the_nearest_are_counted():
    features, of = collapsed(classes=5)
    swapped = simplex(5)[[1, 0, 2, 3, 4]]
    assert measured(features, of, weight=swapped)["nc4"] == pytest.approx(2 / 5)


def test_features_that_know_nothing_of_the_classes_vary_within_them():
    generator = torch.Generator().manual_seed(0)
    classes, each = 6, 20
    features = torch.randn(classes * each, 4000, generator=generator, dtype=torch.float64)
    of = torch.arange(classes).repeat(each)
    weight = torch.randn(classes, 4000, generator=generator, dtype=torch.float64)
    found = measured(features, of, weight=weight)
    # Tr S_W is F (1 - 1 / n), Tr S_B is F (1 - 1 / C) / n in the mean.
    assert found["nc1_trace"] == pytest.approx((each - 1) / (1 - 1 / classes), rel=0.03)
    assert found["nc3"] == pytest.approx(2.0, abs=0.05)
    assert found["feature_effective_rank"] == pytest.approx(classes * each, rel=0.02)


def test_nc1_is_what_numpy_says_of_unequal_classes():
    generator = torch.Generator().manual_seed(1)
    of = torch.tensor([0] * 3 + [1] * 9 + [2] * 5)
    features = torch.randn(17, 4, generator=generator, dtype=torch.float64) + of[:, None]
    h, y = features.numpy(), of.numpy()
    means = np.stack([h[y == c].mean(axis=0) for c in range(3)])
    around = means - means.mean(axis=0)
    between = around.T @ around / 3
    within = sum(
        (h[y == c] - means[c]).T @ (h[y == c] - means[c]) / (y == c).sum() for c in range(3)
    )
    exact = np.trace(within / 3 @ np.linalg.pinv(between)) / 3
    weight = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    found = measured(features, of, weight=weight)
    assert found["nc1"] == pytest.approx(exact, rel=1e-10)
    assert found["nc1_trace"] == pytest.approx(np.trace(within / 3) / np.trace(between))


def test_turning_and_scaling_features_and_weights_changes_no_share():
    generator = torch.Generator().manual_seed(2)
    of = torch.arange(4).repeat(11)
    features = torch.randn(44, F, generator=generator, dtype=torch.float64) + simplex(4)[of]
    turn = torch.linalg.qr(torch.randn(F, F, generator=generator, dtype=torch.float64)).Q
    before = measured(features, of, weight=simplex(4))
    after = measured(2.0 * features @ turn, of, weight=simplex(4) @ turn)
    for name in OF_FEATURES:
        factor = 4.0 if name == "feature_spectrum" else 1.0
        np.testing.assert_allclose(after[name], factor * before[name], rtol=1e-9, atol=1e-10)


def test_a_class_without_two_samples_leaves_neural_collapse_unknown():
    features, of = collapsed()
    alone = torch.cat([torch.nonzero(of > 0)[:, 0], torch.nonzero(of == 0)[:1, 0]])
    found = measured(features[alone], of[alone], weight=simplex(4))
    assert all(np.isnan(found[name]) for name in OF_FEATURES if name.startswith("nc"))
    assert torch.isnan(found["feature_correlation"]).all()


def test_features_that_are_all_zero_have_no_collapse_and_nothing_infinite():
    features, of = collapsed()
    found = measured(0.0 * features, of, weight=0.0 * simplex(4))
    assert all(np.isnan(found[name]) for name in OF_FEATURES if name.startswith("nc"))
    assert np.isnan(found["feature_eigengap"])
    assert found["feature_effective_rank"] == 0.0
    assert not any(np.isinf(np.asarray(value)).any() for value in found.values())


def test_a_layer_of_fewer_features_than_classes_has_no_eigengap():
    features = torch.randn(40, 5, generator=torch.Generator().manual_seed(3)).double()
    of = torch.arange(8).repeat(5)
    weight = torch.ones(8, 5).double()
    assert np.isnan(measured(features, of, weight=weight)["feature_eigengap"])


def stretch(steps, accuracy):
    view = RunView(0, np.array(steps), {"train_accuracy": np.array(accuracy)})
    (found,) = measure_runs([view], ["zero_error_steps"])["zero_error_steps"]
    return found


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([0.1, 1.0, 1.0, 1.0], 90),
        ([0.1, 1.0, 0.999, 1.0], 0),
        ([0.1, 1.0, 0.999, 0.999], 0),
        ([1.0, 1.0, 1.0, 1.0], 100),
        ([0.1, 0.9, 1.0 - 1e-12, 1.0], 50),
    ],
)
def test_the_stretch_without_an_error_ends_the_training(accuracy, expected):
    assert stretch([0, 10, 50, 100], accuracy) == expected


def test_a_regression_has_no_stretch_without_an_error():
    assert np.isnan(stretch([0, 10], [np.nan, np.nan]))
