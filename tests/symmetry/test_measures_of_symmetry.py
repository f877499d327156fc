"""The distances and degrees of each symmetry, against what can be worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from symstudy.errors import StudyFileError
from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.measures import EXTRA_MEASURES
from symstudy.measures.compute import measure_extra
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn
from symstudy.study import make_study
from symstudy.symmetry import symmetries_of
from symstudy.symmetry.rotation import Rotation
from symstudy.training import train_pack

NAMES = [measure.name for measure in EXTRA_MEASURES if measure.on != "attention"]


def symmetry_of(model, kind):
    return next(s for s in symmetries_of(model.layout) if s.kind == kind)


def random_parameters(model, runs=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(runs, model.layout.size, generator=generator, dtype=torch.float64)


def view_of(model, theta, layer=0):
    group = model.layout.groups[layer]
    hidden = torch.sin(torch.arange(theta.shape[0] * 9.0 * group.size)).view(-1, 9, group.size)
    return LayerView(model.layout, group, theta, hidden.double())


def test_a_pair_of_neurons_is_its_difference_over_root_two_away():
    model = Fcn([3, 4, 2], "tanh")
    theta = random_parameters(model)
    swap = symmetry_of(model, "permutation")
    neurons = swap.neurons(theta)
    expected = (neurons[:, 1] - neurons[:, 3]).norm(dim=1) / math.sqrt(2)
    torch.testing.assert_close(swap.distance(theta, (1, 3)), expected)
    opposite = swap.write(
        theta, *(torch.cat([s, s, s, -s], 1)[:, [0, 1, 4, 12]] for s in swap.read(theta))
    )
    # The last of the four is the negative of the first: as far apart as two neurons can be.
    torch.testing.assert_close(
        swap.normalised_distance(opposite, (0, 3)), torch.ones(3, dtype=torch.float64)
    )


@pytest.mark.parametrize(("activation", "expected"), [("tanh", 1), ("silu", 2)])
def test_a_neuron_and_its_negative_are_one_where_signs_may_flip(activation, expected):
    model = Fcn([3, 4, 2], activation)
    swap = symmetry_of(model, "permutation")
    theta = random_parameters(model, 1)
    theta = swap.write(
        theta,
        *(torch.stack([s[:, 0], -s[:, 0], s[:, 2], s[:, 2]], dim=1) for s in swap.read(theta)),
    )
    assert swap.breaking(theta).item() == expected


def test_dead_neurons_are_one_cluster_of_the_permutation():
    model = Fcn([3, 5, 2], "silu")
    swap = symmetry_of(model, "permutation")
    theta = random_parameters(model, 1)
    alive = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)[None, :, None]
    theta = swap.write(theta, *(side * alive for side in swap.read(theta)))
    assert swap.breaking(theta).item() == 2
    assert swap.degree(theta).item() == 5 - 3
    assert swap.breaking_sorted(theta).item() == 2


def test_the_balanced_point_is_the_nearest_of_its_orbit():
    model = Fcn([3, 4, 2], "relu")
    scale = symmetry_of(model, "rescaling")
    theta = random_parameters(model)
    balanced = scale.balanced(theta)
    torch.testing.assert_close(scale.distance(balanced), scale.orbit_distance(theta))
    torch.testing.assert_close(
        scale.conserved(balanced), torch.zeros(3, 4, dtype=torch.float64), atol=1e-12, rtol=0
    )
    x = torch.linspace(-2, 2, 30).view(1, 10, 3).double().expand(3, -1, -1)
    torch.testing.assert_close(
        model.forward(balanced, x).output_KBO, model.forward(theta, x).output_KBO
    )


def test_a_neuron_with_one_side_zero_is_balanced_at_zero():
    model = Fcn([3, 4, 2], "relu")
    scale = symmetry_of(model, "rescaling")
    theta = random_parameters(model, 1)
    first, second = scale.read(theta)
    second[:, 2] = 0.0
    balanced = scale.balanced(scale.write(theta, first, second))
    assert torch.isfinite(balanced).all()
    assert scale.strengths(balanced)[0, 2].item() == 0.0
    assert scale.read(balanced)[0][0, 2].norm().item() == 0.0


def test_two_directions_of_a_rotation_are_broken_in_any_basis():
    w = Block(name="w", shape=(5, 4), offset=0, axes=("o", "input"), role="weight", fan_in=4)
    layout = Layout(blocks=(w,))
    turn = Rotation(layout, DeclaredSymmetry(kind="rotation", blocks=("w",), axis="o"))
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(1, 5, 2, generator=generator),
        torch.randn(1, 2, 4, generator=generator),
    )
    theta = (left @ right).double().flatten(1)
    assert turn.breaking(theta).item() == 2
    assert turn.degree(theta).item() == 3
    expected = torch.linalg.svdvals((left @ right).double())
    torch.testing.assert_close(turn.values(theta)[:, :4], expected, atol=1e-7, rtol=1e-7)
    assert turn.values(theta)[0, 4].item() == 0.0


def test_measures_that_do_not_apply_are_missing():
    model = Fcn([3, 4, 4, 2], "relu")
    measures = measure_extra(view_of(model, random_parameters(model)), NAMES)
    for name in NAMES:
        of_every_layer = (
            "permutation",
            "weight",
            "stable",
            "product",
            "breaking_sorted",
            "pair_distance",
            "contributing",
        )
        applies = name.startswith(("rescaling", *of_every_layer))
        missing = torch.isnan(measures[name].double()) | (measures[name] == -1)
        assert missing.all().item() is not applies, name
        assert missing.any().item() is not applies, name
    last = measure_extra(view_of(model, random_parameters(model), layer=1), NAMES)
    assert (last["translation_breaking"] > 0).all()


def test_double_rotation_measures_are_those_of_the_product():
    model = Fcn([6, 5, 4], "linear", bias=False)
    theta = random_parameters(model)
    w1, w2 = theta[:, :30].view(3, 5, 6), theta[:, 30:].view(3, 4, 5)
    sigma = torch.linalg.svdvals(w2 @ w1)
    share = sigma / sigma.sum(dim=1, keepdim=True)
    measures = measure_extra(view_of(model, theta), NAMES)
    expected = {
        "double_rotation_orbit_distance": (2 * sigma.sum(dim=1)).sqrt(),
        "double_rotation_distance": theta.norm(dim=1),
        "double_rotation_breaking": (sigma > 0.02 * sigma[:, :1]).sum(dim=1),
        "double_rotation_effective_rank": (-(share * share.log()).sum(dim=1)).exp(),
        "double_rotation_stable_rank": sigma.square().sum(dim=1) / sigma[:, 0].square(),
        "weight_stable_rank": w1.square().sum(dim=(1, 2)) / torch.linalg.svdvals(w1)[:, 0] ** 2,
        "sign_flip_distance": theta.norm(dim=1),
    }
    for name, value in expected.items():
        torch.testing.assert_close(measures[name], value, msg=name)


def test_absolute_measures_are_those_of_the_values_themselves():
    model = Fcn([6, 5, 3], "linear", bias=False)
    theta = random_parameters(model)
    w1, w2 = theta[:, :30].view(3, 5, 6), theta[:, 30:].view(3, 3, 5)
    sigma = torch.linalg.svdvals(w2 @ w1)
    scale = 0.1 / sigma[:, 1:2].sqrt()
    for factor, rank in ((0.99**0.5 * scale * 10**0.5, 1), (1.01**0.5 * scale * 10**0.5, 2)):
        measures = measure_extra(view_of(model, factor * theta), NAMES)
        assert (measures["product_rank_absolute"] == rank).all()
        for place in range(3):
            value = factor[:, 0] ** 2 * sigma[:, place]
            torch.testing.assert_close(measures[f"product_value_{place + 1}"], value)
        assert (measures["product_value_4"] == 0).all()


def test_pairs_break_one_after_the_other_as_neurons_grow():
    model = Fcn([1, 3, 1], "silu", bias=False)
    # Neurons of norms 1, 2 and 4 along one direction: the pairs are 1 and 2 apart.
    theta = torch.tensor([[1.0, 2.0, 4.0, 0.0, 0.0, 0.0]]).double()
    for scale, broken in ((0.07, 0), (0.1, 1), (0.14, 1), (0.15, 2)):
        measures = measure_extra(view_of(model, scale * theta), ["breaking_sorted_absolute"])
        assert measures["breaking_sorted_absolute"].item() == broken


def test_distances_of_pairs_are_told_by_the_share_of_pairs_below_them():
    model = Fcn([1, 3, 1], "silu", bias=False)
    # Neurons of norms 1, 2 and 4 along one direction: the pairs are 1 and 2 apart.
    theta = torch.tensor([[2.0, 4.0, 1.0, 0.0, 0.0, 0.0]]).double()
    shares = (10, 30, 50, 70, 90)
    measures = measure_extra(view_of(model, theta), [f"pair_distance_{q}" for q in shares])
    for q in shares:
        expected = (1.0 + q / 100.0) / 2**0.5
        assert measures[f"pair_distance_{q}"].item() == pytest.approx(expected)


def test_a_neuron_and_its_reflection_are_no_distance_apart():
    model = Fcn([1, 2, 1], "tanh", bias=False)
    theta = torch.tensor([[1.0, -1.0, 2.0, -2.0]]).double()
    assert measure_extra(view_of(model, theta), ["pair_distance_90"])["pair_distance_90"] == 0


def test_several_symmetries_of_a_layer_are_one_block_diagonal_one():
    model = Fcn([6, 5, 4], "linear", bias=False)
    layout = model.layout
    (pair,) = [s for s in layout.symmetries if s.kind == "double_rotation"]
    twice = dataclasses.replace(layout, symmetries=(*layout.symmetries, pair))
    theta = random_parameters(model)
    once = measure_extra(view_of(model, theta), NAMES)
    view = view_of(model, theta)
    view.layout = twice
    both = measure_extra(view, NAMES)
    torch.testing.assert_close(
        both["double_rotation_breaking"], 2 * once["double_rotation_breaking"]
    )
    for name in ("double_rotation_effective_rank", "double_rotation_stable_rank"):
        torch.testing.assert_close(both[name], 2 * once[name])
    for name in ("double_rotation_orbit_distance", "double_rotation_distance"):
        torch.testing.assert_close(both[name], math.sqrt(2) * once[name])


def study_with(measures, sweep=(), **model):
    axes = {"model.activation": list(sweep)} if sweep else {}
    return make_study(
        {
            "schema": 1,
            "name": "named",
            "model": {"kind": "fcn", "width": 6, **model},
            "data": {"kind": "teacher_student", "samples": 20, "test_samples": 20},
            "train": {"lr": 0.01, "steps": 5},
            "sweep": {"seed": 3, **axes},
            "probe": {"num": 2, "detail": 2, "samples": 8, "measures": measures},
        }
    )


def test_a_study_records_what_it_names():
    names = [name for name in NAMES if name.startswith(("permutation", "translation", "sign"))]
    study = study_with(names, depth=3, activation="tanh")
    result = train_pack(study.runs(), study.pack)
    assert (result.layers["permutation_distance"] > 0).all()
    last = (result.layers["step"] == 5) & (result.layers["layer"] == 2)
    # A mean over the layers that have it: only the last hidden layer has the output's translation.
    np.testing.assert_allclose(
        result.runs["mean_translation_distance"], result.layers["translation_distance"][last]
    )


def test_what_some_models_of_a_study_have_is_null_for_the_others():
    study = study_with(["rescaling_distance"], activation="tanh", sweep=["tanh", "relu"])
    for cell in study.cells:
        runs = [run for run in study.runs() if run.cell == cell]
        column = train_pack(runs, study.pack).layers["rescaling_distance"]
        assert np.isnan(column).all() == (cell.model.activation == "tanh")


def test_a_symmetry_that_no_model_of_a_study_has_is_refused():
    with pytest.raises(StudyFileError, match="'rescaling_distance' reads 'rescaling'"):
        study_with(["rescaling_distance"], activation="tanh")


def test_a_study_records_nothing_more():
    study = study_with([])
    assert not set(train_pack(study.runs(), study.pack).layers) & set(NAMES)


def test_a_run_has_the_same_measures_alone():
    names = [name for name in NAMES if not name.startswith(("scaling", "rotation"))]
    study = study_with(names, activation="linear")
    runs = study.runs()
    together, alone = (train_pack(some, study.pack).layers for some in (runs, runs[1:2]))
    mine = together["run_id"] == runs[1].run_id
    for name in names:
        np.testing.assert_allclose(together[name][mine], alone[name], rtol=1e-9, err_msg=name)


def test_a_neuron_contributes_by_the_product_of_its_sides():
    model = Fcn([1, 4, 1], "tanh", bias=False)
    theta = torch.tensor([[2.0, 10.0, 1.0, 0.0, 3.0, 0.01, 0.1, 9.0]], dtype=torch.float64)
    theta = theta.repeat(3, 1)
    measures = measure_extra(view_of(model, theta), ["contributing_neurons"])
    # Products 6, 0.1, 0.1 and 0: only the first is above 0.02 of 6 = 0.12.
    assert measures["contributing_neurons"].tolist() == [1, 1, 1]
    theta[0, 5] = 0.02
    measures = measure_extra(view_of(model, theta), ["contributing_neurons"])
    assert measures["contributing_neurons"].tolist() == [2, 1, 1]
