import json

import pandas as pd
import pytest

from symstudy.errors import UserError
from symstudy.findings import Verdict
from symstudy.findings.evaluate import claims_of, draw_claim, evaluate_claim
from symstudy.findings.kept import read_findings


def test_a_finding_is_kept_with_what_it_rests_on(small_claim, plant_small):
    folder = plant_small()
    evaluated = evaluate_claim(small_claim, folder)
    (kept,) = read_findings(folder).kept
    told = kept.values  # noqa: PD011  # a finding, no frame
    assert not kept.is_stale
    assert told["verdict"] == "supported"
    assert told["seeds"] == 3
    assert told["queries"] == list(evaluated.queries)
    assert told["excluded"] == {"diverged": 2}


@pytest.mark.parametrize(
    ("rules", "is_frozen"),
    [({}, None), ({"small_loss": "abc"}, True), ({"small_loss": "x"}, False)],
)
def test_a_rule_that_changed_since_the_first_run_shows(small_claim, plant_small, rules, is_frozen):
    assert evaluate_claim(small_claim, plant_small(rules=rules)).rule_is_frozen is is_frozen


def test_rows_added_since_make_a_finding_stale(small_claim, plant_small, tmp_path):
    folder = plant_small()
    evaluate_claim(small_claim, folder)
    plant_small(seeds=4)
    (kept,) = read_findings(folder).kept
    assert kept.is_stale


def test_a_figure_lies_beside_what_was_drawn_and_its_queries(small_claim, plant_small):
    folder = plant_small()
    evaluated = evaluate_claim(small_claim, folder)
    paths = draw_claim(evaluated, folder)
    assert [path.rsplit("/", 1)[-1] for path in paths] == [
        "small_loss.svg", "small_loss.csv", "small_loss.json",
    ]  # fmt: skip
    assert pd.read_csv(paths[1])["test_loss"].tolist() == [0.0, 0.1, 0.2]
    note = json.loads(folder.read_bytes("figures", "small_loss.json"))
    assert note["fingerprint"] == evaluated.fingerprint
    assert "from runs" in note["queries"][0]


def test_the_same_rows_draw_the_same_bytes(small_claim, plant_small):
    folder = plant_small()
    pictures = []
    for _ in range(2):
        draw_claim(evaluate_claim(small_claim, folder), folder)
        pictures.append(folder.read_bytes("figures", "small_loss.svg"))
    assert pictures[0] == pictures[1]


def test_what_was_not_tested_is_not_drawn(small_claim, study_of, tmp_path):
    from symstudy.testing.stores import plant_store

    failed = {"outcome": "diverged", "reason": "The loss grew."}
    (folder,) = plant_store(tmp_path, study_of(), lambda _: failed).folders
    evaluated = evaluate_claim(small_claim, folder)
    assert evaluated.finding.verdict is Verdict.UNTESTED
    assert draw_claim(evaluated, folder) == []


def test_a_study_names_the_claims_it_serves(small_claim, plant_small):
    folder = plant_small()
    known = {"small_loss": small_claim}
    assert claims_of(folder, known, []) == []
    assert claims_of(folder, known, ["small_loss"]) == [small_claim]
    with pytest.raises(UserError, match="must be known, but 'other' is not among small_loss"):
        claims_of(folder, known, ["other"])
