"""A project of a researcher's own on the built wheel: eight kinds of training, each killed once.

The files of each study are those that its page in `docs/how-to/models` shows.
"""

import dataclasses
import json
from typing import Any, NamedTuple

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("acceptance")]


class Case(NamedTuple):
    """What is to come of a study.

    Attributes:
        study: Its name.
        axes: Columns of what it sweeps.
        said: What `validate` says of how the runs of a pack go.
        engine: Engine of its runs.
        words: Options of `run`.
    """

    study: str
    axes: tuple[str, str]
    said: str
    engine: str
    words: tuple[str, ...] = ("--launcher=inline",)


CASES = [
    Case("resnet", ("lr", "gamma"), "one by one", "one-by-one-torch-cpu"),
    Case("vit", ("lr", "embed_dim"), "through in one call of vmap", "torch-cpu"),
    Case("chars", ("lr", "n_embd"), "through in one call of vmap", "torch-cpu"),
    Case(
        "sequences", ("lr", "length"), "one by one: RuntimeError: Batching", "one-by-one-torch-cpu"
    ),
    Case("field", ("lr", "grid"), "through in one call of vmap", "torch-cpu"),
    Case("customers", ("lr", "width"), "12 runs", "compiled", ("--workers=1",)),
    Case("views", ("lr", "jitter"), "one by one: it draws random numbers", "one-by-one-torch-cpu"),
    Case("script", ("lr", "width"), "12 runs", "program"),
]
CLAIM = 'claims=["faster_at_larger_rates"]'


COMPARISON = """
import sys, torch
from {bare} import {name} as theirs
from {copy} import {name} as ours

theirs, ours = theirs(**{keys}), ours(**{keys})
ours.load_state_dict(theirs.state_dict(), strict=True)
x = torch.randn(3, 3, 32, 32)
for training in (True, False):
    assert torch.equal(theirs.train(training)(x), ours.train(training)(x))
names = [[name for name, _ in each.named_parameters()] for each in (theirs, ours)]
assert names[0] == names[1]
"""
KEYS = {
    "resnet": {"num_classes": 10},
    "vit": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2},
}


@pytest.mark.parametrize("study", KEYS)
def test_a_copy_computes_what_the_module_of_the_library_does(installed, study):
    bare, copy, name = installed.modules(study)
    if not installed.has(bare):
        pytest.skip(f"{bare} cannot be imported: nothing to compare {copy} with")
    script = COMPARISON.format(bare=bare, copy=copy, name=name, keys=KEYS[study])
    (installed.folder / "comparison.py").write_text(script)
    installed.call(module="comparison")


@dataclasses.dataclass(frozen=True)
class Record:
    """A study as it was tried.

    Attributes:
        case: What was to come of it.
        said: What `validate` said.
        missing: How many runs were missing after the kill.
        again: What the second `run` counted.
    """

    case: Case
    said: str
    missing: int
    again: Any


@pytest.fixture(scope="module", params=CASES, ids=[case.study for case in CASES])
def record(installed, request) -> Record:
    """A study: validated, run, killed after its first result, and run again."""
    case = request.param
    words = [*installed.overrides(case.study), CLAIM]
    said = installed.call("validate", f"{case.study}.toml", *words)
    missing = installed.run_killed(case.study, *words, *case.words)
    again = installed.read("run", f"{case.study}.toml", *words, *case.words)
    return Record(case, said, missing, again)


def test_validate_says_how_the_runs_of_a_pack_go(record):
    assert "4 cells x 3 seeds = 12 runs" in record.said
    assert record.case.said in record.said


def test_a_study_that_was_killed_goes_on_with_what_is_missing(record):
    assert 0 < record.missing < 12
    assert record.again["trained"] == record.missing


def test_every_run_ended_once_and_packed_equals_alone(installed, record):
    (proof,) = installed.read("verify", f"results/{record.case.study}")
    assert proof["proven"]
    assert (proof["planned"], proof["done"]) == (12, 12)
    if record.case.engine != "program":
        assert proof["certificate"]["runs"] >= 2
        assert proof["certificate"]["holds"]


def test_both_axes_are_columns_of_sql(installed, record):
    first, second = record.case.axes
    asked = (
        f"select {first}, {second}, engine, count(distinct seed) as seeds, avg(train_loss) as loss "
        "from runs group by all order by all"
    )
    results = f"results/{record.case.study}"
    rows = json.loads(installed.call("query", results, asked, "--format=json"))
    assert len({(row[first], row[second]) for row in rows}) == 4
    assert {row["seeds"] for row in rows} == {3}
    assert {row["engine"] for row in rows} == {record.case.engine}
    assert all(row["loss"] > 0 for row in rows)


def test_its_claim_has_a_figure(installed, record):
    paths = installed.read("plot", f"results/{record.case.study}")
    (figure,) = [installed.folder / path for path in paths if path.endswith(".svg")]
    assert figure.stat().st_size > 1000
    assert "lr" in figure.with_suffix(".csv").read_text().splitlines()[0].split(",")


def test_a_heat_map_of_both_axes_needs_no_claim(installed, record):
    first, second = record.case.axes
    axes = ("--x", first, "--y", second, "--color", "train_loss", "--format", "svg")
    drawn = installed.read("plot", "heatmap", f"results/{record.case.study}", *axes)
    (figure,) = [installed.folder / path for path in drawn["files"] if path.endswith(".svg")]
    assert figure.stat().st_size > 1000
    (table,) = [installed.folder / path for path in drawn["files"] if path.endswith(".csv")]
    assert len(table.read_text().splitlines()) == 1 + 4


def test_the_report_names_the_study_and_its_verdict(installed, record):
    found = installed.read("report", f"results/{record.case.study}")
    page = (installed.folder / found["report"]).read_text()
    assert record.case.study in page
    assert "Larger rates have come further" in page
