"""Verdicts as they stand in a declared family, in every place where a reader meets them."""

import dataclasses
import json
import re
import sys

import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.errors import ProjectError
from symstudy.findings import Finding, Interval, Part, Verdict
from symstudy.findings.evaluate import draw_claim, evaluate_claim, settle
from symstudy.findings.family import Family, family_of, read_families
from symstudy.findings.kept import read_findings
from symstudy.html_report.page import render_report
from symstudy.testing.stores import plant_store

CLAIM = """
from symstudy.findings import All, Bound, Evidence, Flat, claim

@claim(title="T{number}", statement="S", study="planted", reference="R")
def own_claim{number}(runs: Evidence) -> All:
    return All(
        Bound(runs.done(), "test_loss", at_most={most}),
        Flat(runs.done(), "test_loss", along="width", within=0.1),
    )
"""
FAMILY = """
[[family]]
name = "declared"
claims = ["planted/own_claim0", "planted/own_claim1", "planted/own_claim2", "elsewhere/never"]
"""


@pytest.fixture
def planted(study_of, tmp_path, monkeypatch):
    """A project with a family of four claims and a study that serves three of them; six seeds.

    The first claim holds in all seeds, the second in none, the third in one; the fourth of the
    family is not tested.
    """
    name = f"family_{abs(hash(tmp_path))}"
    (tmp_path / "pyproject.toml").write_text(f'[tool.symstudy]\nanalyses = "{name}"\n')
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "family.toml").write_text(FAMILY)
    for number, most in enumerate((2.0, 0.5, 1.0)):
        (folder / f"own_claim{number}.py").write_text(CLAIM.format(number=number, most=most))
    monkeypatch.setattr(sys.modules["symstudy.findings.claim"], "REGISTERED", {})
    monkeypatch.chdir(tmp_path)

    def plant(seeds=6, **tables):
        claims = [f"own_claim{number}" for number in range(3)]
        sweep = {"model.width": [8, 16, 32], "seed": seeds}
        study = study_of(name="planted", claims=claims, sweep=sweep, **tables)
        plant_store(tmp_path / "results", study, lambda run: {"test_loss": 1 + 0.01 * run.seed})
        return tmp_path / "results"

    return plant


def analyze(*arguments):
    result = CliRunner().invoke(app, ["analyze", "results", *arguments], catch_exceptions=False)
    return result.stdout


def test_no_finding_has_a_verdict_whose_corrected_p_value_exceeds_its_level(planted):
    planted()
    found = json.loads(analyze("--json"))
    assert [(each["verdict"], each["alone"]) for each in found] == [
        ("inconclusive", "supported"), ("inconclusive", "refuted"),
        ("inconclusive", "inconclusive"),
    ]  # fmt: skip
    assert [each["p_adjusted"] for each in found] == [4 / 64, 3 / 32, None]
    decided = {"supported", "refuted"}
    assert not decided & {part["verdict"] for each in found for part in each["parts"]}


def test_enough_seeds_decide_in_the_family_too(planted):
    planted(seeds=9)
    found = json.loads(analyze("--json"))
    assert [each["verdict"] for each in found] == ["supported", "refuted", "inconclusive"]
    assert all(each["p_adjusted"] <= each["family"]["level"] for each in found[:2])


def test_the_command_line_says_the_corrected_verdict_first_and_the_other_beside(planted):
    planted()
    text = analyze()
    heads = re.findall(r"^own_claim\d on planted: (\w+) \((\w+) alone, p = ", text, re.MULTILINE)
    assert heads == [("INCONCLUSIVE", "supported"), ("INCONCLUSIVE", "refuted")]
    assert "the family declared (4 claims, 5 %), 1 of them not tested" in text
    assert "symstudy replicate" in text
    assert "more seeds" not in text.lower()


def test_page_and_figures_have_no_verdict_that_falls(planted):
    results = planted()
    CliRunner().invoke(app, ["report", "results"], catch_exceptions=False)
    page = (results / "report.html").read_text()
    assert not re.findall(r'class="verdict (supported|refuted)"', page)
    assert "supported alone" in page
    for figure in (results / "planted" / "figures").glob("*.svg"):
        picture = figure.read_text()
        assert not re.search(r">[^<]*: (supported|refuted)[^<]*<", picture)


def test_a_finding_is_not_held_against_what_is_kept_of_older_rows(planted):
    planted()
    analyze()
    planted(seeds=9)
    (found,) = json.loads(analyze("own_claim0", "--json"))
    assert found["p_adjusted"] == pytest.approx(4 * 2**-9)


def test_claims_of_no_declared_family_are_that_of_their_study(small_claim, plant_small):
    folder = plant_small()
    evaluated = evaluate_claim(small_claim, folder)
    assert evaluated.standing.family == Family("small", ("small/small_loss",), is_declared=False)
    more = Family("more", ("small/small_loss", "small/other"))
    assert family_of("small", "small_loss", [more]) is more
    assert family_of("small", "b", [more], ["a"]).claims == ("small/a", "small/b")


def test_a_pilot_gives_no_verdict_and_says_so(planted):
    planted(kind="pilot")
    (text, found) = analyze(), json.loads(analyze("--json"))
    assert text.count("EXPLORATORY (a pilot gives no verdict") == 3
    assert {each["verdict"] for each in found} == {"untested"}
    assert {part["verdict"] for each in found for part in each["parts"]} == {"untested"}
    assert all(part["effect"] is not None for part in found[0]["parts"])


def test_what_changed_after_the_data_is_in_every_headline(small_claim, plant_small):
    folder = plant_small(rules={"small_loss": "older"})
    evaluated = evaluate_claim(small_claim, folder)
    draw_claim(evaluated, folder)
    assert evaluated.headline.startswith("supported (rule changed after the data")
    assert (
        ">The loss is small: supported (rule changed after the data"
        in folder.read_bytes("figures", "small_loss.svg").decode()
    )
    page = render_report([folder], "results")
    shown = page[: page.index("<details>")]
    assert shown.count('<span class="warn">rule changed after the data') == 2


@pytest.mark.parametrize(
    ("verdict", "interval", "p_value", "is_told"),
    [
        (Verdict.SUPPORTED, Interval(0.1, 0.2), None, True),
        (Verdict.REFUTED, Interval(0.1, 0.2), None, True),
        (Verdict.SUPPORTED, Interval(0.1, 0.2), 1e-6, False),
        (Verdict.REFUTED, None, None, False),
        (Verdict.INCONCLUSIVE, Interval(0.1, 0.2), None, False),
    ],
)
@pytest.mark.parametrize("has_part", [True, False])
def test_a_verdict_by_an_interval_alone_says_that_no_family_corrects_it(
    small_claim, plant_small, verdict, interval, p_value, is_told, has_part
):
    part = Part(name="p", verdict=verdict, rule="r", interval=interval, p_value=p_value)
    is_bare = not has_part and p_value is None
    found = Finding(
        verdict=verdict, reason="", interval=interval, seeds=3, parts=() if is_bare else (part,)
    )
    judged = dataclasses.replace(small_claim, judge=lambda _: found)
    headline = evaluate_claim(judged, plant_small()).headline
    assert ("not corrected for its family" in headline) == is_told


def test_findings_of_an_earlier_version_are_shown_as_they_were(small_claim, plant_small):
    folder = plant_small()
    values = settle([(folder, evaluate_claim(small_claim, folder))])[0].to_json()
    new = (
        "alone",
        "family",
        "caveats",
        "is_pilot",
        "headline",
        "p_adjusted",
        "reason_alone",
        "unchecked",
    )
    old = {key: value for key, value in values.items() if key not in new}
    folder.write_json(old, "findings", "small_loss.json")
    assert len(read_findings(folder).kept) == 1
    assert '<span class="verdict supported">supported</span>' in render_report([folder], "results")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[[family]]\nname = 'a'\n", "claims of the family 'a'"),
        ("[[family]]\nname = 'a'\nclaims = ['b']\n", "claims of the family 'a'"),
        ("[[family]]\nname = 'a'\nclaims = ['b/c']\nlevel = 0.2\n", "level of the family 'a'"),
        ("[[family]]\nname = 'a'\nclaims = ['b/c', 'b/c']\n", "'b/c' is there twice"),
        ("[[family]]\nname = 'a'\nclaim = ['b/c']\n", "must have name, level, claims"),
        ("family = 3\n", r"must hold tables \[\[family\]\]"),
        ("[[family", "must be TOML"),
    ],
)
def test_a_file_of_families_that_is_wrong_says_what_must_hold(tmp_path, text, what):
    (tmp_path / "family.toml").write_text(text)
    with pytest.raises(ProjectError, match=what):
        read_families(tmp_path)


@pytest.mark.parametrize("claims", [["own_claim0"], ["own_claim1"]])
def test_w8_runs_that_a_copy_under_another_name_has_too_are_one_piece_of_evidence(
    planted, study_of, claims
):
    results = planted()
    sweep = {"model.width": [8, 16], "seed": 6}
    copy = study_of(name="copied", claims=claims, sweep=sweep)
    plant_store(results, copy, lambda run: {"test_loss": 1 + 0.01 * run.seed})
    found = CliRunner().invoke(app, ["analyze", str(results), claims[0], "--json"])
    assert found.exit_code == 0, found.output
    headlines = {item["study"]: item["headline"] for item in json.loads(found.stdout)}
    assert "12 of 18 runs are those of copied too: one piece of evidence" in headlines["planted"]
    assert "12 of 12 runs are those of planted too: one piece of evidence" in headlines["copied"]


def test_a_study_without_the_same_runs_or_claims_is_not_told(planted, study_of):
    results = planted()
    for name, claims, seeds in (("others", ["own_claim0"], [8, 9]), ("unjudged", [], 6)):
        sweep = {"model.width": [8, 16], "seed": seeds}
        plant_store(
            results, study_of(name=name, claims=claims, sweep=sweep), lambda _: {"test_loss": 1.0}
        )
    found = CliRunner().invoke(app, ["analyze", str(results / "planted"), "own_claim0", "--json"])
    assert "piece of evidence" not in found.stdout
