"""Faults R1 and R5: findings that somebody else has written, or damaged."""

import json

import pytest

from symstudy.findings.kept import read_findings
from symstudy.html_report.page import plain_csv, render_report

WRONG: dict[str, object] = {
    "claim": "../../../../secret",
    "verdict": "certain",
    "effect": "large",
    "interval": {"low": 0.0, "high": "2"},
    "parts": [{"name": "a"}],
    "excluded": ["diverged"],
    "seeds": None,
    "queries": 3,
    "p_value": [],
    "alone": "certain",
    "caveats": [3],
    "unchecked": "3",
    "is_pilot": 0,
    "reason_alone": None,
    "family": {"name": "a", "claims": ["a/b"], "level": 0.9, "is_declared": True},
    "rule_is_frozen": "yes",
    "title": None,
}


@pytest.mark.parametrize("key", WRONG)
def test_r5_a_finding_of_another_form_is_left_out_and_told(drawn, key):
    values = drawn.read_json("findings", "small_loss.json")
    drawn.write_json({**values, key: WRONG[key]}, "findings", "small_loss.json")
    found = read_findings(drawn)
    assert (found.kept, found.refused) == ([], ["findings/small_loss.json"])


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_r5_what_is_no_json_stops_no_other_finding(drawn, content):
    drawn.write_bytes(content, "findings", "broken.json")
    found = read_findings(drawn)
    assert [kept.values["claim"] for kept in found.kept] == ["small_loss"]
    page = render_report([drawn], "results")
    assert "<code>findings/broken.json</code> is no finding as symstudy writes them" in page
    assert "The loss is small" in page


def test_r1_a_claim_that_names_a_file_elsewhere_shows_none(drawn, tmp_path):
    for suffix in ("svg", "csv", "json"):
        text = json.dumps({"caption": "private"}) if suffix == "json" else "cHJpdmF0ZQ"
        (tmp_path / f"secret.{suffix}").write_text(text)
    values = drawn.read_json("findings", "small_loss.json")
    drawn.write_json({**values, "claim": "../../secret"}, "findings", "c.json")
    drawn.write_json({**values, "claim": "small_loss/../c"}, "findings", "d.json")
    page = render_report([drawn], "results")
    assert "private" not in page
    assert page.count("is no finding as symstudy writes them") == 2


@pytest.mark.parametrize("about", [[], {}, {"caption": ["x"]}, None])
def test_r5_a_note_of_a_figure_of_another_form_costs_the_figure_alone(drawn, about):
    drawn.write_json(about, "figures", "small_loss.json")
    assert "The loss is small" in render_report([drawn], "results")


def test_r5_launches_of_another_form_are_shown_as_far_as_they_go(drawn):
    frozen = drawn.read_study()
    drawn.write_study({**frozen, "launches": [{"host": ["a"], "git_sha": 3}, {}]})
    page = render_report([drawn], "results")
    assert "symstudy ?, torch ?" in page


def test_r9_a_table_of_a_figure_holds_no_formula():
    assert plain_csv(b'x,=A1\n"=cmd(),1",-1.5\n') == b"x,'=A1\n\"'=cmd(),1\",-1.5\n"
    with pytest.raises(ValueError, match="utf-8"):
        plain_csv(b"\xff")
