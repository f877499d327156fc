"""One process at a time merges, replaces or repairs files of results.

On a disk that is a lock of the operating system, which falls with its process. In an object store
it is an object that its holder makes and keeps changing, by conditional writes alone; who sees it
stand still for a minute takes it over. No clocks of two machines are compared.
"""

import contextlib
import json
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

from symstudy.errors import StoreError
from symstudy.store.files import disk
from symstudy.store.files.access import not_writable
from symstudy.store.files.conditional import (
    Seen,
    delete_if_unchanged,
    read_seen,
    replace_if_unchanged,
    write_if_unchanged,
)
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.local_lock import locked_file

__all__ = ["locked"]

PLACE = ("control", "files.lock")
TOKEN = ("control", "files.lock.token")
PATIENCE_S = 180.0
"""Longest wait for another process."""
RENEW_S = 10.0
"""A holder changes its token so often."""
STALE_S = 60.0
"""A token that has not changed for so long belongs to a dead process."""
LOOK_S = 0.5
"""Time between two looks at a token."""


@contextmanager
def locked(
    folder: StudyFolder,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock on the files of a study: no other process merges, replaces or repairs them.

    Args:
        folder: Folder of the study's results.
        patience_s: Longest wait for another, in seconds.
        sleep: Waits so many seconds, for the token of an object store.

    Raises:
        StoreError: If another does not end, or the results cannot be written.
    """
    if not folder.is_local:
        with token_held(folder, patience_s, sleep):
            yield
        return
    path = folder.join(*PLACE)
    folder.refuse_link(path)
    with contextlib.ExitStack() as stack:
        try:
            disk.make_folder(path.rsplit("/", 1)[0])
            stack.enter_context(locked_file(path, patience_s=patience_s))
        except TimeoutError as error:
            raise busy(folder, patience_s) from error
        except OSError as error:
            raise not_writable(path, error) from error
        yield


@contextmanager
def token_held(
    folder: StudyFolder, patience_s: float, sleep: Callable[[float], None]
) -> Iterator[None]:
    """Hold the token of an object store, and keep changing it.

    Raises:
        StoreError: If another holds it, or has taken it over.
    """
    token = Token(folder)
    token.take(patience_s, sleep)
    try:
        yield
    finally:
        is_lost = not token.give_up()
    if is_lost:
        raise StoreError(
            f"one process at a time must merge or repair the files of {folder.path!r}, but another "
            "has taken over while this one did not answer. Nothing is lost; run the command again."
        )


@final
class Token:
    """The object that says who may change files, and the thread that keeps changing it.

    Attributes:
        folder: Folder of the study's results.
        holder: Name of this holder, which no other has.
        seen: The object as this holder last wrote it; None once another has taken it over.
    """

    def __init__(self, folder: StudyFolder) -> None:
        """Prepare; `take` waits for it."""
        self.folder = folder
        self.holder = uuid.uuid4().hex
        self.count = 0
        self.seen: Seen | None = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.keep, name="symstudy-lock", daemon=True)

    def content(self) -> bytes:
        """Return what this holder writes next."""
        self.count += 1
        values = {"holder": self.holder, "host": platform.node(), "count": self.count}
        return json.dumps(values).encode()

    def take(self, patience_s: float, sleep: Callable[[float], None]) -> None:
        """Become the holder.

        Raises:
            StoreError: If another is, and does not end.
        """
        waited = still = 0.0
        before: Seen | None = None
        while True:
            found = read_seen(self.folder, *TOKEN)
            still = still + LOOK_S if found == before else 0.0
            before = found
            if found is None or not found.content or still >= STALE_S:
                self.seen = write_if_unchanged(self.folder, self.content(), found, *TOKEN)
                if self.seen is not None:
                    break
            if waited >= patience_s:
                raise busy(self.folder, waited)
            sleep(LOOK_S)
            waited += LOOK_S
        self.thread.start()

    def keep(self) -> None:
        """Change the token again and again, until it is given up or lost."""
        while self.seen is not None and not self.over.wait(RENEW_S):
            with contextlib.suppress(StoreError):
                self.seen = replace_if_unchanged(self.folder, self.content(), self.seen, *TOKEN)

    def give_up(self) -> bool:
        """Stop changing the token and free it; return False if another has taken it over."""
        self.over.set()
        self.thread.join()
        if self.seen is None:
            return False
        # Where it cannot be freed, it stands still from now on.
        with contextlib.suppress(StoreError):
            return delete_if_unchanged(self.folder, self.seen, *TOKEN)
        return True


def busy(folder: StudyFolder, waited: float) -> StoreError:
    """Return the error that another process is at work."""
    return StoreError(
        f"one process at a time must merge or repair the files of {folder.path!r}, but another has "
        f"been at it for {waited:.0f} s. Wait for it, or end it."
    )
