"""What is derived of no module: what is not understood, and what its function has not."""

import pytest
import torch
from torch import nn

from symstudy.layout import DeclaredSymmetry
from symstudy.symmetry.derivation import derive
from symstudy.symmetry.derivation.verify import Verifier
from tests.symmetry.test_derivation import derived, groups_of, normal


class Peeking(nn.Module):
    """One neuron is read by itself, and others by a function that is not known."""

    def __init__(self, *, sorts=False):
        super().__init__()
        self.a, self.b, self.sorts = nn.Linear(4, 5), nn.Linear(5, 2), sorts

    def forward(self, x):
        hidden = torch.tanh(self.a(x))
        if self.sorts:
            return self.b(hidden.cummax(dim=1)[0])
        return self.b(hidden) + hidden[:, :1] ** 2


@pytest.mark.parametrize(
    ("sorts", "reason"), [(False, "read by themselves"), (True, "aten.cummax is not understood")]
)
def test_what_is_not_understood_has_no_group_and_it_is_said_why(sorts, reason):
    found = derived(lambda: Peeking(sorts=sorts), 3, 4)
    assert not found.layout.groups
    assert [each for each in found.refusals if each.what == "a.weight.0" and reason in each.reason]


def pair_verifier():
    torch.manual_seed(0)
    found = derive(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), normal(3, 4))
    return Verifier(found.function, found.layout.blocks)


def declared(kind, **changes):
    sides = {"blocks": ("0.weight", "0.bias"), "axis": "0", "partners": ("2.weight",)}
    return DeclaredSymmetry(kind=kind, **{**sides, **changes})


def test_a_symmetry_that_a_network_has_not_is_refused():
    verifier = pair_verifier()
    assert verifier.verify([declared("permutation")]).reason == ""
    assert verifier.verify([declared("sign_flip")]).reason == ""
    assert "change the function" in verifier.verify([declared("rescaling")]).reason
    half = declared("permutation", partners=())
    assert "change the function" in verifier.verify([half]).reason


def test_elements_that_move_nothing_prove_nothing():
    verifier = pair_verifier()
    nothing = declared("translation", partners=(), direction=(0.0,) * 5)
    assert "do not move" in verifier.verify([nothing]).reason


class Unused(nn.Module):
    """Has neurons that are made and never read."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 5), nn.Linear(5, 2), nn.Linear(4, 2)

    def forward(self, x):
        return self.c(x) + 0.0 * self.b(torch.tanh(self.a(x)))


def test_symmetries_of_parameters_without_effect_are_refused():
    found = derived(Unused, 3, 4)
    assert not found.layout.groups
    assert any("no change of these parameters" in each.reason for each in found.refusals)


class Strange(nn.Module):
    """Reduces by an operation with arguments that no rule knows."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x):
        hidden = torch.tanh(self.a(x))
        return self.b(hidden) + torch.std_mean(hidden, dim=1, keepdim=True)[0]


def test_an_operation_without_a_rule_gives_up_its_axes_and_no_more():
    found = derived(lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), Strange()), 3, 3)
    assert groups_of(found) == {"0": 4}
    assert any("aten.std_mean is not understood" in each.reason for each in found.refusals)
