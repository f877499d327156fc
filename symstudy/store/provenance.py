"""Where results come from: commit, versions, machine."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

__all__ = ["Provenance", "current_provenance"]


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


def current_provenance(folder: Path) -> Provenance:
    """Return what runs now, with the commit of the project that `folder` belongs to."""
    sha = git(folder, "rev-parse", "HEAD")
    changes = git(folder, "status", "--porcelain", "--untracked-files=no") if sha else None
    return Provenance(
        git_sha=sha,
        git_dirty=bool(changes) if sha else None,
        symstudy_version=importlib.metadata.version("symstudy"),
        torch_version=importlib.metadata.version("torch"),
        numpy_version=importlib.metadata.version("numpy"),
        python_version=platform.python_version(),
        host=platform.node(),
    )


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git answers in `folder`, or None where it cannot."""
    try:
        result = subprocess.run(  # noqa: S603  # the arguments are ours
            ["git", "-C", str(folder), *arguments],  # noqa: S607  # git is looked up on the PATH
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
