"""Which directions that change nothing are explained by known symmetries."""

import torch
from torch import nn

from symstudy.theory.explained_symmetry import MOST_PARAMETERS, report_symmetries


def report(*layers, inputs=4, batch=2, **keys):
    torch.manual_seed(0)
    batch = torch.randn(batch, inputs, generator=torch.Generator().manual_seed(1))
    return report_symmetries(nn.Sequential(*layers), batch, **keys)


def test_the_rescalings_of_a_relu_network_explain_its_whole_nullity():
    found = report(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).nullity
    assert (found.parameters, found.rank) == (37, 32)
    assert (found.nullity, found.explained, found.unexplained) == (5, 5, 0)
    assert found.reason == ""


def test_groups_inside_of_others_are_counted_once():
    found = report(nn.Linear(4, 3, bias=False), nn.Linear(3, 5, bias=False))
    # GL(3): 9 directions, of which the 3 rescalings are part.
    assert {each.kind for each in found.derivation.symmetries} >= {"rescaling", "double_rotation"}
    assert (found.nullity.nullity, found.nullity.explained) == (9, 9)


class Recurrent(nn.Module):
    """A layer that torch.func cannot take, with two biases of which only the sum counts."""

    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(2, 2, batch_first=True)
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


def test_a_recurrent_layer_has_a_rank_and_its_double_biases_are_not_explained():
    torch.manual_seed(0)
    inputs = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1))
    found = report_symmetries(Recurrent(), inputs).nullity
    assert found.parameters == 54
    assert (found.nullity, found.explained, found.unexplained) == (8, 0, 8)


def test_a_neuron_that_is_never_active_is_not_explained():
    layers = nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)
    layers[0].bias.data[0] = -1e3
    found = report(*layers).nullity
    # 4 + 1 incoming and 2 outgoing numbers, of which its rescaling is 0: its outputs are 0.
    assert found.unexplained == 7 - 1
    assert found.nullity == 3 + 6


def test_weights_before_batch_norm_are_explained_by_their_scales_and_biases():
    layers = nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2)
    found = report(*layers, batch=6).nullity
    # A scale of each row, and all of the bias.
    assert (found.nullity, found.unexplained) == (6, 0)


def test_a_large_module_says_what_its_rank_would_take_and_what_to_type():
    found = report(nn.Linear(60, 50), nn.Tanh(), nn.Linear(50, 2), inputs=60).nullity
    assert found.parameters > MOST_PARAMETERS
    assert found.rank is None
    assert "--samples" in found.reason


def test_too_few_samples_are_refused():
    found = report(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2), batches=2).nullity
    assert found.rank is None
    assert "Type --samples 19" in found.reason
