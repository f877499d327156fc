"""The hash of a rule changes with whatever decides, the package's own code included."""

import ast
from pathlib import Path

import pytest

from symstudy.findings.deciding import PACKAGE, deciding_code, read_text
from symstudy.findings.machinery import machinery_code, plain_sql, views

CLAIM = """
from symstudy import findings
from symstudy.findings import *
from symstudy.statistics import sequential

def declared(runs):
    return All(
        Given(Flat(runs, "a"), Grows(runs, "a")), Monotone(runs, "a"), Ratio(runs, "a"),
        PowerLaw(runs, "a"), Exact(runs, "a"), Bound(runs, "a"), Paired(runs, "a"),
        Every(runs, "a"), Explained(runs, "a"), Settled(Reported(runs, "a")), Shown(runs),
        Needed(Flat(runs, "a")),
    )

def judge(measured):
    findings.seed_part(measured), findings.median_part(measured), findings.fisher_p(measured)
    findings.bootstrap_test(measured), findings.bootstrap(measured), findings.spearman(measured)
    findings.permutation_p(measured), findings.fit_power_law(measured)
    findings.student_table(measured), findings.isotonic(measured), log_slope(measured)
    sequential.p_of_looks(measured, sequential.plan_looks(measured))
    return sequential.judge_looks(measured, sequential.plan_looks(measured))
"""
FILES = [
    *(f"statistics/{name}.py" for name in (
        "correlations", "families", "fits", "intervals", "part", "sequential", "tests", "variance",
    )),
    *(f"findings/{name}.py" for name in ("choices", "conclude", "evidence", "finding", "standing")),
    *(f"findings/rules/{name}.py" for name in (
        "base", "combined", "every", "exact", "explained", "given", "level", "power_law", "ratio",
        "sweep",
    )),
    "store/tables/view_statements.py",
]  # fmt: skip
SILENT = {
    "findings/standing.py:told": "words",
    "statistics/fits.py:OFFSET_STARTS": "a number for tables of fits",
}
"""What decides nothing, with the reason."""


def hashed(read=read_text):
    """Return all that decides a claim that uses every rule and test."""
    claim = deciding_code(CLAIM, Path("/nowhere/claim.py"), ("declared", "judge"), read)
    return claim + machinery_code(read)


def marked(path):
    """Return a module with a mark of its own in every function and constant, and their names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = []
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        for each in inner:
            if isinstance(each, ast.FunctionDef):
                names.append(each.name if each is node else f"{node.name}.{each.name}")
                each.body.append(ast.Assert(ast.Constant(f"mark of {names[-1]}")))
            elif isinstance(each, ast.Assign | ast.AnnAssign) and each.value is not None:
                target = each.targets[0] if isinstance(each, ast.Assign) else each.target
                names.append(ast.unparse(target))
                each.value = ast.Tuple([each.value, ast.Constant(f"mark of {names[-1]}")])
    return ast.unparse(tree), [name for name in names if name != "__all__"]


@pytest.mark.parametrize("file", FILES)
def test_every_function_and_constant_that_decides_is_hashed(file):
    path = PACKAGE / file
    text, names = marked(path)
    code = hashed(lambda each: text if each == path else read_text(each))
    unseen = {f"{file}:{name}" for name in names if f"'mark of {name}'" not in code}
    assert unseen == {name for name in SILENT if name.startswith(f"{file}:")}


def test_the_sql_of_the_views_is_hashed_without_its_comments():
    assert any("from runs_files" in view for view in views())
    assert plain_sql("-- words\nselect  a -- more\nfrom b") == "select a from b"
    assert set(views()) <= set(machinery_code(read_text).splitlines())
    assert "symmetry.thresholds:CURVE_THRESHOLDS" in machinery_code(read_text)


FORMS = {
    "an attribute of a module": ("from . import beside", "beside.helped(x)"),
    "an attribute of a module by another name": ("from . import beside as b", "b.helped(x)"),
    "an absolute import of its own package": ("from own.beside import helped", "helped(x)"),
    "a module of its own package": ("import own.beside", "own.beside.helped(x)"),
    "a star": ("from .beside import *", "helped(x)"),
    "an import in a function": ("", "__import__\n    from .beside import helped\n    helped(x)"),
    "an import under a condition": ("if True:\n    from .beside import helped", "helped(x)"),
    "a default argument": ("from .beside import LIMIT\ndef f(x, y=LIMIT): ...", "f(x)"),
    "a base class": ("from .beside import Base\nclass C(Base): ...", "C().decide(x)"),
    "a decorator": ("from .beside import helped\n@helped\ndef f(x): ...", "f(x)"),
    "a whole module": ("from . import beside", "vars(beside)"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_lies_in_another_file_is_hashed_however_it_is_reached(tmp_path, form):
    imported, used = FORMS[form]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").write_text("")
    claim = tmp_path / "own" / "claim.py"
    text = f"{imported}\ndef judge(x):\n    return {used}\n"
    codes = []
    for limit in (1, 2):
        (tmp_path / "own" / "beside.py").write_text(
            f"LIMIT = {limit}\nclass Base:\n    top = LIMIT\ndef helped(x):\n    return x < LIMIT\n"
        )
        codes.append(deciding_code(text, claim))
    assert codes[0] != codes[1]


@pytest.mark.parametrize(
    "altered", ["LIMITS['b'] = {}", "LIMITS |= {{'b': {}}}", "LIMITS.update(b={})"]
)
def test_a_constant_that_is_altered_after_its_first_line_counts_as_altered(altered):
    text = "LIMITS = dict(a=1)\n" + altered + "\ndef judge(x):\n    return LIMITS\n"
    assert deciding_code(text.format(1)) != deciding_code(text.format(2))


def test_two_modules_of_one_name_are_told_apart(tmp_path):
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path, tmp_path / "inner"):
        (folder / "__init__.py").write_text("")
        (folder / "limits.py").write_text("LOW = 1\nHIGH = 2\n")
    text = "from .limits import LOW\nfrom ..limits import HIGH\ndef judge(x):\n    return LOW, HIGH"
    claim = tmp_path / "inner" / "claim.py"
    before = deciding_code(text, claim)
    (tmp_path / "limits.py").write_text("LOW = 1\nHIGH = 3\n")
    assert deciding_code(text, claim) != before


def test_only_the_names_that_are_taken_of_a_module_count(tmp_path):
    (tmp_path / "__init__.py").write_text("")
    text = "from . import beside\ndef judge(x):\n    return beside.one(x)\n"
    codes = []
    for other in (1, 2):
        (tmp_path / "beside.py").write_text(f"def one(x): ...\ndef two(x):\n    return {other}\n")
        codes.append(deciding_code(text, tmp_path / "claim.py"))
    assert codes[0] == codes[1]


def test_a_decorator_of_ones_own_that_takes_tests_decides():
    text = "def judge(x):\n    return f(x)\n@own(tests={})\ndef f(x): ...\n"
    assert deciding_code(text.format(1)) != deciding_code(text.format(2))
