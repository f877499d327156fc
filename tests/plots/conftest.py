"""Planted results, of which figures are drawn."""

import sys
from pathlib import Path

import numpy as np
import pytest

from symstudy.store import open_store
from symstudy.streams import Stream
from symstudy.testing.stores import plant_store

GAMMAS = [0.0, 0.001, 0.1]
KEPT: dict[str, Path] = {}
WIDTHS = [8, 16, 32, 64]


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test has drawn: pyplot keeps figures, and warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def loss_of(run):
    """Return a loss that falls as width to the power of -1/2, with 1 % of noise a seed."""
    noise = float(Stream(run.seed, f"{run.cell.model.width} {run.cell.train.gamma}").normal(1)[0])
    return (1 + run.cell.train.gamma) * run.cell.model.width**-0.5 * np.exp(0.01 * noise)


@pytest.fixture(scope="session")
def measures_of():
    """Measures of a run: a loss, a rank and the history of the loss."""

    def measures(run):
        loss = loss_of(run)
        steps = [{"step": step, "test_loss": loss * (20 / (step + 1))} for step in (0, 5, 10)]
        return {"test_loss": loss, "rank": run.cell.model.width / 2, "history": steps}

    return measures


@pytest.fixture
def planted(tmp_path, study_of, measures_of, tmp_path_factory):
    """Plant a sweep of widths and decays; keywords win over its axes.

    The plain one is planted once a session.
    """

    def plant(measures=measures_of, **axes):
        is_plain = measures is measures_of and not axes
        if is_plain and "plain" in KEPT:
            return open_store(KEPT["plain"])
        sweep = {"model.width": WIDTHS, "train.gamma": GAMMAS, "seed": 3, **axes}
        place = tmp_path_factory.mktemp("plain") if is_plain else tmp_path / f"results{len(axes)}"
        store = plant_store(place, study_of(sweep=sweep), measures)
        if is_plain:
            KEPT["plain"] = place
        return store

    return plant
