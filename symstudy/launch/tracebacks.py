"""Tracebacks of failed runs: `tracebacks/<run_id>.txt` in the study's folder.

The store keeps one sentence per failed run; the whole traceback is a file beside it, written by the
worker and shown by `symstudy runs --traceback`.
"""

import contextlib
import re
import traceback
from collections.abc import Iterable

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder

__all__ = [
    "MAX_CHARACTERS",
    "last_line",
    "read_traceback",
    "write_traceback_text",
    "write_tracebacks",
]

FOLDER = "tracebacks"
MAX_CHARACTERS = 20_000
"""Length of a stored traceback; of a longer one the end is kept, which names the exception."""
RUN_ID = re.compile(r"[0-9a-z]{1,64}")


def last_line(text: str, otherwise: str) -> str:
    """Return the last line of an error's text, which names the exception; `otherwise` if empty."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else otherwise


def write_tracebacks(folder: StudyFolder, run_ids: Iterable[str], error: BaseException) -> None:
    """Write the traceback of `error` for each run; a disk that is full costs the text alone."""
    write_traceback_text(folder, run_ids, "".join(traceback.format_exception(error)))


def write_traceback_text(folder: StudyFolder, run_ids: Iterable[str], text: str) -> None:
    """Write the text of a traceback for each run; a disk that is full costs the text alone."""
    if len(text) > MAX_CHARACTERS:
        cut = "[the beginning is cut off]\n"
        text = cut + text[len(cut) - MAX_CHARACTERS :]
    with contextlib.suppress(StoreError):
        for run_id in run_ids:
            folder.write_bytes(text.encode(errors="replace"), FOLDER, f"{run_id}.txt")


def read_traceback(folder: StudyFolder, run_id: str) -> str:
    """Return the traceback of a run; empty if there is none.

    Args:
        folder: Folder of the study.
        run_id: Identifier of the run, as a row has it; anything else than letters and digits is
            refused, since rows may come from others and the name becomes a path.
    """
    if not RUN_ID.fullmatch(run_id):
        return ""
    try:
        content = folder.read_bytes(FOLDER, f"{run_id}.txt")
    except (StoreError, OSError):
        return ""
    return content.decode(errors="replace")[:MAX_CHARACTERS]
