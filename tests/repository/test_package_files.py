"""What stands around the package says the same as the package: workflows, citation, site."""

import json
import re
import runpy
import tomllib
from types import SimpleNamespace

import pytest
import yaml

pytest.importorskip("mkdocs", reason="the documents are built with the group `docs`")


@pytest.fixture(scope="module")
def project(request):
    """Return the table [project]."""
    return tomllib.loads((request.config.rootpath / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def links(request):
    """Return the hooks of the site."""
    return SimpleNamespace(**runpy.run_path(str(request.config.rootpath / "docs/hooks/links.py")))


def test_workflows_call_targets_that_there_are(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in (root / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            matrix = job.get("strategy", {}).get("matrix", {}).get("target", [])
            runs = [step["run"] for step in job["steps"] if step.get("run", "").startswith("make ")]
            named = {run.split()[1] for run in runs if "$" not in run} | set(matrix)
            assert named <= targets, path.name


def test_every_python_that_is_supported_is_tried(root, project):
    jobs = yaml.safe_load((root / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]
    tried = jobs["locked"]["strategy"]["matrix"]["python"]
    named = [line.split(":: ")[-1] for line in project["classifiers"] if ":: Python :: 3." in line]
    assert tried == named


def test_the_citation_is_of_this_version(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    assert str(citation["version"]) == project["version"]
    assert citation["license"] == project["license"]
    assert json.loads((root / ".zenodo.json").read_text("utf-8"))["title"] == citation["title"]


def test_forms_for_issues_have_what_a_form_must_have(root):
    for path in (root / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"):
        form = yaml.safe_load(path.read_text("utf-8"))
        assert {"name", "description", "body"} <= set(form), path.name


@pytest.mark.parametrize(
    ("target", "source", "turned"),
    [
        ("studies/README.md", "README.md", "studies.md"),
        ("docs/how-to/plan.md", "README.md", "how-to/plan.md"),
        ("../../README.md", "docs/how-to/plan.md", "../index.md"),
        ("../trust.md", "docs/how-to/plan.md", "../trust.md"),
        ("../Makefile", "docs/tour.md", "https://x/blob/main/Makefile"),
        ("../symstudy/store", "docs/tour.md", "https://x/tree/main/symstudy/store"),
        ("https://arxiv.org/abs/1", "docs/tour.md", "https://arxiv.org/abs/1"),
    ],
)
def test_links_lead_to_the_site_or_to_the_repository(links, target, source, turned):
    page = links.OUTSIDE.get(source, source.removeprefix("docs/"))
    assert links.turn_link(target, source, page, "https://x/") == turned


def test_a_link_that_leads_nowhere_stops_the_build(links):
    with pytest.raises(FileNotFoundError, match="no-such.md"):
        links.turn_link("no-such.md", "docs/tour.md", "tour.md", "https://x")
