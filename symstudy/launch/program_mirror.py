"""Copies, in an object store, of the files that a run of a program is resumed from.

A program writes files, and an object store holds none that it could open: there its folder is on
the worker's own disk, and its state, the reports that belong to it, and how it ended are copied.
"""

import contextlib
import json
import tempfile
from pathlib import Path

from symstudy.programs.folders import ENDED, STATE, ProgramFolder
from symstudy.programs.states import StateError, read_head
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.names import is_plain_name
from symstudy.store.files.strangers import WORK

__all__ = ["FolderMirror", "program_folder"]


def program_folder(folder: StudyFolder, run_id: str) -> ProgramFolder:
    """Return the folder of a run: in that of the study, or a new one on this machine's disk."""
    if folder.is_local:
        return ProgramFolder(Path(folder.path).absolute() / WORK / run_id, run_id)
    place = tempfile.mkdtemp(prefix=f"symstudy-{folder.place}-")
    return ProgramFolder(Path(place) / run_id, run_id)


class FolderMirror:
    """Copies the files that a run is resumed from to the study's folder, if that is elsewhere."""

    def __init__(self, folder: StudyFolder, place: ProgramFolder) -> None:
        """Copy what `place` holds to `folder`, an object store; do nothing for a local folder."""
        self.folder = folder
        self.place = place
        self.copied = 0

    def fetch(self) -> None:
        """Get what an earlier attempt has left.

        Raises:
            StoreError: If it cannot be read.
            OSError: If it cannot be written here.
        """
        for name in self.names():
            self.place.path.mkdir(parents=True, exist_ok=True)
            content = self.folder.read_bytes(WORK, self.place.run_id, name)
            (self.place.path / name).write_bytes(content)
        self.copied = self.time_of_state()

    def push_state(self) -> None:
        """Copy the state, if another has been saved since.

        Raises:
            StoreError: If it cannot be written.
        """
        if self.folder.is_local or self.time_of_state() == self.copied:
            return
        self.copied = self.time_of_state()
        with contextlib.suppress(StateError, OSError):
            state = self.place.state.read_bytes()
            head = read_head(self.place.state, self.place.run_id)
            reports = (self.place.path / Path(head.reports).name).read_bytes()[: head.size]
            # The state last: with it what was copied before counts.
            self.write(Path(head.reports).name, reports)
            self.write(STATE, state)

    def push_end(self) -> None:
        """Copy how the run has ended, and its reports.

        Raises:
            StoreError: If it cannot be written.
        """
        if self.folder.is_local:
            return
        ended = self.place.ended.read_bytes()
        name = Path(json.loads(ended)["reports"]).name
        self.write(name, (self.place.path / name).read_bytes())
        self.write(ENDED, ended)

    def delete(self) -> None:
        """Delete the copies, once the run's rows are written.

        Raises:
            StoreError: If they cannot be deleted.
        """
        for name in self.names():
            self.folder.delete(WORK, self.place.run_id, name)

    def names(self) -> list[str]:
        """Return the names of the copies."""
        if self.folder.is_local:
            return []
        paths = self.folder.list_files(f"{WORK}/{self.place.run_id}", "")
        found = (path.rsplit("/", 1)[-1] for path in paths)
        return [name for name in found if is_plain_name(name) and self.place.is_ours(Path(name))]

    def time_of_state(self) -> int:
        """Return when the state was saved; 0 without one."""
        try:
            return self.place.state.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def write(self, name: str, content: bytes) -> None:
        """Write a copy."""
        self.folder.write_bytes(content, WORK, self.place.run_id, name)
