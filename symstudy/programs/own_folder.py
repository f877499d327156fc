"""Makes a program of Python fail where it writes to the folder of another run.

Every file that Python opens, renames or deletes passes an audit hook. What C code or a process that
the program starts does itself passes none.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["refuse_other_folders"]

WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PATHS: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "open": ((0, -1),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.truncate": ((0, -1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "shutil.rmtree": ((0, 1),),
}
"""By event: places among its arguments of a path, and of the open folder it is relative to; -1
where there is none."""
RUN_FOLDER = re.compile(r"[0-9a-f]{20}(\.\d+)?")
"""Names of the folders of runs: their identifiers."""


def refuse_other_folders(folder: str) -> None:
    """Make every change that this process makes in the folder of another run raise.

    Args:
        folder: The run's own folder; those of others lie beside it.
    """
    own = os.path.realpath(folder)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        places = PATHS.get(event)
        if places is None or (event == "open" and not writes(args)):
            return
        for path, base in places:
            check_path(own, args[path], args[base] if 0 <= base < len(args) else -1)

    sys.addaudithook(hook)


def writes(args: tuple[Any, ...]) -> bool:
    """Return whether the event `open` is of a file that is to be written."""
    flags = args[2] if len(args) > 2 else 0
    return isinstance(flags, int) and bool(flags & WRITING)


def check_path(own: str, path: Any, base: Any) -> None:
    """Raise if a path is in the folder of another run.

    Args:
        own: The folder of this run.
        path: What Python was given: a path, or the number of a file that is open.
        base: Number of the open folder that a relative path begins at; -1 for the working
            directory.

    Raises:
        PermissionError: If it is.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        return
    given = os.fsdecode(path)
    if isinstance(base, int) and base >= 0:
        given = os.path.join(f"/proc/self/fd/{base}", given)  # noqa: PTH118  # kept as it is, for `realpath`
    found = Path(os.path.realpath(given))
    around = Path(own).parent
    if not found.is_relative_to(around) or found.is_relative_to(own):
        return
    first, *_ = (*found.relative_to(around).parts, "")
    if RUN_FOLDER.fullmatch(first):
        raise PermissionError(
            f"a run must change files of its own folder alone, but {given!r} is in that of run "
            f"{first}. Write to run.folder, which is the working directory, or to a folder outside "
            "of the results."
        )
