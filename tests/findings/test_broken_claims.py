"""One bad claim file stops no other claim, and is told."""

import dataclasses
import re
import sys

import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.errors import ProjectError
from symstudy.findings.claim import SHIPPED
from symstudy.findings.discovery import load_claims
from symstudy.project import find_project, list_claims, shipped_project
from symstudy.testing.stores import plant_store

GOOD = '''
from symstudy.findings import Bound, claim

@claim(title="T", statement="S", study="x", reference="R")
def {name}(runs):
    """Words."""
    return Bound(runs.done(), "test_loss", at_most=1.0)
'''

F_STRING = """
from symstudy.findings import Finding, Verdict, claim
LIMIT = 2

def measure(db):
    return db

@claim(title="T", statement="S", study="x", reference="R", rule=f"At most {LIMIT}.")
def judge(measured):
    return Finding(verdict=Verdict.SUPPORTED, reason="")

def draw(measured):
    return None
"""

BROKEN = {
    "syntax": ("def broken(:\n", r"line 1: "),
    "raises": (GOOD.format(name="broken") + "\n1 / 0\n", r"ZeroDivisionError.*broken\.py:9"),
    "exits": ("raise SystemExit(3)\n", "SystemExit"),
    "no_study": (GOOD.format(name="broken").replace('study="x", ', ""), "study"),
    "no_rule": (
        GOOD.format(name="broken").replace("runs.done()", "runs.no_such_step()"),
        "no_such",
    ),
}


@pytest.fixture
def project(tmp_path, monkeypatch, request):
    """A project with one good claim and whatever files a test adds."""
    package = f"claims_{abs(hash(request.node.name))}"
    (tmp_path / "pyproject.toml").write_text(f'[tool.symstudy]\nanalyses = "{package}"\n')
    folder = tmp_path / package
    for place in (folder, folder / "claims"):
        place.mkdir()
        (place / "__init__.py").write_text("")
    (folder / "claims" / "good.py").write_text(GOOD.format(name="good"))
    monkeypatch.setattr(sys.modules["symstudy.findings.claim"], "REGISTERED", {})
    names = (package, SHIPPED)
    for name in [name for name in sys.modules if name.startswith(names)]:
        monkeypatch.delitem(sys.modules, name)
    yield folder
    for name in [name for name in sys.modules if name.startswith(names)]:
        del sys.modules[name]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_claim_is_told_and_stops_no_other(project, kind):
    text, reason = BROKEN[kind]
    (project / "claims" / "broken.py").write_text(text)
    found = find_project(project.parent)
    said: list[str] = []
    claims = load_claims(found, said.append)
    assert set(claims) == {"good"}
    (message,) = said
    assert message.startswith("claim 'broken' is left out")
    assert re.search(reason, message)
    assert "good" in {item.name for item in list_claims(found, said.append)}
    with pytest.raises(ProjectError, match="claim 'broken' is left out"):
        load_claims(found, said.append, needed=["broken"])


def test_an_f_string_in_a_rule_is_listed_as_written_and_run_as_meant(project):
    (project / "claims" / "stringy.py").write_text(F_STRING)
    found = find_project(project.parent)
    (listed,) = [item for item in list_claims(found) if item.name == "stringy"]
    assert "At most {LIMIT}." in listed.rule
    assert load_claims(found)["stringy"].rule == "At most 2."


def test_the_first_of_two_claims_of_one_name_counts_and_both_are_told(project):
    (project / "good.py").write_text(GOOD.format(name="good"))
    found = find_project(project.parent)
    said: list[str] = []
    assert load_claims(found, said.append)["good"].study == "x"
    assert "Rename one of the files" in said[0]
    list_claims(found, said.append)
    assert "are both called 'good'; the first one counts" in said[1]


def test_a_package_that_cannot_be_imported_is_refused_with_its_line(project):
    (project / "__init__.py").write_text("\n1 / 0\n")
    with pytest.raises(ProjectError, match=r"must be importable.*ZeroDivisionError.*:2\)"):
        load_claims(find_project(project.parent))


def test_shipped_claims_are_there_without_a_project_with_the_same_rule(project, root, monkeypatch):
    shipped = shipped_project()
    assert shipped is not None
    assert "width_saturation" in {item.name for item in list_claims(None)}
    mine = load_claims(find_project(project.parent), needed=["width_saturation"])
    sys.modules["symstudy.findings.claim"].REGISTERED.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "analysis"]:
        monkeypatch.delitem(sys.modules, name)
    own = load_claims(find_project(root))
    assert {"good", *own} == set(mine)
    assert {name: claim.rule_hash for name, claim in own.items()} == {
        name: claim.rule_hash for name, claim in mine.items() if name != "good"
    }


def test_a_claim_of_the_project_wins_over_a_shipped_one(project):
    (project / "claims" / "width_saturation.py").write_text(GOOD.format(name="width_saturation"))
    claims = load_claims(find_project(project.parent), needed=["width_saturation", "depth_gap"])
    assert claims["width_saturation"].study == "x"
    assert claims["depth_gap"].study == "depth_gap"


def test_analyze_tests_the_other_claims_and_ends_with_2(project, study_of, monkeypatch):
    (project / "claims" / "broken.py").write_text(GOOD.format(name="broken") + "\n1 / 0\n")
    lost = GOOD.format(name="lost").replace("test_loss", "no_such_column")
    (project / "claims" / "lost.py").write_text(lost)
    monkeypatch.chdir(project.parent)
    study = dataclasses.replace(study_of(sweep={"seed": 5}), claims=("broken", "lost", "good"))
    plant_store(project.parent / "results", study, lambda run: {"test_loss": 0.5})
    said = CliRunner().invoke(app, ["analyze", "results"])
    assert said.exit_code == 2
    # What could not be tested belongs to the study's family all the same.
    assert "good on small: INCONCLUSIVE (supported alone" in said.stdout
    assert "claim 'broken' is left out" in said.stderr
    assert "claim 'lost' on small fails" in said.stderr


def load(project, say):
    return load_claims(find_project(project.parent), say)


@pytest.mark.parametrize("how", ["edited", "assigned", "shared"])
def test_a_claim_that_is_not_what_its_file_says_does_not_judge(project, how):
    claim, shared = project / "claims" / "good.py", project / "shared.py"
    shared.write_text("LIMIT = 1.0\n")
    text = f"from {project.name}.shared import LIMIT\nBOUND = 1.0\n" + GOOD.format(name="good")
    claim.write_text(text.replace("at_most=1.0", "at_most=BOUND * LIMIT"))
    assert set(load(project, print)) == {"good"}
    if how == "assigned":
        vars(sys.modules[f"{project.name}.claims.good"])["BOUND"] = 2.0
    else:
        file = claim if how == "edited" else shared
        file.write_text(file.read_text().replace("1.0", "200.0", 1))
    said: list[str] = []
    assert load(project, said.append) == {}
    (message,) = said
    assert re.search(r"good\.py|shared\.py", message)
    assert "Start Python again" in message
