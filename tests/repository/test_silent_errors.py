"""Every input that once gave a wrong number has a test, and the page that lists them names it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "design" / "silent-errors.md"
ROWS = [
    line
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| input |")
]
KINDS = 26
MARKS = [
    *(f"W{number}" for number in range(1, 12)),
    *(f"R{number}" for number in range(1, 10)),
    *(f"G{number}" for number in range(1, 10)),
]


@cache
def names_of_tests(path):
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_page_has_every_kind():
    assert PAGE.read_text(encoding="utf-8").count("\n| input |") == KINDS
    assert len(ROWS) > 90


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_each_input_names_a_test_that_is_there(row):
    named = re.findall(r"`(tests/[^`]+)`", row)
    assert named, "a row ends with its test"
    for name in named:
        file, _, test = name.partition("::")
        assert (ROOT / file).is_file(), name
        assert not test or test in names_of_tests(ROOT / file), name


def rows_of_mark(mark):
    """Return the rows that have a mark, or whose table has it for all of them."""
    found, has_it = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            marks = re.findall(r"[WRG]\d+", line.rpartition("(")[2])
            has_it = marks == [mark]
        elif line in ROWS and (has_it or mark in line.partition(":")[0].strip("| ").split(", ")):
            found.append(line)
    return found


@pytest.mark.parametrize("mark", MARKS)
def test_each_mark_has_an_input_with_its_test(mark):
    assert rows_of_mark(mark)
