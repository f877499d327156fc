"""A replication: new seeds, planned by power, under the frozen rule."""

import json
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest

from symstudy.cli import main
from symstudy.errors import UserError
from symstudy.findings import Bound, Evidence, Verdict
from symstudy.findings.conclude import Measured
from symstudy.findings.evidence import Counted
from symstudy.findings.replication import plan_replication, seeds_of_all
from symstudy.findings.rules.base import Data
from symstudy.statistics.power import sign_effect
from symstudy.statistics.tests import decide_median
from symstudy.study import load_study
from symstudy.study.frozen import settings_hash
from symstudy.study.toml import to_toml
from symstudy.testing.stores import plant_store

RUNS = Evidence()


def measured(values, **bounds):
    frame = pd.DataFrame({"seed": np.arange(len(values)), "a": values})
    return Measured(Bound(RUNS, "a", **bounds), Data({RUNS: Counted(frame, ())}))


def spread(mean, count=5):
    """Return values of a given mean and a standard deviation of 1."""
    values = np.linspace(-1, 1, count)
    return mean + values / values.std(ddof=1)


def test_seeds_are_those_that_find_half_of_the_observed_distance_with_the_power():
    (part,) = plan_replication(measured(spread(3.0), at_least=0.0))
    assert part.aim is Verdict.SUPPORTED
    assert part.distance == pytest.approx(3.0)
    assert part.seeds is not None
    reached = sign_effect(part.seeds, alpha=0.05, power=0.9)
    assert reached is not None
    assert reached <= 1.5
    fewer = sign_effect(part.seeds - 1, alpha=0.05, power=0.9)
    assert fewer is None or fewer > 1.5


def test_a_planned_replication_decides_as_often_as_it_says():
    (part,) = plan_replication(measured(spread(2.0), at_least=0.0), share=0.5)
    assert part.seeds is not None
    draws = np.random.default_rng(1).normal(1.0, 1.0, (2000, part.seeds))
    found = [decide_median(row, low=0.0).verdict is Verdict.SUPPORTED for row in draws]
    assert np.mean(found) > 0.88


def test_smaller_effects_more_power_and_more_claims_take_more_seeds():
    seen = measured(spread(2.0), at_least=0.0)
    plain = seeds_of_all(plan_replication(seen))
    assert plain is not None
    for more in ({"share": 0.3}, {"power": 0.97}, {"claims": 8}):
        assert (seeds_of_all(plan_replication(seen, **more)) or 0) > plain


def test_what_lies_outside_is_to_be_refuted_and_at_the_bound_nothing_helps():
    (part,) = plan_replication(measured(spread(-2.0), at_least=0.0))
    assert part.aim is Verdict.REFUTED
    (open_part,) = plan_replication(measured(spread(0.0), at_least=0.0))
    assert open_part.seeds is None
    (alike,) = plan_replication(measured([1.0] * 5, at_least=0.0))
    assert alike.seeds == 5
    (rounded,) = plan_replication(measured([1.0, 1.0, np.nextafter(1.0, 2), 1, 1], at_least=0.0))
    assert rounded.distance == np.inf
    with pytest.raises(UserError, match="Type --seeds N"):
        plan_replication(("numbers", "of", "functions"))


CLAIM = """
from symstudy.findings import All, Bound, Evidence, claim

@claim(title="T", statement="S", study="first", reference="R")
def own_loss(runs: Evidence) -> Bound:
    return Bound(runs.done(), "test_loss", at_most=2.0)
"""


@pytest.fixture
def first(tmp_path, monkeypatch, study_of):
    """A project with one claim, and a study of it with five seeds, whose rule is frozen."""
    name = f"again_{abs(hash(tmp_path))}"
    (tmp_path / "pyproject.toml").write_text(f'[tool.symstudy]\nanalyses = "{name}"\n')
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "own_loss.py").write_text(CLAIM)
    monkeypatch.setattr(sys.modules["symstudy.findings.claim"], "REGISTERED", {})
    sweep = {"seed": 5, "train.gamma": {"log": [0.01, 0.1], "num": 2}}
    study = study_of(name="first", claims=["own_loss"], sweep=sweep)
    plant_store(tmp_path / "results", study, lambda run: {"test_loss": 1 + 0.3 * run.seed})
    return study


def call(monkeypatch, capsys, place, *words):
    monkeypatch.chdir(place)
    monkeypatch.setattr("sys.argv", ["symstudy", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return capsys.readouterr(), end.value.code


def record_document(place, study, **more):
    path = place / "results" / "first" / "study.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "document": study.document, **more})
    )


def test_a_replication_has_the_same_settings_new_seeds_and_the_rule(
    first, tmp_path, monkeypatch, capsys
):
    record_document(tmp_path, first)
    said, code = call(monkeypatch, capsys, tmp_path, "replicate", "results/first", "--present-rule")
    assert code == 0, said.err
    new = load_study(tmp_path / "first-replication.toml")
    assert settings_hash(new) == settings_hash(first)
    assert (new.kind, new.replicates, set(new.rules)) == ("replication", "first", {"own_loss"})
    assert new.seeds[0] == 5
    assert len(new.seeds) > 5
    assert "Run it once, to its end: symstudy run first-replication.toml --results" in said.out


def test_a_rule_that_is_not_the_frozen_one_is_refused(first, tmp_path, monkeypatch, capsys):
    record_document(tmp_path, first, rules={"own_loss": "older"})
    said, code = call(monkeypatch, capsys, tmp_path, "replicate", "results/first")
    assert code == 2
    assert "but it has changed since" in said.err
    assert not list(tmp_path.glob("*.toml.*")) + list(tmp_path.glob("first-*"))


def test_settings_that_are_no_longer_those_of_the_study_are_refused(
    first, tmp_path, monkeypatch, capsys, study_of
):
    record_document(tmp_path, study_of(name="first", claims=["own_loss"], train={"steps": 7}))
    said, code = call(monkeypatch, capsys, tmp_path, "replicate", "results/first", "--present-rule")
    assert code == 2
    assert "must have the settings of 'first'" in said.err
    assert not list(tmp_path.glob("first-*"))


def test_more_runs_than_a_study_may_have_are_refused_and_nothing_is_written(
    first, tmp_path, monkeypatch, capsys
):
    record_document(tmp_path, first)
    words = ("replicate", "results/first", "--present-rule", "--seeds", "500001")
    said, code = call(monkeypatch, capsys, tmp_path, *words)
    assert code == 2
    assert "2 settings of 'first' with 500,001 seeds each are more" in said.err
    assert "--seeds 500000" in said.err
    assert not list(tmp_path.glob("first-*"))


def test_a_study_written_as_toml_reads_back_as_the_same(first, tmp_path):
    path = tmp_path / "again.toml"
    path.write_text(to_toml(first.document, "A heading"))
    again = load_study(path)
    assert [run.run_id for run in again.runs()] == [run.run_id for run in first.runs()]


def test_any_text_reads_back_from_toml():
    texts = {"plain": "a", 'quotes " and \\': "line\nend\t\x7f\x01", "\u00fc": "\U0001f600"}
    values = {**texts, "inner": {"a.b": [1, 2.5, True], "long": list(range(60))}}
    assert tomllib.loads(to_toml(values)) == values
    with pytest.raises(ValueError, match="must be numbers, texts"):
        to_toml({"a": None})


def test_every_study_file_reads_back_from_what_is_recorded_of_it(root, tmp_path):
    for source in sorted((root / "studies").glob("*.toml"))[:8]:
        study = load_study(source)
        path = tmp_path / source.name
        path.write_text(to_toml(json.loads(json.dumps(study.document))))
        assert settings_hash(load_study(path)) == settings_hash(study)
        assert load_study(path).seeds == study.seeds
