import sys

import pytest

from symstudy.errors import ProjectError, UnknownNameError
from symstudy.findings.claim import declarations
from symstudy.findings.deciding import deciding_code
from symstudy.findings.discovery import load_claims, pick_claims
from symstudy.findings.machinery import machinery
from symstudy.project import Project, find_project, list_claims

CLAIM = '''
"""A claim."""
from symstudy.findings import Finding, Verdict, claim

LIMIT = {limit}

def measure(db):
    """Measure."""
    return db

@claim(title="T", statement="S", study="x", reference="R", rule="A rule.")
def judge(measured):
    """{words}"""
    return Finding(verdict=Verdict.SUPPORTED, reason=str(LIMIT))

def draw(measured):
    """Draw."""
    return {drawn}
'''


def source(limit=1, words="Judge.", drawn=0):
    return CLAIM.format(limit=limit, words=words, drawn=drawn)


@pytest.fixture
def project(tmp_path, monkeypatch, request):
    """A project of someone else's, with a package of claims under a name of its own."""
    name = f"claims_{abs(hash(request.node.name))}"
    (tmp_path / "pyproject.toml").write_text(f'[tool.symstudy]\nanalyses = "{name}"\n')
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helpful.py").write_text("VALUE = 3\n")
    (folder / f"own_{name}.py").write_text("from .helpful import VALUE\n" + source())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["symstudy.findings.claim"], "REGISTERED", {})
    yield tmp_path
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def found_project(given=None) -> Project:
    """Return the project that is found, which there must be."""
    project = find_project(given)
    assert project is not None
    return project


def test_the_project_is_the_nearest_folder_above(project, monkeypatch):
    (project / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "down")
    assert found_project().root == project


def test_the_project_can_be_named(project, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert find_project() is None
    assert found_project(project).root == project
    monkeypatch.setenv("SYMSTUDY_PROJECT", str(project))
    assert found_project().root == project
    with pytest.raises(ProjectError, match=r"table \[tool\.symstudy\]"):
        find_project(elsewhere)


def test_claims_are_listed_without_running_them(project):
    found = found_project()
    for path in found.analyses.glob("own_*.py"):
        path.write_text(path.read_text() + "\nraise SystemExit\n")
    (listed,) = list_claims(found)
    assert (listed.statement, listed.rule) == ("S", "A rule.")


def test_claims_are_loaded_by_path_with_relative_imports(project):
    before = list(sys.path)
    claims = load_claims(find_project())
    (own,) = [claim for name, claim in claims.items() if name.startswith("own_claims")]
    assert own.judge(None).reason == "1"
    assert own.draw(None) == 0  # type: ignore[comparison-overlap]  # a claim of a test
    assert sys.path == before


def test_an_unknown_claim_names_the_nearest(project):
    with pytest.raises(UnknownNameError, match="CLAIM must be one of the known names"):
        pick_claims(find_project(), ["nonsense"])


def test_a_folder_without_init_is_refused(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.symstudy]\nanalyses = "bare_claims"\n')
    (tmp_path / "bare_claims").mkdir()
    with pytest.raises(ProjectError, match=r"has no __init__\.py"):
        load_claims(find_project(tmp_path))


def test_another_package_of_that_name_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.symstudy]\nanalyses = "json"\n')
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").write_text("")
    with pytest.raises(ProjectError, match="a package name of their own"):
        load_claims(find_project(tmp_path))


def test_the_hash_follows_what_decides_and_nothing_else():
    assert deciding_code(source()) == deciding_code(source(words="Other words.", drawn=1))
    assert deciding_code(source()) != deciding_code(source(limit=2))


MODULE = """
from pandas import merge, concat
LIMIT, COLOR = 0.1, "red"

def help_judge(value):
    return value < LIMIT

def measure(db):
    return db

def judge(measured):
    return help_judge(measured)

def draw(measured):
    return paint(measured)

def paint(measured):
    return concat(COLOR)
"""


@pytest.mark.parametrize(
    ("old", "new", "decides"),
    [
        ("merge, concat", "merge, concat, melt", False),
        ("return concat(COLOR)", "return None", False),
        ("return value < LIMIT", "return value <= LIMIT", True),
        ("0.1", "0.2", True),
        ("return db", "return db + 1", True),
    ],
)
def test_only_what_measure_and_judge_reach_is_hashed(old, new, decides):
    changed = MODULE.replace(old, new)
    assert changed != MODULE
    assert (deciding_code(changed) != deciding_code(MODULE)) is decides


def test_what_a_module_beside_decides_is_hashed_too(tmp_path):
    module = MODULE.replace("def help_judge(value):\n    return value < LIMIT\n", "").replace(
        "from pandas", "from .beside import help_judge\nfrom pandas"
    )
    beside = "LIMIT, COLOR = 0.1, 2\n\ndef help_judge(value):\n    return value < LIMIT\n"
    codes = []
    for changed in (beside, beside.replace("0.1", "0.2"), beside + "\nOTHER = 1\n"):
        (tmp_path / "beside.py").write_text(changed)
        codes.append(deciding_code(module, tmp_path / "own.py"))
    assert codes[0] != codes[1]
    assert codes[0] == codes[2]


def test_claims_of_installed_packages_are_found_by_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "plugged_claims"
    package.mkdir()
    (package / "__init__.py").write_text("from . import plugged\n")
    (package / "plugged.py").write_text(source(limit=7))
    info = tmp_path / "plugged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[symstudy.analyses]\nplugged = plugged_claims\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "plugged" in {item.name for item in list_claims(None)}
    assert load_claims(None)["plugged"].judge(None).reason == "7"
    # A notebook may take a module out of those that are imported: its claims are gone with it.
    del sys.modules["plugged_claims.plugged"]
    assert "plugged" not in declarations()


def with_tests(text, tests):
    """Return the source of a claim that declares `tests`."""
    return text.replace('rule="A rule.")', f'rule="A rule.", tests={tests})')


def test_what_is_declared_for_planning_does_not_change_the_rule():
    plain = source() + "\nMARGIN = 0.1\n"
    declared = with_tests(plain, "(SeedTest(rule='*', margin=MARGIN),)")
    assert deciding_code(declared) == deciding_code(plain)
    assert deciding_code(declared.replace("A rule.", "Another.")) != deciding_code(plain)


def test_tests_that_a_claim_declares_are_kept_and_need_not_be_read_to_list_it(project):
    (path,) = project.glob("claims_*/own_*.py")
    text = path.read_text().replace("import Finding,", "import SeedTest, Finding,")
    path.write_text(with_tests(text, "(SeedTest(rule='*', margin=0.25 * LIMIT),)"))
    (listed,) = list_claims(found_project())
    assert listed.rule == "A rule."
    (claim,) = load_claims(found_project()).values()
    assert [test.margin for test in claim.tests] == [0.25]


RULE = '''
"""A claim by a rule."""
from symstudy.findings import Bound, claim

from ..shared.limits import LIMIT

@claim(title="T", statement="S", study="x", reference="R")
def small_loss(runs):
    """Words."""
    return Bound(at_the_end(runs), "test_loss", at_most=LIMIT)

def at_the_end(runs):
    return runs.done()
'''


@pytest.fixture
def ruled(project):
    """A project with a folder `claims` and a claim by a rule, beside the flat one."""
    (folder,) = project.glob("claims_*")
    for name in ("claims", "shared"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("")
    (folder / "shared" / "limits.py").write_text("LIMIT = 1.0\n")
    (folder / "claims" / "small_loss.py").write_text(RULE)
    return folder


def test_claims_in_a_folder_claims_are_listed_and_loaded_with_flat_ones(ruled):
    listed = {item.name: item for item in list_claims(found_project())}
    assert listed["small_loss"].rule == "Bound(at_the_end(runs), 'test_loss', at_most=LIMIT)"
    claims = load_claims(found_project())
    assert set(claims) == set(listed)
    assert len(claims) == 2
    assert claims["small_loss"].rule.startswith("in the median seed test loss at most 1")
    assert claims["small_loss"].tests[0].method == "sign"


@pytest.mark.parametrize(
    ("file", "old", "new", "decides"),
    [
        ("claims/small_loss.py", "runs.done()", "runs", True),
        ("claims/small_loss.py", '"""Words."""', '"""Other words."""', False),
        ("shared/limits.py", "1.0", "2.0", True),
        ("shared/limits.py", "LIMIT = 1.0", "LIMIT = 1.0\nOTHER = 2", False),
    ],
)
def test_the_hash_of_a_rule_follows_what_it_reaches(ruled, file, old, new, decides):
    path = ruled / "claims" / "small_loss.py"
    before = deciding_code(path.read_text(), path, ["small_loss"])
    (ruled / file).write_text((ruled / file).read_text().replace(old, new))
    after = deciding_code(path.read_text(), path, ["small_loss"])
    assert (before != after) is decides


def test_the_hash_of_a_rule_covers_the_statistics_of_the_package_and_no_drawing(ruled):
    path = ruled / "claims" / "small_loss.py"
    code = deciding_code(path.read_text(), path, ["small_loss"])
    assert "name='decide_median'" in code
    assert "part:combine" in machinery()
    assert "name='draw_panels'" not in code


def test_a_claim_that_is_neither_rule_nor_functions_says_what_to_write(project):
    (path,) = project.glob("claims_*/own_*.py")
    path.write_text(path.read_text().replace("def draw(", "def paint("))
    with pytest.raises(ProjectError, match="but draw is not there"):
        load_claims(found_project(), needed=[path.stem])


def test_r4_a_project_of_somebody_else_is_not_run_unless_it_is_named(project, monkeypatch):
    monkeypatch.setattr("symstudy.ownership.trusted_owners", lambda: frozenset([54321]))
    with pytest.raises(ProjectError, match=r"your own, but of .* it belongs to .*--project"):
        load_claims(find_project())
    assert not [module for module in sys.modules if module.startswith("claims_")]
    assert any(name.startswith("own_") for name in load_claims(find_project(project)))


@pytest.mark.parametrize("place", [".", "pyproject.toml", "{name}", "{name}/helpful.py"])
def test_r4_a_project_that_others_may_write_to_is_not_run(project, place):
    found = found_project()
    (project / place.format(name=found.analyses.name)).chmod(0o777)
    with pytest.raises(ProjectError, match="everybody may write to it"):
        load_claims(found)


def test_r4_a_module_that_is_a_link_counts_as_what_it_leads_to(project, tmp_path_factory):
    planted = tmp_path_factory.mktemp("planted") / "claim.py"
    planted.write_text("raise SystemExit\n")
    planted.chmod(0o666)
    found = found_project()
    (found.analyses / "linked.py").symlink_to(planted)
    with pytest.raises(ProjectError, match=r"linked\.py' everybody may write to it"):
        load_claims(found)
