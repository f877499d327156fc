"""The list of mutations is true of the present code. All of them: `make test-mutations`."""

import subprocess
from pathlib import Path

import pytest

FILES = {
    "sums.py": "def add(a, b):\n    return a + b\n\n\ndef is_large(a):\n    return a > 9\n",
    "tests/test_sums.py": (
        "from sums import add, is_large\n\n\n"
        "def test_sums():\n    assert add(1, 2) == 3\n    assert is_large(20)\n"
    ),
}


@pytest.fixture
def modules(monkeypatch):
    """The scripts beside this file."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import mutation
    import mutation_campaign
    import mutations

    return mutation, mutations, mutation_campaign


@pytest.fixture
def repository(tmp_path):
    """A repository of one module and one test."""
    place = tmp_path / "repository"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    for arguments in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *arguments], cwd=place, check=True)
    return place


def test_every_mutation_can_still_be_made_and_its_tests_are_there(modules, root):
    mutation, mutations, _ = modules
    assert mutation.find_rot(root, mutations.MUTATIONS) == []


def test_what_has_changed_since_a_mutation_was_written_is_told(modules, repository):
    mutation, _, _ = modules

    def rot(*, old="a + b", new="a - b", tests=("tests/test_sums.py::test_sums",)):
        return mutation.find_rot(
            repository,
            [mutation.Mutation("sums differ", "sums.py", [mutation.Change(old, new)], tests)],
        )

    assert rot() == []
    assert "occurs 0 times" in rot(old="a * b")[0]
    assert "occurs 2 times" in rot(old="return a")[0]
    assert "invalid syntax" in rot(new="a -")[0]
    assert "test_gone is not" in rot(tests=("tests/test_sums.py::test_gone",))[0]
    assert "names none" in rot(tests=())[0]


@pytest.mark.slow
def test_a_campaign_tells_what_its_tests_notice_from_what_survives(modules, repository):
    mutation, _, mutation_campaign = modules
    test = "tests/test_sums.py::test_sums"
    list_of_two = [
        mutation.Mutation("sums differ", "sums.py", [mutation.Change("a + b", "a - b")], [test]),
        mutation.Mutation("nine is large", "sums.py", [mutation.Change("a > 9", "a >= 9")], [test]),
    ]
    caught, survived = mutation_campaign.campaign(repository, list_of_two)
    assert (caught.result, caught.by) == ("caught", "test_sums.py::test_sums")
    assert survived.result == "survived"
    (repository / "tests/test_sums.py").write_text("def test_sums():\n    assert False\n")
    with pytest.raises(ValueError, match="must pass without a mutation"):
        next(mutation_campaign.campaign(repository, list_of_two))
