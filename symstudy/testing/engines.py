"""Conformance suite of engines: what every engine that trains packs must do.

Subclass `EngineConformance` in a test module and give one fixture::

    class TestCompiledEngine(EngineConformance):
        @pytest.fixture
        def case(self):
            return EngineCase(runs=study.runs(), config=PackConfig(), name="compiled")
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from symstudy.study import PackConfig
from symstudy.study.cell import Run
from symstudy.training.checkpoints import State, UnfitStateError
from symstudy.training.engines.base import AbstractEngine, ShapeGroup
from symstudy.training.engines.padded import PaddedEngine
from symstudy.training.loop import make_engine, make_pack

__all__ = ["EngineCase", "EngineConformance"]


@dataclass(frozen=True, kw_only=True)
class EngineCase:
    """A pack that an engine is tested with.

    Attributes:
        runs: Three runs or more, of at least two seeds.
        config: Device and engine asked for.
        name: Name that the engine records.
        tolerance: Largest relative difference between a run in the pack and the run alone; 0 for
            equal bits.
        diverging: Place of a run that diverges before the last step; None if no run does.
    """

    runs: Sequence[Run]
    config: PackConfig
    name: str
    tolerance: float = 0.0
    diverging: int | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps of the runs."""
        return self.runs[0].cell.train.steps

    def engine(self, places: Sequence[int] | None = None) -> AbstractEngine:
        """Return an engine of the runs at `places`, or of all, as they begin."""
        chosen = range(len(self.runs)) if places is None else places
        return make_engine(make_pack([self.runs[place] for place in chosen], self.config))

    def train(
        self, engine: AbstractEngine, cuts: Sequence[int] = (), *, pieces: int = 1000
    ) -> None:
        """Train through all steps, cut at the steps `cuts`, deferred work in `pieces` a time."""
        bounds = [0, *cuts, self.steps]
        for first, last in itertools.pairwise(bounds):
            if last > first:
                engine.advance(first, last - first)
        while engine.run_deferred(self.steps, pieces):
            pass


class EngineConformance(ABC):
    """Tests that each engine must pass; see `symstudy.training.engines.base.AbstractEngine`."""

    @pytest.fixture
    @abstractmethod
    def case(self) -> EngineCase:
        """Return the pack that the engine is tested with."""

    def test_it_is_the_engine_that_is_chosen(self, case: EngineCase) -> None:
        """The choice by components leads to this engine."""
        assert case.engine().name == case.name

    def test_training_may_be_cut_anywhere(self, case: EngineCase) -> None:
        """The bits do not depend on how training and deferred work are cut."""
        whole, cut = case.engine(), case.engine()
        case.train(whole)
        case.train(cut, cuts=sorted({case.steps // 5, case.steps // 2}), pieces=1)
        assert_same_state(whole.state(), cut.state())

    def test_an_engine_goes_on_from_a_state(self, case: EngineCase) -> None:
        """A new engine that is given the state goes on to the same bits."""
        whole, cut, resumed = (case.engine() for _ in range(3))
        half = case.steps // 2
        for engine in (whole, cut):
            if half:
                engine.advance(0, half)
        resumed.restore(copied(cut.state()))
        for engine in (whole, resumed):
            if half:
                engine.advance(half, case.steps - half)
            while engine.run_deferred(case.steps, 7):
                pass
        assert_same_state(whole.state(), resumed.state())
        assert_same_numbers(whole, resumed)

    def test_a_state_of_another_pack_is_refused(self, case: EngineCase) -> None:
        """A state of fewer runs, or of none, is no state of this pack."""
        engine = case.engine()
        for state in (copied(case.engine([0]).state()), {}):
            with pytest.raises(UnfitStateError):
                engine.restore(state)

    def test_reading_changes_nothing(self, case: EngineCase) -> None:
        """Measures may be taken as often as one likes."""
        engine = case.engine()
        case.train(engine)
        before = copied(engine.state())
        for group in engine.shape_groups(make_pack(case.runs, case.config)):
            read_twice(group)
        assert_same_state(before, engine.state())

    def test_a_frozen_run_stays_where_it_is(self, case: EngineCase) -> None:
        """It keeps its parameters and has no losses any more; its mates train on."""
        engine, free = case.engine(), case.engine()
        before = engine.theta_KP[0].clone()
        engine.freeze(np.array([0]))
        engine.drop_dead()
        case.train(engine)
        case.train(free)
        assert torch.equal(engine.theta_KP[0], before)
        assert engine.is_alive_K.tolist() == [False, *free.is_alive_K.tolist()[1:]]
        for place in range(1, len(case.runs)):
            assert_close(engine.theta_KP[place], free.theta_KP[place], case.tolerance)
        for group in engine.shape_groups(make_pack(case.runs, case.config)):
            if not group.pack.data.is_absent and group.lanes[0] == 0:
                assert np.isnan(group.trained.evaluate(group.pack.data.test).loss_K[0])

    def test_a_run_that_diverges_keeps_its_step(self, case: EngineCase) -> None:
        """It stops at that step, and its mates have the numbers that they have without it."""
        engine = case.engine()
        case.train(engine)
        if case.diverging is None:
            assert (engine.diverged_K == -1).all()
            return
        step = int(engine.diverged_K[case.diverging])
        assert 0 <= step < case.steps
        others = [place for place in range(len(case.runs)) if place != case.diverging]
        assert (engine.diverged_K[others] == -1).all()
        without = case.engine(others)
        case.train(without)
        assert_same_runs(engine, others, without, case.tolerance)

    def test_a_packed_run_equals_the_run_alone(self, case: EngineCase) -> None:
        """Nothing depends on a run's mates or on their order."""
        engine = case.engine()
        case.train(engine)
        backwards = list(reversed(range(len(case.runs))))
        other = case.engine(backwards)
        case.train(other)
        assert_same_runs(engine, backwards, other, case.tolerance)
        for place in (0, len(case.runs) - 1):
            alone = case.engine([place])
            case.train(alone)
            assert_same_runs(engine, [place], alone, case.tolerance)


def copied(state: State) -> State:
    """Return a copy that does not change as training goes on."""
    return {name: array.copy() for name, array in state.items()}


def assert_same_state(left: State, right: State) -> None:
    """Require two states to be equal to the bit."""
    assert set(left) == set(right)
    for name, array in left.items():
        np.testing.assert_array_equal(right[name], array, err_msg=name)


def assert_same_numbers(left: AbstractEngine, right: AbstractEngine) -> None:
    """Require parameters, status and final measures to be equal to the bit."""
    torch.testing.assert_close(left.theta_KP, right.theta_KP, rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(left.diverged_K, right.diverged_K)
    np.testing.assert_array_equal(left.is_frozen_K, right.is_frozen_K)
    for name, column in left.final_measures().items():
        np.testing.assert_array_equal(column, right.final_measures()[name], err_msg=name)


def read_twice(group: ShapeGroup) -> None:
    """Read all that probes read of some runs twice, and require it to be the same."""
    trained, data = group.trained, group.pack.data
    theta = trained.theta_KP.clone()
    torch.testing.assert_close(theta, trained.theta_KP, rtol=0, atol=0, equal_nan=True)
    if data.is_absent:
        return
    first, second = trained.evaluate(data.test), trained.evaluate(data.test)
    np.testing.assert_array_equal(first.loss_K, second.loss_K)
    gradients = trained.gradient(data.train).clone(), trained.gradient(data.train)
    torch.testing.assert_close(*gradients, rtol=0, atol=0, equal_nan=True)


def assert_close(left: torch.Tensor, right: torch.Tensor, tolerance: float) -> None:
    """Require two vectors to be equal up to `tolerance`, relative to their length."""
    if tolerance == 0.0:
        torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)
        return
    scale = float(right.abs().max())
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance * scale)


def assert_same_runs(
    engine: AbstractEngine, places: Sequence[int], other: AbstractEngine, tolerance: float
) -> None:
    """Require the runs at `places` of `engine` to be the runs of `other`, in order.

    Runs of a padded pack are compared without their padding.
    """
    left, right = own_parameters(engine), own_parameters(other)
    for at, place in enumerate(places):
        assert engine.diverged_K[place] == other.diverged_K[at]
        assert_close(left[place], right[at], tolerance)


def own_parameters(engine: AbstractEngine) -> list[torch.Tensor]:
    """Return the parameters of each run, without padding."""
    if isinstance(engine, PaddedEngine):
        is_own_KP = ~engine.is_padding_KP
        return [row[is_own] for row, is_own in zip(engine.theta_KP, is_own_KP, strict=True)]
    return list(engine.theta_KP)
