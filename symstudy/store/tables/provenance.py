"""Where results come from: commit, versions, machine."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "COMMIT",
    "PACKAGES",
    "Commit",
    "Provenance",
    "ask_git",
    "current_provenance",
    "find_commit",
]


COMMIT = "SYMSTUDY_COMMIT"
DIRTY = "-dirty"
PACKAGES = ("symstudy", "torch", "numpy")
"""Packages whose versions decide what a run computes, and are recorded with it."""


class Commit(NamedTuple):
    """A state of a project.

    Attributes:
        sha: Its commit; None outside git.
        is_dirty: Whether it had uncommitted changes; None outside git.
    """

    sha: str | None
    is_dirty: bool | None

    def to_text(self) -> str:
        """Return it as `SYMSTUDY_COMMIT` is written; empty outside git."""
        return f"{self.sha}{DIRTY if self.is_dirty else ''}" if self.sha else ""


class Provenance(NamedTuple):
    """What a launch ran.

    Attributes:
        git_sha: Commit of the project; None outside git.
        git_dirty: Whether it had uncommitted changes; None outside git.
        symstudy_version: Version of symstudy.
        torch_version: Version of torch.
        numpy_version: Version of numpy.
        python_version: Version of Python.
        host: Name of the machine.
    """

    git_sha: str | None
    git_dirty: bool | None
    symstudy_version: str
    torch_version: str
    numpy_version: str
    python_version: str
    host: str

    def deviations(self) -> list[str]:
        """Return which packages this process has in another version, and which.

        What follows a plus names the build, `2.13.0+cpu`, which may differ from machine to machine:
        rows name that of the worker. Whether it can use the worker's GPU is asked for itself.
        """
        here = installed_versions()
        there = {name: getattr(self, f"{name}_version") for name in PACKAGES}
        return [
            f"{name} {here[name]} instead of {there[name]}"
            for name in PACKAGES
            if here[name].partition("+")[0] != there[name].partition("+")[0]
        ]

    def with_builds_here(self) -> "Provenance":
        """Return the same with the builds of the packages in this process, as in `2.13.0+cpu`."""
        here = installed_versions()
        return self._replace(
            symstudy_version=here["symstudy"],
            torch_version=here["torch"],
            numpy_version=here["numpy"],
        )


def current_provenance(folder: Path) -> Provenance:
    """Return what runs now, with the commit of the project that `folder` belongs to."""
    commit = find_commit(folder)
    return Provenance(
        git_sha=commit.sha,
        git_dirty=commit.is_dirty,
        **{f"{name}_version": version for name, version in installed_versions().items()},
        python_version=platform.python_version(),
        host=platform.node(),
    )


@functools.cache
def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a run computes."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def find_commit(folder: Path) -> Commit:
    """Return the commit of the project that `folder` belongs to, or that a submitted job came with.

    A job runs in a folder without git: `SYMSTUDY_COMMIT` says what was submitted, as
    `Commit.to_text` writes it.
    """
    told = os.environ.get(COMMIT, "")
    if told:
        return Commit(told.removesuffix(DIRTY), told.endswith(DIRTY))
    sha = git(folder, "rev-parse", "HEAD")
    if sha is None:
        return Commit(None, None)
    return Commit(sha, bool(git(folder, "status", "--porcelain", "--untracked-files=no")))


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git answers in `folder`, without blanks around it; None where it cannot."""
    answer = ask_git(folder, *arguments)
    return None if answer is None else answer.decode(errors="replace").strip()


def ask_git(folder: Path, *arguments: str) -> bytes | None:
    """Return the bytes that git answers in `folder`, or None where it cannot."""
    try:
        result = subprocess.run(  # noqa: S603  # the arguments are ours
            ["git", "-C", str(folder), *arguments],  # noqa: S607  # git is looked up on the PATH
            capture_output=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout
