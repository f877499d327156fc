"""Files that code reads are seen, whichever way Python opens them."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from symstudy.components import looking_in
from symstudy.components.opened_files import files_opened, hash_files
from symstudy.components.own_code import load_own
from symstudy.components.process_dependence import process_dependence
from symstudy.errors import ModelError


@pytest.fixture
def numbers(tmp_path):
    """A file of numbers."""
    np.save(tmp_path / "numbers.npy", np.arange(3.0))
    return tmp_path / "numbers.npy"


@pytest.mark.parametrize(
    "read",
    [
        lambda path: path.read_bytes(),
        np.load,
        lambda path: os.close(os.open(path, os.O_RDONLY)),
        lambda path: Path(os.path.relpath(path)).open("rb").close(),
    ],
)
def test_a_file_that_is_read_is_seen(numbers, read):
    with files_opened() as found:
        read(numbers)
    assert found == [numbers]


def test_what_the_code_itself_writes_and_what_python_reads_is_not(tmp_path, numbers):
    with files_opened() as found:
        (tmp_path / "own.txt").write_text("x")
        (tmp_path / "own.txt").read_text()
        for path in (os.__file__, sys.executable, "/proc/stat"):
            Path(path).open("rb").close()
    numbers.read_bytes()
    assert found == []


def test_what_packages_on_the_path_read_of_their_own_is_not(tmp_path, numbers, monkeypatch):
    packages = tmp_path / "modules" / "site-packages"
    (packages / "a.dist-info").mkdir(parents=True)
    (packages / "a.dist-info" / "entry_points.txt").write_text("[x]")
    for path, expected in (([], 2), ([str(packages)], 1)):
        monkeypatch.setattr(sys, "path", [*sys.path, *path])
        with files_opened() as found:
            (packages / "a.dist-info" / "entry_points.txt").read_text()
            numbers.read_bytes()
        assert len(found) == expected


def test_content_counts_and_names_do_not(tmp_path, numbers):
    (tmp_path / "same.npy").write_bytes(numbers.read_bytes())
    assert hash_files([numbers]) == hash_files([tmp_path / "same.npy"]) != ""
    (tmp_path / "same.npy").write_bytes(b"other")
    assert hash_files([numbers]) != hash_files([tmp_path / "same.npy"])
    assert hash_files([]) == ""


@pytest.fixture
def loss(tmp_path):
    """Write the source of a module, and return how it is named."""

    def write(source):
        (tmp_path / "loss_8b2f.py").write_text(source)
        return "loss_8b2f:weights"

    with looking_in(tmp_path):
        yield write


def test_a_module_that_reads_a_file_when_it_is_imported_is_refused_each_time(loss, numbers):
    name = loss(f"import numpy as np\nweights = np.load({str(numbers)!r})\n")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"reads no files when .* reads .*numbers\.npy"):
            load_own(name, "train.loss")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("x = hash('a')", "loss_8b2f.py:1: hash"),
        ("for each in {'a', 'b'}:\n    print(each)", "loss_8b2f.py:1: a set"),
        ("import os\nx = os.getpid()", "loss_8b2f.py:2: getpid"),
        ("x = {'a': 1}.keys() - {}", "loss_8b2f.py:1: a set of keys"),
        ("x = [each for each in sorted(('a', 'b'))]", None),
        ("x = {'a': 1}\ny = 3 - 2", None),
    ],
)
def test_what_may_depend_on_the_process_is_found_in_the_source(loss, source, place):
    assert process_dependence(loss(source)) == ([place] if place else [])
