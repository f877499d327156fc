"""Launchers by name: built in, installed, and by import path."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from symstudy.errors import LaunchError, UnknownNameError
from symstudy.launch import InlineLauncher, RayLauncher, find_launcher, launcher_names, run_study
from symstudy.launch.launchers import find

OWN = """
from symstudy.launch import AbstractLauncher

class Own(AbstractLauncher):
    pass

class Other:
    pass
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of a launcher of one's own, beside a study file."""
    (tmp_path / "my_launcher_71c.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("my_launcher_71c", None)


def install(monkeypatch, name, value):
    point = EntryPoint(name, value, find.GROUP)
    monkeypatch.setattr(
        find, "installed_points", lambda group: [point] if group == find.GROUP else []
    )


def test_built_in_launchers_are_the_files_of_their_folder():
    assert find_launcher("inline") is InlineLauncher
    assert find_launcher("ray") is RayLauncher
    assert launcher_names() == ["auto", "inline", "ray"]


def test_a_wrong_name_gives_the_nearest_and_all_there_are():
    with pytest.raises(UnknownNameError, match=r"got 'rey'\. Did you mean 'ray'\? Known: auto"):
        find_launcher("rey")


def test_an_installed_launcher_is_found_by_its_name(own_module, monkeypatch):
    monkeypatch.syspath_prepend(own_module)
    install(monkeypatch, "mine", "my_launcher_71c:Own")
    assert find_launcher("mine").__name__ == "Own"
    assert launcher_names() == ["auto", "inline", "mine", "ray"]


def test_an_installed_launcher_cannot_take_a_built_in_name(monkeypatch):
    install(monkeypatch, "ray", "my_launcher_71c:Own")
    with pytest.raises(LaunchError, match="'ray' is built in and also my_launcher_71c:Own"):
        find_launcher("ray")


def test_a_class_beside_the_study_file_is_found_by_its_path(own_module):
    assert find_launcher("my_launcher_71c:Own", [own_module]).__name__ == "Own"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my_launcher_71c:Other", "must be a subclass of symstudy.launch.AbstractLauncher"),
        ("my_launcher_71c:Missing", "has no attribute 'Missing'"),
        ("no_such_module_71c:Own", "No module named"),
        (":Own", "Type it as package.module:Class"),
    ],
)
def test_a_path_that_is_no_launcher_is_refused(own_module, name, said):
    with pytest.raises(LaunchError, match=said):
        find_launcher(name, [own_module])


def test_a_study_is_run_by_the_name_of_a_launcher(study_of, tmp_path):
    assert run_study(study_of(), str(tmp_path), launcher="inline").done == 1
    assert run_study(study_of(sweep={"seed": 2}), str(tmp_path)).done == 1
    with pytest.raises(UnknownNameError, match="launcher must be one of"):
        run_study(study_of(), str(tmp_path), launcher="slurm")


def test_the_inline_launcher_has_one_worker(study_of):
    with pytest.raises(LaunchError, match=r"one worker, but got --workers 4.*--launcher ray"):
        InlineLauncher.from_options(study_of().pack, workers=4)


def test_finding_a_launcher_loads_neither_ray_nor_torch():
    code = (
        "import sys\n"
        "from symstudy.launch import find_launcher\n"
        "find_launcher('ray')\n"
        "print('ray' in sys.modules, 'torch' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]
