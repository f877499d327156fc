"""The launches of a study, as `study.json` records them, with the texts of what each ran."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.kept_texts import read_text

__all__ = ["LaunchRecord", "lost_texts", "read_launches"]


class LaunchRecord(NamedTuple):
    """A launch of a study; what is not recorded is empty or None.

    Attributes:
        study: Name of the study.
        launch: Identifier of the launch.
        at: When it began, UTC.
        new_runs: Number of runs that no earlier launch had planned.
        commit: Commit of the project; empty outside git.
        is_dirty: Whether it had uncommitted changes; None where that is not known.
        versions: Versions of Python and of the packages that decide what a run computes, by name.
        host: Name of the machine.
        packages: Name of the kept list of installed packages.
        changes: Name of the kept uncommitted changes; None without any.
        changes_left_out: Size of changes that were too large to be kept, in bytes; else 0.
        sources: Names of the kept files of the user's own modules, by path.
    """

    study: str
    launch: str
    at: str
    new_runs: int | None
    commit: str
    is_dirty: bool | None
    versions: dict[str, str]
    host: str
    packages: str | None
    changes: str | None
    changes_left_out: int
    sources: dict[str, str]

    def texts(self, folder: StudyFolder) -> dict[str, bytes]:
        """Return what it ran, by the name of a file: packages, changes, and the user's modules.

        Raises:
            StoreError: If a text is not there, or is not as it was written.
        """
        named = {"packages.txt": self.packages, "changes.diff": self.changes}
        named |= {f"sources/{path}": name for path, name in self.sources.items()}
        return {file: read_text(folder, name) for file, name in named.items() if name is not None}

    def text(self, folder: StudyFolder, file: str) -> bytes:
        """Return one of `texts`.

        Raises:
            StoreError: If there is no such text, or it is not as it was written.
        """
        found = {"packages.txt": self.packages, "changes.diff": self.changes}
        name = found.get(file, self.sources.get(file.removeprefix("sources/")))
        if name is None:
            raise StoreError(
                f"a text must be one that launch {self.launch!r} kept, but it kept no {file!r}."
            )
        return read_text(folder, name)


def read_launches(folder: StudyFolder) -> list[LaunchRecord]:
    """Return the launches of a study, the oldest first; what has a wrong type counts as absent."""
    records = folder.read_study().get("launches", [])
    return [read_launch(folder.name, record) for record in records]


def lost_texts(folder: StudyFolder) -> list[str]:
    """Return what launches have kept of what they ran, and is lost or not as it was written.

    Args:
        folder: Folder of a study.

    Returns:
        Launch and name of the text, such as `20261130T213402-702968 packages.txt`.
    """
    lost: list[str] = []
    for record in read_launches(folder):
        named = {"packages.txt": record.packages, "changes.diff": record.changes}
        named |= {f"sources/{path}": name for path, name in record.sources.items()}
        for file, name in named.items():
            try:
                if name is not None:
                    read_text(folder, name)
            except StoreError:
                lost.append(f"{record.launch} {file}")
    return lost


def read_launch(study: str, record: Mapping[str, Any]) -> LaunchRecord:
    """Return a launch as its record in `study.json` says it."""
    sources = record.get("sources")
    versions = {
        key.removesuffix("_version"): value
        for key, value in record.items()
        if key.endswith("_version") and isinstance(value, str)
    }
    new_runs, is_dirty, left_out = map(record.get, ("new_runs", "git_dirty", "changes_left_out"))
    return LaunchRecord(
        study=study,
        launch=text_of(record, "launch") or "",
        at=text_of(record, "at") or "",
        new_runs=new_runs if type(new_runs) is int else None,
        commit=text_of(record, "git_sha") or "",
        is_dirty=is_dirty if type(is_dirty) is bool else None,
        versions=versions,
        host=text_of(record, "host") or "",
        packages=text_of(record, "packages"),
        changes=text_of(record, "changes"),
        changes_left_out=left_out if type(left_out) is int else 0,
        sources={
            path: name
            for path, name in (sources.items() if isinstance(sources, dict) else ())
            if isinstance(name, str)
        },
    )


def text_of(record: Mapping[str, Any], key: str) -> str | None:
    """Return a text of a record; None if it is absent or of another type."""
    value = record.get(key)
    return value if isinstance(value, str) else None
