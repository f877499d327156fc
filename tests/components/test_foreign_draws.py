"""Row W4 of the trial: draws from generators that all of Python shares are seen."""

import random
import sys

import numpy as np
import pytest
import torch

from symstudy.components.foreign_draws import called_and_drawn

DRAWS = {
    "np.random": np.random.rand,  # what is looked for
    "random": random.random,
    "torch": lambda: torch.nn.functional.dropout(torch.ones(3)),
    "torch and np.random": lambda: (torch.rand(1), np.random.normal()),  # noqa: NPY002
}
NONE = {
    "a generator of numpy": lambda: np.random.default_rng(0).normal(),
    "a generator of torch": lambda: torch.rand(1, generator=torch.Generator().manual_seed(0)),
    "one of random": lambda: random.Random(0).random(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_w4_draws_are_told_by_their_generator(name, monkeypatch):
    # Which draws from `random` itself, and is loaded in tests alone.
    monkeypatch.delitem(sys.modules, "beartype", raising=False)
    assert called_and_drawn(DRAWS[name]).drawn == name


@pytest.mark.parametrize("name", NONE)
def test_generators_of_ones_own_are_not(name):
    called = called_and_drawn(NONE[name])
    assert called.drawn == ""
    assert called.value is not None


def test_a_draw_of_another_thread_is_not_that_of_the_call(monkeypatch):
    monkeypatch.delitem(sys.modules, "beartype", raising=False)
    others = [random.random]
    assert called_and_drawn(lambda: others.pop()() if others else 1.0).drawn == ""


def test_what_beartype_draws_is_not_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "beartype", sys)
    assert called_and_drawn(random.random).drawn == ""
