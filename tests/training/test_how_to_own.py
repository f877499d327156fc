"""The pages on code of one's own, followed literally: files are written, studies run."""

import importlib
import re

import pytest

from symstudy.cli.studies import validate
from symstudy.launch import InlineLauncher, open_study_folder, run_study
from symstudy.store import Store
from symstudy.study import load_study
from symstudy.testing.optimizers import OptimizerSuite

PAGES = {
    "loss.md": ("huber.toml", 2),
    "optimizer.md": ("signum.toml", 4),
    "optimizer.md, warm-up and clipping": ("warm.toml", 4),
    "optimizer.md, a class of torch": ("rprop.toml", 4),
    "width.md": ("carried.toml", 4),
    "stop.md": ("plateau.toml", 4),
    "dataset.md": ("spiral.toml", 4),
    "model.md": ("wide.toml", 4),
    "measure.md": ("measured.toml", 2),
}
BLOCK = re.compile(r"```(?:python|toml)\n# (\S+\.(?:py|toml))\n(.*?)```", re.DOTALL)


@pytest.fixture
def follow(root, tmp_path):
    """Write the files that a page shows; return results of the study that it runs."""

    def run(page):
        text = (root / "docs" / "how-to" / page.partition(",")[0]).read_text()
        study_file, _ = PAGES[page]
        for name, body in BLOCK.findall(text):
            (tmp_path / name).write_text(body)
        assert f"symstudy run {study_file}\n" in text
        study = load_study(tmp_path / study_file)
        results = str(tmp_path / "results")
        summary = run_study(study, results, InlineLauncher(device="cpu"))
        return summary, Store([open_study_folder(results, study)])

    return run


@pytest.mark.parametrize("page", PAGES)
def test_the_study_of_a_page_trains_all_its_runs(follow, page):
    summary, store = follow(page)
    assert (summary.done + summary.early, summary.failed) == (PAGES[page][1], 0)
    assert store.sql("select count(distinct test_loss) from runs").rows == [(PAGES[page][1],)]


def test_validate_says_of_the_page_on_models_what_it_is(root, tmp_path, capsys):
    text = (root / "docs" / "how-to" / "model.md").read_text()
    assert "symstudy validate wide.toml\n" in text
    for name, body in BLOCK.findall(text):
        (tmp_path / name).write_text(body)
    validate(tmp_path / "wide.toml")
    said = capsys.readouterr().out
    assert re.search(r"module   Wide\(.*width=8.*\)\n +takes \[samples, \d+\] of floats", said)
    assert "runs go one by one: it draws random numbers" in said


def test_the_rule_of_the_page_on_stopping_says_why_it_has_ended_runs(follow):
    summary, store = follow("stop.md")
    assert summary.early > 0
    query = "select count(*) from runs where outcome = 'stopped' and steps_done < 2000 and reason"
    assert store.sql(
        f"{query} like 'train.stop = ''my_rules:plateau'' ended the run at step %'"
    ).rows == [(summary.early,)]


def test_the_compiled_step_of_the_page_trains_and_is_its_step(follow):
    _, store = follow("optimizer.md")
    assert store.sql("select distinct engine from runs").rows == [("compiled",)]
    signum = importlib.import_module("my_optimizers").Signum
    lanes = [signum(), signum(blend=0.5), signum(blend=0.0)]
    OptimizerSuite().test_its_compiled_step_is_its_step(lanes, "float64")


def test_the_layout_of_the_page_on_models_gives_measures_of_neurons(follow):
    _, store = follow("model.md")
    found = store.sql("select layer, distinct_neurons from layers order by all").rows
    assert {layer for layer, _ in found} == {1}
    assert {count for _, count in found} <= set(range(9))
    assert store.sql("select distinct num_parameters from runs").rows != [(0,)]


def test_the_columns_of_the_page_on_measures_are_there(follow):
    _, store = follow("measure.md")
    rows = store.sql("select mean_peak_norm, steepness, best_test_loss from runs").rows
    assert all(value is not None and value > 0 for row in rows for value in row)
