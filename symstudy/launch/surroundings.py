"""What a launch ran, in full: every installed package, uncommitted changes, the user's own code.

The commit says nothing of a project that had changed since, and versions of torch and numpy nothing
of other packages. Both are kept with the results, so that they can be had again.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symstudy.components.own_modules import files_of
from symstudy.launch.cluster.environment import own_modules
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.kept_texts import keep_text
from symstudy.store.tables.provenance import ask_git
from symstudy.study.study import Study

__all__ = [
    "CHANGES",
    "find_changes",
    "installed_packages",
    "keep_surroundings",
    "sources_of",
]

CHANGES = "SYMSTUDY_CHANGES"
"""Variable that names the file of uncommitted changes in a submitted job, which has no git."""
LARGEST_CHANGES_BYTES = 4 << 20
"""More uncommitted changes than this are not kept; the launch says so."""
METADATA_ENDINGS = (".dist-info", ".egg-info")


def keep_surroundings(folder: StudyFolder, study: Study, place: Path) -> dict[str, Any]:
    """Keep what this process runs in the study's folder; return what `study.json` says of it.

    Args:
        folder: Folder of the study.
        study: Study to train.
        place: Folder of the study file, whose project is asked for its changes.

    Returns:
        Names of the kept texts: `packages`; `changes`, None without any; `sources`, by path. Where
        the changes are too large to be kept, their size in bytes as `changes_left_out`.

    Raises:
        StoreError: If they cannot be written.
    """
    changes = find_changes(place)
    is_kept = bool(changes) and len(changes) <= LARGEST_CHANGES_BYTES
    return {
        "packages": keep_text(folder, installed_packages().encode()),
        "changes": keep_text(folder, changes) if is_kept else None,
        **({} if is_kept or not changes else {"changes_left_out": len(changes)}),
        "sources": {name: keep_text(folder, source) for name, source in sources_of(study)},
    }


def installed_packages() -> str:
    """Return `name==version` of every installed package, a line each, in alphabetical order.

    Names and versions are read off the folders in which installers describe packages; what is in
    them is not read, which would take half a second.
    """
    found: dict[str, str] = {}
    for place in dict.fromkeys(path for path in sys.path if os.path.isdir(path)):  # noqa: PTH112
        for entry in os.listdir(place):  # noqa: PTH208  # names alone
            stem, ending = os.path.splitext(entry)  # noqa: PTH122
            name, _, rest = stem.partition("-")
            if ending in METADATA_ENDINGS and rest:
                # The first on the path is the one that is imported.
                found.setdefault(name.replace("_", "-").lower(), rest.partition("-")[0])
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def find_changes(place: Path) -> bytes:
    """Return the uncommitted changes of the project that `place` belongs to, as `git diff` writes.

    `git apply` makes them again from the commit. Files that git does not know are not in it, but
    for the user's own modules, which are kept as sources. Empty outside git, or without changes.
    """
    told = os.environ.get(CHANGES)
    if told:
        return Path(told).read_bytes() if Path(told).is_file() else b""
    words = ("diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--no-textconv")
    return ask_git(place, *words) or b""


def sources_of(study: Study) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each Python file of the user's own modules that `study` names.

    Paths are relative to the folder that holds the module, with forward slashes.

    Raises:
        LaunchError: If there is no such module.
    """
    for module in own_modules(study):
        for file in files_of(module):
            if module.path is not None:
                yield file.relative_to(module.path.parent).as_posix(), file.read_bytes()
