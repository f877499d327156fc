"""What is fixed before the data is recorded, and burnt seeds are refused."""

import json

import pytest

from symstudy.errors import LaunchError, StudyFileError
from symstudy.findings.freezing import read_caveats


@pytest.fixture
def record(tmp_path):
    """Return what `study.json` of a study in the results says."""
    return lambda name="small": json.loads((tmp_path / name / "study.json").read_text())


def notes(record, claim="a_claim", rule="hash1"):
    return read_caveats(record, claim, rule).notes


def test_what_is_fixed_before_the_data_has_no_caveat(study_of, run_inline, record):
    run_inline(study_of(), rules={"a_claim": "hash1"})
    assert notes(record()) == ()
    assert record()["frozen"]["a_claim"]["rows"] == 0
    assert record()["launches"][0]["seeds"] == [[0, 0]]


def test_what_is_added_or_changed_after_the_data_is_told(study_of, run_inline, record):
    run_inline(study_of(sweep={"seed": 2}), rules={"a_claim": "hash1"})
    more = {"sweep": {"seed": 3, "train.gamma": [0.0, 0.1]}}
    run_inline(study_of(**more), rules={"a_claim": "hash2", "later": "x"}, extend=True)
    assert notes(record(), rule="hash2") == (
        "rule changed after the data",
        "settings changed after the data",
        "seeds added after the data (2, then 3)",
    )
    assert notes(record(), "later", "x")[0] == "claim added after 2 of 6 runs"
    assert notes(record(), "never", "y")[0] == "claim not frozen with the study"


def test_results_of_an_earlier_version_say_that_nothing_is_recorded(study_of, run_inline, record):
    run_inline(study_of(), rules={"a_claim": "hash1"})
    old = record()
    del old["frozen"]
    old["launches"] = [{"launch": "l", "at": "then", "new_runs": 1}]
    assert notes(old) == ("when rule, settings and seeds were fixed is not recorded",)


def test_a_rule_may_be_corrected_before_the_first_row():
    at = {"settings": "a", "seeds": [[0, 4]], "rows": 0, "symstudy_version": "1"}
    launches = [at, {**at, "settings": "b", "seeds": [[0, 7]]}, {**at, "settings": "b", "rows": 3}]
    record = {"rules": {"c": "h"}, "frozen": {"c": {"rows": 0}}, "launches": launches}
    assert notes(record, "c", "h") == ()
    launches[2]["symstudy_version"] = "2"
    assert notes(record, "c", "h") == ("measured by two versions of symstudy, before and after",)


@pytest.mark.parametrize("wrong", [3, [[0, 10**15]], [[1]], ["a"], [[0, "b"]]])
def test_a_record_of_another_form_is_read_as_far_as_it_goes(wrong):
    launches = [{"settings": 3, "seeds": wrong, "rows": "x"}]
    record = {"rules": {"c": "h"}, "frozen": {"c": 1}, "launches": launches}
    assert notes(record, "c", "h") == ("when rule, settings and seeds were fixed is not recorded",)


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"claims": ["a_claim"], "train": {"steps": 10}}, r"for the claim 'a_claim'"),
        ({"claims": []}, "with the same settings"),
    ],
)
def test_seeds_of_a_pilot_are_burnt_for_its_question(study_of, run_inline, record, tables, why):
    run_inline(study_of(name="first", kind="pilot", claims=["a_claim"], sweep={"seed": 2}))
    assert record("first")["kind"] == "pilot"
    with pytest.raises(LaunchError, match=rf"{why}, but got 0, 1\. Use others: 'seed=\[2,3\]'"):
        run_inline(study_of(sweep={"seed": 2}, **tables))
    summary, _ = run_inline(study_of(sweep={"seed": [2, 3]}, **tables))
    assert summary.done == 2


def test_another_question_may_use_the_seeds_of_a_pilot(study_of, run_inline):
    run_inline(study_of(name="first", kind="pilot", claims=["a_claim"]))
    summary, _ = run_inline(study_of(claims=["other"], train={"steps": 10}))
    assert summary.done == 1


def test_results_of_a_pilot_stay_those_of_a_pilot(study_of, run_inline):
    run_inline(study_of(kind="pilot"))
    with pytest.raises(LaunchError, match="must stay 'pilot'.* name=small_new"):
        run_inline(study_of(sweep={"seed": 2}))


def test_a_replication_uses_none_of_the_seeds_of_its_study(study_of, run_inline, record):
    run_inline(study_of(sweep={"seed": 2}), rules={"a_claim": "hash1"})
    again = {"kind": "replication", "replicates": "small", "rules": {"a_claim": "hash1"}}
    with pytest.raises(LaunchError, match="since it replicates 'small', which has used them"):
        run_inline(study_of(name="again", **again))
    run_inline(study_of(name="again", sweep={"seed": [2]}, **again), rules={"a_claim": "hash2"})
    assert record("again")["rules"] == {"a_claim": "hash1"}


@pytest.mark.parametrize(
    ("tables", "what"),
    [
        ({"kind": "trial"}, "kind: must be 'study', 'pilot', 'replication'"),
        ({"kind": "replication"}, "replicates: must be the name of a study"),
        ({"replicates": "small"}, "replicates: must be the name of a study"),
        ({"rules": {"a": "b"}}, "rules: must be a table of hashes"),
    ],
)
def test_what_a_study_is_for_is_checked(study_of, tables, what):
    with pytest.raises(StudyFileError, match=what):
        study_of(**tables)
