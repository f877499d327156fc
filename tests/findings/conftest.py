"""A claim of seconds on a planted study."""

import shutil
from typing import Any, NamedTuple

import pandas as pd
import pytest

from symstudy.findings import Claim, Figure, Finding, Part, Verdict
from symstudy.findings.evaluate import draw_claim, evaluate_claim
from symstudy.store import StudyFolder, open_location
from symstudy.testing.stores import plant_store


class Measured(NamedTuple):
    losses: pd.DataFrame


def measure(db):
    return Measured(db.df("select seed, test_loss from runs where outcome = 'done' order by all"))


def judge(measured):
    if measured.losses.empty:
        return Finding(verdict=Verdict.UNTESTED, reason="No run.")
    return Finding(
        verdict=Verdict.SUPPORTED,
        reason="The loss is below 1 < 2.",
        effect=float(measured.losses["test_loss"].mean()),
        unit="test loss",
        seeds=measured.losses["seed"].nunique(),
        threshold="< 1",
        parts=(Part(name="below <b>1</b>", verdict=Verdict.SUPPORTED, rule="below 1"),),
        excluded=(("diverged", 2),),
    )


def draw(measured):
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots()
    axes.plot(measured.losses["seed"], measured.losses["test_loss"])
    return Figure(canvas, measured.losses, "Loss of each seed.")


@pytest.fixture(scope="session")
def small_claim() -> Claim:
    """A claim that is supported wherever there are runs."""
    words: dict[str, Any] = {
        "name": "small_loss", "title": "The loss is small", "statement": "The loss is below 1.",
        "study": "small", "reference": "a note", "rule": "Below 1.", "rule_hash": "abc",
    }  # fmt: skip
    return Claim(**words, measure=measure, judge=judge, draw=draw)


def planted(place, study, rules=None):
    """Plant the study `small` in a place, and return its folder."""
    (folder,) = plant_store(place, study, lambda run: {"test_loss": run.seed / 10}).folders
    frozen = folder.read_json("study.json")
    folder.write_json({**frozen, "rules": rules or {}}, "study.json")
    return folder


@pytest.fixture
def plant_small(study_of, tmp_path):
    """Plant the study `small` with as many seeds as asked for."""
    return lambda seeds=3, rules=None: planted(tmp_path, study_of(sweep={"seed": seeds}), rules)


@pytest.fixture(scope="session")
def drawn_once(small_claim, study_of, tmp_path_factory):
    """The study with one finding and its figure, made once."""
    folder = planted(tmp_path_factory.mktemp("drawn"), study_of(sweep={"seed": 3}))
    draw_claim(evaluate_claim(small_claim, folder), folder)
    return folder


@pytest.fixture
def drawn(drawn_once, tmp_path):
    """A copy of it that a test may change."""
    place = shutil.copytree(drawn_once.path, tmp_path / "small")
    return StudyFolder(*open_location(str(place)))
