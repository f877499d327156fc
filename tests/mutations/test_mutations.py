"""The list of mutations is true of the present code. All of them: `make test-mutations`."""

import subprocess
from pathlib import Path

import pytest
from mutation import Change, Mutation, find_rot
from mutation_campaign import campaign
from mutations import MUTATIONS

FILES = {
    "sums.py": "def add(a, b):\n    return a + b\n\n\ndef is_large(a):\n    return a > 9\n",
    "tests/test_sums.py": (
        "from sums import add, is_large\n\n\n"
        "def test_sums():\n    assert add(1, 2) == 3\n    assert is_large(20)\n"
    ),
}
TEST = "tests/test_sums.py::test_sums"


def of_sums(name: str, old: str, new: str, *tests: str) -> Mutation:
    """Return a mutation of the small repository."""
    return Mutation(name, "sums.py", [Change(old, new)], tests)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of one module and one test."""
    place = tmp_path / "repository"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    for arguments in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *arguments], cwd=place, check=True)
    return place


def test_every_mutation_can_still_be_made_and_its_tests_are_there(root: Path) -> None:
    assert find_rot(root, MUTATIONS) == []


@pytest.mark.parametrize(
    ("old", "new", "tests", "told"),
    [
        ("a * b", "a - b", [TEST], "occurs 0 times"),
        ("return a", "return b", [TEST], "occurs 2 times"),
        ("a + b", "a -", [TEST], "invalid syntax"),
        ("a + b", "a - b", ["tests/test_sums.py::test_gone"], "test_gone is not"),
        ("a + b", "a - b", [], "names none"),
    ],
)
def test_what_has_changed_since_a_mutation_was_written_is_told(
    repository: Path, old: str, new: str, tests: list[str], told: str
) -> None:
    (sentence,) = find_rot(repository, [of_sums("sums differ", old, new, *tests)])
    assert told in sentence


@pytest.mark.slow
def test_a_campaign_tells_what_its_tests_notice_from_what_survives(repository: Path) -> None:
    mutations = [
        of_sums("sums differ", "a + b", "a - b", TEST),
        of_sums("nine is large", "a > 9", "a >= 9", TEST),
    ]
    caught, survived = campaign(repository, mutations)
    assert (caught.result, caught.by) == ("caught", "test_sums.py::test_sums")
    assert survived.result == "survived"
    (repository / "tests/test_sums.py").write_text("def test_sums():\n    assert False\n")
    with pytest.raises(ValueError, match="must pass without a mutation"):
        next(campaign(repository, mutations))
