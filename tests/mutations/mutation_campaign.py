"""Mutations of the product that its tests must notice: `make test-mutations`.

The tracked files are copied to a temporary folder. There one mutation at a time is made, its tests
are run, and the file is put back. A mutation on which all of its tests pass has survived: something
of the product can be wrong and no test would tell. First the tests must pass without any mutation.

The copy has a cache of compiled kernels of its own, which begins as a copy of the user's: kernels
are compiled anew only where a mutation changes them.
"""

import argparse
import contextlib
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, final

from mutation import Mutation, find_rot, mutated_text
from mutations import MUTATIONS

from symstudy.kernels.jit import CACHE_FOLDER

__all__ = ["Outcome", "campaign", "copy_tracked", "main"]

ROOT = Path(__file__).parents[2]
LIMIT_S = 600.0
"""Longest time that the tests of a mutation may take; what is slower has shown nothing."""
PYTEST = ("-q", "-x", "-n", "0", "-m", "not gpu", "-p", "no:cacheprovider", "-p", "no:randomly")
PASSED, FAILED, BROKEN = 0, 1, 2
"""Exit statuses of pytest; others than the first two say that its tests could not be run."""


class Outcome(NamedTuple):
    """What came of a mutation.

    Attributes:
        name: The mutation.
        result: `caught`, `survived`, or `broken` where its tests could not be run.
        by: The test that failed first; else the end of what pytest has printed.
        seconds: Time that its tests took.
    """

    name: str
    result: str
    by: str
    seconds: float


def copy_tracked(root: Path, tree: Path) -> None:
    """Copy the files that git tracks, as they are now.

    Args:
        root: The repository.
        tree: Folder that they are copied to.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (root / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, tree / name)


class Ended(NamedTuple):
    """How pytest ended.

    Attributes:
        status: Its exit status.
        output: What it printed.
        seconds: Time that it took.
    """

    status: int
    output: str
    seconds: float

    @property
    def first_failure(self) -> str:
        """Name of the test that failed first; empty if pytest names none."""
        for line in self.output.splitlines():
            kind, _, rest = line.partition(" tests/")
            if kind in {"FAILED", "ERROR"}:
                return rest.partition(" - ")[0]
        return ""


@final
class Tree:
    """A copy of the repository, in which mutations are made.

    Attributes:
        path: Folder of the copy.
        environment: Environment variables of what runs in it.
        has_kernels: Whether the kernels that its tests use were compiled before.
    """

    def __init__(self, root: Path, place: Path) -> None:
        """Copy the repository `root` below `place`."""
        self.path = place / "tree"
        cache = place / "kernels"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.path),
            "SYMSTUDY_KERNEL_CACHE": str(cache),
            # Bytecode is told from stale one by whole seconds and length.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        copy_tracked(root, self.path)
        self.has_kernels = share_kernels(root, self.path, cache)
        # What no mutation changes is compiled once.
        self.run("-m", "compileall", "-q", "symstudy")

    def run(self, *arguments: str, limit_s: float | None = None) -> Ended:
        """Run Python in the copy, for so many seconds at most."""
        start = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=self.path,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ended(BROKEN, "it did not end in time", time.monotonic() - start)
        return Ended(done.returncode, done.stdout + done.stderr, time.monotonic() - start)

    def test(self, tests: Sequence[str], *, compiles: bool, limit_s: float | None = None) -> Ended:
        """Run tests, and before them compile the kernels if they have changed.

        Args:
            tests: Files of tests, or tests, as pytest names them.
            compiles: Whether kernels may have to be compiled, which takes minutes.
            limit_s: Longest time that the tests may take; None for any.
        """
        if compiles and (self.path / "symstudy" / "kernels").is_dir():
            compiled = self.run("-m", "symstudy.training.compile_ahead")
            if compiled.status:
                return compiled._replace(status=BROKEN)
        return self.run("-m", "pytest", *PYTEST, *tests, limit_s=limit_s)

    @contextlib.contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        """Make a mutation for the time of a `with` block."""
        path = self.path / mutation.file
        before, stat = path.read_bytes(), path.stat()
        path.write_text(mutated_text(before.decode(), mutation), encoding="utf-8")
        os.utime(path, (stat.st_atime, stat.st_mtime + 3600.0))
        try:
            yield
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def share_kernels(root: Path, tree: Path, cache: Path) -> bool:
    """Copy the compiled kernels of the repository, as those of its copy; return if there are any.

    Numba keeps them in a folder that is named for the path of the source, and compiles what it does
    not find there.

    Args:
        root: The repository.
        tree: The copy.
        cache: Folder that keeps the compiled kernels of the copy.
    """
    ours = CACHE_FOLDER / numba_folder(root / "symstudy" / "kernels")
    if ours.is_dir():
        shutil.copytree(
            ours, cache / CACHE_FOLDER.name / numba_folder(tree / "symstudy" / "kernels")
        )
    return ours.is_dir()


def numba_folder(source: Path) -> str:
    """Return the name of the folder in which Numba keeps what it compiles of these sources."""
    return f"{source.name}_{hashlib.sha1(str(source).encode(), usedforsecurity=False).hexdigest()}"


def try_mutation(tree: Tree, mutation: Mutation) -> Outcome:
    """Make a mutation, run its tests, and return what came of it."""
    with tree.mutated(mutation):
        ended = tree.test(mutation.tests, compiles=mutation.is_of_kernels, limit_s=LIMIT_S)
    result = {PASSED: "survived", FAILED: "caught"}.get(ended.status, "broken")
    by = ended.first_failure if result == "caught" else ""
    if result != "survived":
        by = by or ended.output[-2000:]
    return Outcome(mutation.name, result, by, ended.seconds)


def campaign(root: Path, mutations: Sequence[Mutation]) -> Iterator[Outcome]:
    """Try mutations one after another, and yield what came of each.

    Args:
        root: The repository.
        mutations: The mutations.

    Raises:
        ValueError: If the list has rotted, or a test fails without any mutation.
    """
    rot = find_rot(root, mutations)
    if rot:
        raise ValueError("\n".join(rot))
    with tempfile.TemporaryDirectory(prefix="symstudy-mutations-") as place:
        tree = Tree(root, Path(place).resolve())
        tests = list(dict.fromkeys(test for mutation in mutations for test in mutation.tests))
        plain = tree.test(tests, compiles=not tree.has_kernels)
        if plain.status != PASSED:
            raise ValueError(
                "the tests must pass without a mutation, but do not. Mend this first:\n"
                f"{plain.output[-4000:]}"
            )
        # Those for which kernels are compiled take longest.
        for mutation in sorted(mutations, key=lambda item: item.is_of_kernels):
            yield try_mutation(tree, mutation)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and say what came of it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="patterns of names, such as '*fsync*'; all if none"
    )
    parser.add_argument("--list", action="store_true", help="list the mutations and try none")
    parser.add_argument("--part", default="1/1", help="the first of three parts: 1/3")
    options = parser.parse_args(arguments)
    patterns = options.names or ["*"]
    part, parts = map(int, options.part.split("/"))
    chosen = [
        mutation
        for mutation in MUTATIONS
        if any(fnmatch.fnmatch(mutation.name, pattern) for pattern in patterns)
    ][part - 1 :: parts]
    if not chosen:
        print(f"a mutation must be called so, but none is: {', '.join(patterns)}. Type --list")
        return 2
    if options.list:
        for mutation in chosen:
            print(f"{mutation.file}: {mutation.name}")
        return 0
    lived = 0
    try:
        for outcome in campaign(ROOT, chosen):
            lived += outcome.result != "caught"
            by = f"\n          by {outcome.by}" if outcome.by else ""
            print(f"{outcome.result:8}  {outcome.name} ({outcome.seconds:.0f} s){by}", flush=True)
    except ValueError as error:
        print(error)
        return 1
    print(f"{len(chosen)} mutations, {len(chosen) - lived} caught, {lived} not")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main())
