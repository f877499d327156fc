"""The states of packs in training, as files of the study: `checkpoints/<pack_id>.safetensors`.

A file that is damaged, or says something else than it must, is set aside under a name that ends in
`.damaged`; its pack is trained from the beginning. Files of the form before, which end in
`.checkpoint`, are not read, and are deleted with their packs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files import states
from symstudy.store.files.access import not_readable
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.states import DamagedStateError, Head, State, parse_state, state_bytes

__all__ = [
    "Checkpoint",
    "delete_checkpoint",
    "list_checkpoints",
    "mend_checkpoints",
    "read_checkpoint",
    "write_checkpoint",
]

FOLDER = "checkpoints"
SUFFIX = ".safetensors"
OLD_SUFFIX = ".checkpoint"


class Checkpoint(NamedTuple):
    """A pack whose training may be gone on with.

    Attributes:
        pack_id: Identifier of the pack.
        run_ids: Identifiers of its runs, in order.
    """

    pack_id: str
    run_ids: tuple[str, ...]


def write_checkpoint(
    folder: StudyFolder, pack_id: str, run_ids: Sequence[str], state: State
) -> None:
    """Write the state of a pack in place of the one before, whole or not at all.

    Args:
        folder: Folder of the study's results.
        pack_id: Identifier of the pack.
        run_ids: Identifiers of its runs, in order.
        state: Arrays of numbers by name.

    Raises:
        StoreError: If it cannot be written.
        TypeError: If an array holds something else than numbers.
    """
    folder.write_bytes(state_bytes(pack_id, run_ids, state), FOLDER, f"{pack_id}{SUFFIX}")


def read_checkpoint(folder: StudyFolder, pack_id: str) -> State | None:
    """Return the state of a pack that an earlier attempt left, or None.

    None, too, if another version of symstudy wrote it, or if it is damaged and was set aside.

    Raises:
        StoreError: If the folder cannot be read.
    """
    path = folder.join(FOLDER, f"{pack_id}{SUFFIX}")
    if folder.filesystem.get_file_info(path).type != fs.FileType.File:
        return None
    content = folder.read_bytes(FOLDER, f"{pack_id}{SUFFIX}")
    try:
        head = states.read_head(lambda at, count: content[at : at + count], len(content))
        check_name(head, path)
        return parse_state(content, head) if head.version == states.symstudy_version() else None
    except DamagedStateError:
        set_aside(folder, path)
        return None


def delete_checkpoint(folder: StudyFolder, pack_id: str) -> None:
    """Delete the state of a pack that has ended, and what writers that were killed left of it.

    Raises:
        StoreError: If it cannot be deleted.
    """
    for suffix in (SUFFIX, OLD_SUFFIX):
        folder.delete(FOLDER, f"{pack_id}{suffix}")
    if not folder.is_local:
        # An object store shows nothing of a put before its end.
        return
    for path in folder.list_files(FOLDER, ".tmp"):
        name = path.rsplit("/", 1)[-1]
        if name.startswith((f"{pack_id}{SUFFIX}.", f"{pack_id}{OLD_SUFFIX}.")):
            folder.delete(FOLDER, name)


def list_checkpoints(folder: StudyFolder) -> list[Checkpoint]:
    """Return the packs that a state was left of, in the order of their names.

    Heads alone are read; a file whose head or length is not as it was written is set aside.

    Raises:
        StoreError: If the folder cannot be read.
    """
    return look_through(folder)[0]


def mend_checkpoints(folder: StudyFolder) -> list[str]:
    """Set damaged files aside, and say which files are not read.

    Returns:
        What was done, in sentences.

    Raises:
        StoreError: If the folder cannot be read.
    """
    old = folder.list_files(FOLDER, OLD_SUFFIX)
    notes = [
        f"{path} {error.args[0].split('but this one ')[-1]} and is set aside; its pack is trained "
        "from the beginning"
        for path, error in look_through(folder)[1]
    ]
    if old:
        notes.append(
            f"{len(old)} checkpoints ({old[0]}, ...) are of an earlier version of symstudy and are "
            "not read; their packs are trained from the beginning"
        )
    return notes


def look_through(
    folder: StudyFolder,
) -> tuple[list[Checkpoint], list[tuple[str, DamagedStateError]]]:
    """Return the packs that a state was left of, and the files that were set aside."""
    found = []
    damaged = []
    for path in folder.list_files(FOLDER, SUFFIX):
        try:
            head = read_head(folder, path)
        except DamagedStateError as error:
            set_aside(folder, path)
            damaged.append((path, error))
        except FileNotFoundError:
            # Its pack has ended since the folder was listed.
            continue
        except OSError as error:
            raise not_readable(path, error) from error
        else:
            found.append(Checkpoint(head.pack_id, head.run_ids))
    return found, damaged


def read_head(folder: StudyFolder, path: str) -> Head:
    """Return the head of the file at `path`.

    Raises:
        DamagedStateError: If it is not as it was written, or is another pack's.
        OSError: If the file cannot be read.
    """
    with folder.filesystem.open_input_file(path) as file:
        head = states.read_head(lambda at, count: file.read_at(count, at), file.size())
    check_name(head, path)
    return head


def check_name(head: Head, path: str) -> None:
    """Raise unless a file has the name of the pack that it says it is of.

    Raises:
        DamagedStateError: If it has another.
    """
    if path.rsplit("/", 1)[-1] != f"{head.pack_id}{SUFFIX}":
        states.damaged(f"says that it is of the pack {head.pack_id!r}")


def set_aside(folder: StudyFolder, path: str) -> None:
    """Rename a damaged file, unless another process has just done so.

    Raises:
        StoreError: If it cannot be renamed.
    """
    try:
        folder.set_aside(path)
    except FileNotFoundError:
        return
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"the results must be writable, but the damaged {path!r} cannot be set aside: {error}."
        ) from error
