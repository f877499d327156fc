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
KINDS = 23


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
