"""The process of a program with an entry: imports its module and calls its function."""

import importlib
import json
import sys
import traceback
from pathlib import Path

from symstudy.programs.run import ProgramRun, current_run

__all__ = ["main", "write_error"]


def main() -> int:
    """Call the function of this process's run; return the exit status."""
    run = current_run()
    assert run.job is not None, "started by a study"
    path, _, name = run.job.entry.partition(":")
    try:
        getattr(importlib.import_module(path), name)(run)
    except SystemExit as error:
        if error.code not in (None, 0):
            write_error(run, error)
            return error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # noqa: BLE001  # whatever it raises is why the run failed
        write_error(run, error)
        return 1
    run.end()
    return 0


def write_error(run: ProgramRun, error: BaseException) -> None:
    """Write what ended a program for the worker, and to stderr as Python would."""
    assert run.job is not None, "started by a study"
    # The first frame is the call above.
    below = error.__traceback__.tb_next if error.__traceback__ else None
    text = "".join(traceback.format_exception(type(error), error, below))
    sys.stderr.write(text)
    about = {"kind": type(error).__name__, "text": str(error), "traceback": text}
    Path(run.job.error).write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
