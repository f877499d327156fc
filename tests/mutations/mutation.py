"""A mutation of the product, and what keeps a list of them from rotting."""

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Change", "Mutation", "find_rot", "mutated_text"]


class Change(NamedTuple):
    """A replacement in a file.

    Attributes:
        old: Text that must occur exactly once.
        new: Text that takes its place.
    """

    old: str
    new: str


class Mutation(NamedTuple):
    """A wrong product, one fault away from the right one, and the tests that must fail on it.

    Attributes:
        name: What is wrong, in words.
        file: Path of the file within the repository.
        changes: Replacements in that file that make it wrong.
        tests: Files of tests, or tests in them as pytest names them; one at least must fail.
    """

    name: str
    file: str
    changes: Sequence[Change]
    tests: Sequence[str]

    @property
    def is_of_kernels(self) -> bool:
        """Whether compiled code changes."""
        return self.file.startswith("symstudy/kernels/")


def mutated_text(text: str, mutation: Mutation) -> str:
    """Return a file's text with the changes of a mutation.

    Raises:
        ValueError: If the text that a change replaces does not occur exactly once.
    """
    for change in mutation.changes:
        count = text.count(change.old)
        if count != 1:
            raise ValueError(
                f"mutation {mutation.name!r}: this text must occur once in {mutation.file}, but "
                f"occurs {count} times:\n{change.old}\nTake its present form over into "
                "tests/mutations."
            )
        text = text.replace(change.old, change.new)
    return text


def find_rot(root: Path, mutations: Iterable[Mutation]) -> list[str]:
    """Return what is wrong with a list of mutations, a sentence each.

    Args:
        root: The repository.
        mutations: The list.
    """
    found: list[str] = []
    names: set[str] = set()
    for mutation in mutations:
        if mutation.name in names:
            found.append(
                f"mutation {mutation.name!r}: its name must be its own, but is there twice"
            )
        names.add(mutation.name)
        try:
            text = mutated_text((root / mutation.file).read_text(encoding="utf-8"), mutation)
            compile(text, mutation.file, "exec")
        except (OSError, ValueError, SyntaxError) as error:
            found.append(str(error))
        if not mutation.tests:
            found.append(f"mutation {mutation.name!r}: must name a test, but names none")
        found.extend(
            f"mutation {mutation.name!r}: its tests must be there, but {test} is not"
            for test in mutation.tests
            if not has_test(root, test)
        )
    return found


def has_test(root: Path, test: str) -> bool:
    """Return whether there is a file of tests, or a test in one."""
    file, _, name = test.partition("::")
    path = root / file
    return path.is_file() and (not name or name.partition("[")[0] in names_of_tests(path))


def names_of_tests(path: Path) -> set[str]:
    """Return the names of the tests of a file, as pytest has them after the file's path."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inside = (item for item in node.body if isinstance(item, ast.FunctionDef))
            found.update(f"{node.name}::{item.name}" for item in inside)
    return found
