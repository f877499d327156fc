"""The page on data of one's own, followed literally: files are made, every study runs."""

import re
import runpy

import pytest

from symstudy.launch import InlineLauncher, open_study_folder, run_study
from symstudy.store import Store
from symstudy.study import load_study

BLOCK = re.compile(r"```(?:python|toml)\n# (\S+\.(?:py|toml))\n(.*?)```", re.DOTALL)


@pytest.fixture
def page(root, place):
    """The text of the page, with the files that it shows in the working directory."""
    text = (root / "docs" / "how-to" / "dataset.md").read_text()
    for name, body in BLOCK.findall(text):
        (place / name).write_text(body)
    runpy.run_path(str(place / "make_files.py"))
    return text


@pytest.mark.parametrize(("name", "runs"), [("weather", 4), ("small", 2), ("pictures", 2)])
def test_a_study_of_the_page_trains_in_the_compiled_kernels(page, place, trained, name, runs):
    assert f"\nsymstudy run {name}.toml\n" in page
    columns = trained(load_study(place / f"{name}.toml"))
    assert list(columns["outcome"]) == ["done"] * runs
    assert set(columns["engine"]) == {"compiled"}


def test_the_keys_of_a_function_are_columns_of_the_results(page, place):
    assert "\nsymstudy run moons.toml\n" in page
    study = load_study(place / "moons.toml")
    summary = run_study(study, str(place / "results"), InlineLauncher(device="cpu"))
    assert (summary.done, summary.failed) == (4, 0)
    store = Store([open_study_folder(str(place / "results"), study)])
    found = store.sql("select distinct data, noise, input_dim, output_dim from runs order by noise")
    assert found.rows == [("my_moons:moons", 0.1, 2, 2), ("my_moons:moons", 0.3, 2, 2)]
