import re

import pytest

from symstudy.findings.discovery import load_claims
from symstudy.findings.evaluate import draw_claim, evaluate_claim
from symstudy.html_report import write_report
from symstudy.html_report.page import place_in_paper, render_report
from symstudy.project import find_project
from symstudy.store.tables.schema import CERTIFICATES
from symstudy.store.tables.writer import arrow_table
from symstudy.study import load_study, make_study
from symstudy.testing.stores import plant_store


@pytest.fixture(scope="module")
def planted(tmp_path_factory, pytestconfig):
    """The study of the rank's law, planted as the exact law has it, with one run missing."""
    study = load_study(
        pytestconfig.rootpath / "studies" / "rank_scaling_law.toml", overrides=("seed=6",)
    )

    def exact(run):
        rank = (1 / run.cell.train.gamma) ** (1 / run.cell.data.exponent)
        if run.seed == 4 and run.cell.data.exponent == 2:
            return {"outcome": "diverged", "reason": "The <loss> grew."}
        return {"weight_rank": int(rank), "grad_ratio": 1e-8, "test_loss": 0.1}

    (folder,) = plant_store(tmp_path_factory.mktemp("results"), study, exact).folders
    claim = load_claims(find_project(pytestconfig.rootpath))["rank_scaling_law"]
    draw_claim(evaluate_claim(claim, folder), folder)
    return folder


def test_the_page_needs_nothing_from_outside(planted):
    page = render_report([planted], "results")
    references = re.findall(r"""(?:src|href)=["']([^"']*)""", page)
    assert references
    inside = ("#", "data:image/svg+xml;base64,", "data:text/csv;base64,")
    assert all(target.startswith(inside) for target in references)
    assert "<script" not in page
    assert "@import" not in page


def test_the_page_says_verdict_figure_completeness_and_rule(planted):
    page = render_report([planted], "results")
    for words in (
        '<span class="verdict supported">',
        "data:image/svg+xml;base64,",
        "216 planned = 204 done + 0 stopped + 12 failed + 0 missing.",
        "12 runs diverged: The &lt;loss&gt; grew.",
        "rank follows a power law of gamma",
        "No run was trained alone for comparison",
        "12 runs are no evidence: did not end as planned.",
    ):
        assert words in page, words
    assert "Stale" not in page


def test_the_scale_stands_with_the_study_and_in_the_overview(planted):
    record = planted.read_study()
    launch = {"preset": "paper", "overrides": ["seed=6"], "new_runs": 216}
    planted.write_study({**record, "launches": [launch]})
    try:
        page = render_report([planted], "results")
    finally:
        planted.write_study(record)
    assert "<code>rank_scaling_law</code>, preset paper; swept" in page
    assert '<a href="#rank_scaling_law">rank_scaling_law</a>, preset paper' in page


def test_links_in_the_page_lead_to_its_parts(planted):
    page = render_report([planted], "results")
    for target in re.findall(r'href="#([^"]*)"', page):
        assert f'id="{target}"' in page


def test_rows_added_since_are_said_to_be_missing_from_the_finding(planted):
    before = planted.read_json("findings", "rank_scaling_law.json")
    planted.write_json({**before, "fingerprint": "older"}, "findings", "rank_scaling_law.json")
    try:
        assert "stale: rows have been added since" in render_report([planted], "results")
    finally:
        planted.write_json(before, "findings", "rank_scaling_law.json")


def test_the_page_is_written_beside_the_studies(planted, tmp_path):
    path = write_report([planted], str(tmp_path))
    assert path == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_page_opens_with_what_holds_in_the_family(planted):
    page = render_report([planted], "results")
    assert page.index("p, Holm") < page.index("<h2")
    assert 'download="rank_scaling_law.csv"' in page
    assert 'rank_scaling_law-figure">figure</a>' in page


def test_a_verdict_that_is_weak_among_many_is_said_to_be_so(planted):
    before = planted.read_json("findings", "rank_scaling_law.json")
    try:
        weak = {**before, "p_value": 0.03}
        planted.write_json(weak, "findings", "rank_scaling_law.json")
        assert 'soft">supported alone' not in render_report([planted], "results")
        other = {**weak, "claim": "other", "alone": "inconclusive", "p_value": None}
        planted.write_json(other, "findings", "other.json")
        page = render_report([planted], "results")
        assert 'soft">supported alone' in page
        assert "(supported alone, p = 0.03; p = 0.06 among" in page
        assert 'class="verdict supported"' not in page[: page.index("<h2")]
    finally:
        planted.write_json(before, "findings", "rank_scaling_law.json")
        planted.delete("findings", "other.json")


def test_the_overview_follows_the_figures_of_the_paper():
    references = [
        "arXiv:2502.05300, App. A.5",
        "arXiv:2502.05300, Fig. 10 (first row)",
        "arXiv:2502.05300, Figs. 7 and 8",
        "arXiv:2502.05300, Fig. 3 (right)",
        "arXiv:2502.05300, Fig. 3 (left)",
    ]
    assert sorted(references, key=place_in_paper) == [references[i] for i in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("alone", "head", "warns"),
    [
        (None, "Packed against alone: not certified", False),
        (1.0, "Packed equals alone", False),
        (0.5, "Packed deviates from alone", True),
    ],
)
def test_w11_the_head_of_the_certificate_is_its_verdict(tmp_path, alone, head, warns):
    study = make_study(
        {
            "schema": 1,
            "name": "certified",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.01},
        }
    )
    measures = {"test_loss": 1.0, "engine": "compiled"}
    (folder,) = plant_store(tmp_path, study, lambda run: dict(measures)).folders
    if alone is not None:
        rows = {
            "run_id": [study.runs()[0].run_id],
            "pack_id": ["pack0000"],
            "pack_size": [8],
            "measure": ["test_loss"],
            "packed": [1.0],
            "alone": [alone],
        }
        folder.write_table(arrow_table(CERTIFICATES, rows, 1), "certificates", "pack0000.parquet")
    page = render_report([folder], "results")
    assert f"<h3>{head}</h3>" in page
    assert ("1 comparison is outside" in page) == warns
