"""What a program is told: `run.json` in the run's folder, and the variables that lead to it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["JOB_FILE", "VARIABLE", "ProgramJob", "read_job"]

VARIABLE = "SYMSTUDY_RUN"
"""Environment variable with the path of the job; it also marks the processes of a run."""
JOB_FILE = "run.json"


@dataclass(frozen=True, kw_only=True)
class ProgramJob:
    """One attempt at a run of a program.

    Attributes:
        run_id: Identifier of the run.
        seed: Its seed.
        config: Its hyperparameters, nested as in the study file.
        device: `cpu` or `cuda`.
        folder: Its own folder, which is its working directory.
        reports: File that reports are appended to, a line of JSON each.
        state: File that `run.save` writes.
        error: File for the exception that ended it.
        entry: Its function, as "package.module:function"; empty for a command.
        began: When the attempt began, in seconds since the epoch.
        elapsed: Seconds that the attempts took whose reports are kept.
        last_step: Step of the last report that is kept; -1 for none.
        taken: What each name stands for that no metric may have.
    """

    run_id: str
    seed: int
    config: dict[str, Any]
    device: str
    folder: str
    reports: str
    state: str
    error: str
    entry: str
    began: float
    elapsed: float
    last_step: int
    taken: dict[str, str]

    @property
    def path(self) -> Path:
        """The file of the job."""
        return Path(self.folder) / JOB_FILE

    def write(self) -> None:
        """Write the job to its file."""
        self.path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Return the environment variables of the program, for programs in any language."""
        return {
            VARIABLE: str(self.path),
            "SYMSTUDY_FOLDER": self.folder,
            "SYMSTUDY_REPORTS": self.reports,
            "SYMSTUDY_SEED": str(self.seed),
            "SYMSTUDY_DEVICE": self.device,
        }


def read_job() -> ProgramJob | None:
    """Return the job of this process; None where no study has started it.

    Raises:
        OSError: If its file is that of another run, which something else has put there.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    job = ProgramJob(**json.loads(Path(path).read_text(encoding="utf-8")))
    if str(job.path) != path:
        raise OSError(f"{path!r} must be the job of its own run, but is that of {job.run_id!r}.")
    return job
