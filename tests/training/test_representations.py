"""Activations that are kept come through a checkpoint, and to the end, unchanged."""

import numpy as np
import pytest

from symstudy.training.checkpoints import UnfitStateError
from symstudy.training.representations import KeptRepresentations, below

ROWS = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


def kept():
    found = KeptRepresentations()
    found.add(0, np.array([0, 2]), {1: ROWS, 2: ROWS[:, :, :2]})
    found.add(7, np.array([2]), {1: ROWS[:1]})
    return found


def test_a_row_a_run_step_and_layer():
    columns = kept().columns(np.array(["a", "b", "c"]))
    assert columns["run_id"] == ["a", "c", "a", "c", "c"]
    assert columns["step"] == [0, 0, 0, 0, 7]
    assert columns["layer"] == [1, 1, 2, 2, 1]
    assert columns["num_neurons"] == [4, 4, 2, 2, 4]
    np.testing.assert_array_equal(columns["activations"][1], ROWS[1].reshape(-1))
    assert below([{}, columns, {}]) == columns
    assert KeptRepresentations().columns(np.array(["a"])) == {}


def test_a_state_brings_all_of_it_back():
    again = KeptRepresentations()
    again.restore(kept().state())
    ids = np.array(["a", "b", "c"])
    first, second = again.columns(ids), kept().columns(ids)
    for name in first:
        np.testing.assert_array_equal(first[name][-1], second[name][-1])


def test_a_state_without_its_runs_is_refused():
    state = {name: rows for name, rows in kept().state().items() if name != "7.1.lanes"}
    with pytest.raises(UnfitStateError, match="7.1"):
        KeptRepresentations().restore(state)
