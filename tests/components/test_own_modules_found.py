"""Own modules: where they lie does not count, and Python must import those that do."""

import sys

import pytest

from symstudy.components import looking_in, source_of
from symstudy.components.own_code import load_own
from symstudy.errors import ModelError

NET = "import parts_5e1c\nScale = parts_5e1c.SCALE\n"


@pytest.fixture
def beside(tmp_path):
    """A folder with a module and the one that it imports."""
    place = tmp_path / "beside"
    place.mkdir()
    (place / "net_5e1c.py").write_text(NET)
    (place / "parts_5e1c.py").write_text("SCALE = 1.0\n")
    return place


def test_modules_in_folders_of_their_own_are_the_source_that_they_were(beside, tmp_path):
    with looking_in(beside):
        together = source_of("net_5e1c:Scale")
    for name in ("net_5e1c", "parts_5e1c"):
        (tmp_path / name).mkdir()
        (beside / f"{name}.py").rename(tmp_path / name / f"{name}.py")
    sys.path.append(str(tmp_path / "parts_5e1c"))
    with looking_in(tmp_path / "net_5e1c"):
        assert source_of("net_5e1c:Scale") == together
        (tmp_path / "parts_5e1c" / "parts_5e1c.py").write_text("SCALE = 2.0\n")
        assert source_of("net_5e1c:Scale") != together


def test_a_module_that_python_takes_for_another_one_is_refused(beside, tmp_path):
    elsewhere = tmp_path / "installed"
    elsewhere.mkdir()
    (elsewhere / "parts_5e1c.py").write_text("SCALE = 2.0\n")
    sys.path.insert(0, str(elsewhere))
    with (
        looking_in(beside),
        pytest.raises(ModelError, match=r"`import parts_5e1c` is not .*beside"),
    ):
        load_own("net_5e1c:Scale", "model.kind")


def test_the_same_file_in_another_place_is_the_same_module(beside, tmp_path):
    elsewhere = tmp_path / "travelled"
    elsewhere.mkdir()
    (elsewhere / "parts_5e1c.py").write_text("SCALE = 1.0\n")
    sys.path.insert(0, str(elsewhere))
    with looking_in(beside):
        assert load_own("net_5e1c:Scale", "model.kind") == 1.0
