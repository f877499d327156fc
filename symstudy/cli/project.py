"""The project whose claims a command runs, told before its code is."""

from pathlib import Path
from typing import TYPE_CHECKING

from symstudy.cli.output import note

if TYPE_CHECKING:
    from symstudy.project import Project

__all__ = ["project_to_run"]


def project_to_run(given: Path | None) -> "Project | None":
    """Return the project that is meant, and say on stderr that its code is run; None without one.

    Args:
        given: Folder that was named; None to look for it above the working directory.

    Raises:
        ProjectError: If it is no project, or was not named and somebody else may change its code.
    """
    from symstudy.project import check_own, find_project

    found = find_project(given)
    if found is not None:
        check_own(found)
        if found.analyses.is_dir():
            note(f"symstudy: runs the claims of the project {found.root}")
    return found
