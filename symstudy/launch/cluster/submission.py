"""Submission of a study to a cluster as a Ray job, which runs on without the submitting process.

What travels is the study file, the modules of its models, and the project's analyses where the
study serves claims, so that their rules are frozen with it; nothing else of the working tree.
"""

import datetime
import json
import logging
import os
import shlex
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.errors import LaunchError
from symstudy.launch.cluster.environment import VARIABLES, own_modules, travelling_data
from symstudy.launch.cluster.reachable import read_token
from symstudy.launch.surroundings import CHANGES, find_changes
from symstudy.launch.tracebacks import last_line
from symstudy.store.tables.provenance import COMMIT, find_commit
from symstudy.study import Study

__all__ = ["JobState", "Jobs", "Submission", "job_name", "pack_files"]

ANSWER_S = 10.0
"""Longest time for a dashboard to answer, in seconds."""

CHANGES_FILE = "symstudy-changes.diff"
"""File of a job's folder with the changes that no commit holds."""

STOP_S = 40
"""Time that a job has to save its packs when it is stopped, in seconds."""

POLL_S = 1.0
"""Time between two reads of a job's log, in seconds."""


class Submission(NamedTuple):
    """A study to submit, with the options of its run.

    Attributes:
        study: Study to run.
        options: Overrides and options of `symstudy run`, as they are typed.
        results: Absolute path or URI, as seen by the cluster.
        analyses: The project's package of claims; None if the study needs none.
    """

    study: Study
    options: Sequence[str]
    results: str
    analyses: Path | None = None


class JobState(NamedTuple):
    """Status of a Ray job.

    Attributes:
        job: Identifier of the job.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        study: Name of its study; empty for a job that is none of symstudy's.
        results: Path or URI of its results; empty for a job that is none of symstudy's.
        message: Ray's message about its status.
        exit_status: Exit status of `symstudy run`; None while it runs.
    """

    job: str
    status: str
    study: str
    results: str
    message: str
    exit_status: int | None

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.status in {"SUCCEEDED", "FAILED", "STOPPED"}


class Jobs:
    """Client for the jobs of a cluster, through the HTTP address of its dashboard."""

    def __init__(self, address: str) -> None:
        """Connect to the dashboard.

        Args:
            address: Such as http://127.0.0.1:8265.

        Raises:
            LaunchError: If there is no dashboard that lets us in.
        """
        self.address = address.rstrip("/")
        check_dashboard(self.address)
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            from ray.job_submission import JobSubmissionClient

            # Ray sets its level when it is imported.
            logging.getLogger("ray").setLevel(logging.CRITICAL)
            self.client: Any = JobSubmissionClient(self.address)
        except (ImportError, RuntimeError, ConnectionError) as error:
            if "ray[default]" in str(error) or isinstance(error, ImportError):
                raise LaunchError(
                    "jobs must have Ray's dashboard, but it is not installed here. Type: "
                    "pip install 'symstudy[cluster]'"
                ) from error
            raise LaunchError(
                f"--address must be the dashboard of a Ray cluster, but got {address!r}: {error}"
            ) from error

    def submit(self, submission: Submission) -> str:
        """Start a job and return its identifier.

        Raises:
            LaunchError: If a file is missing or the cluster refuses the job.
        """
        name = job_name(submission.study)
        place = Path(submission.study.source).absolute().parent
        changes = find_changes(place)
        environment: dict[str, Any] = {
            "env_vars": {
                "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S),
                COMMIT: find_commit(place).to_text(),
                **({CHANGES: CHANGES_FILE} if changes else {}),
                **{key: os.environ[key] for key in VARIABLES if key in os.environ},
            }
        }
        with tempfile.TemporaryDirectory(prefix="symstudy-submit-") as folder:
            file = pack_files(submission, Path(folder))
            if changes:
                Path(folder, CHANGES_FILE).write_bytes(changes)
            words = ["python", "-m", "symstudy", "run", file, *submission.options]
            words += ["--address", "auto", "--results", submission.results]
            # Ray lets everybody write to the job's folder: a project in it counts if it is named.
            words += ["--project", "."] if submission.analyses is not None else []
            try:
                self.client.submit_job(
                    # The shell makes way, so that a signal to stop reaches the driver.
                    entrypoint=f"exec {shlex.join(words)}",
                    submission_id=name,
                    runtime_env={**environment, "working_dir": folder},
                    metadata={"study": submission.study.name, "results": submission.results},
                )
            except (RuntimeError, ConnectionError, ValueError) as error:
                said = last_line(str(error), type(error).__name__)
                raise LaunchError(f"the cluster must take the job, but said: {said}") from error
        return name

    def state(self, job: str) -> JobState:
        """Return the status of a job.

        Raises:
            LaunchError: If there is no such job.
        """
        try:
            return read_state(self.client.get_job_info(job))
        except (RuntimeError, ConnectionError) as error:
            raise self.unknown(job, error) from error

    def states(self) -> list[JobState]:
        """Return all jobs of the cluster that were submitted, the oldest first.

        Raises:
            LaunchError: If the cluster does not answer.
        """
        try:
            found = [info for info in self.client.list_jobs() if info.submission_id]
        except (RuntimeError, ConnectionError) as error:
            raise LaunchError(
                f"the cluster must answer, but said: {last_line(str(error), type(error).__name__)}"
            ) from error
        return [read_state(info) for info in sorted(found, key=lambda info: info.start_time or 0)]

    def log(self, job: str) -> str:
        """Return what a job has printed so far.

        Raises:
            LaunchError: If there is no such job.
        """
        try:
            return str(self.client.get_job_logs(job))
        except (RuntimeError, ConnectionError) as error:
            raise self.unknown(job, error) from error

    def follow(self, job: str) -> Iterator[str]:
        """Yield what a job prints, as it comes, until it has ended.

        Raises:
            LaunchError: If there is no such job.
        """
        shown = 0
        while True:
            # EvaluatedTrial before the log is: what is printed last must not be missed.
            is_over = self.state(job).is_over
            text = self.log(job)
            if len(text) > shown:
                yield text[shown:]
                shown = len(text)
            if is_over:
                return
            time.sleep(POLL_S)

    def stop(self, job: str) -> None:
        """Ask a job to save the state of its packs and end; one that has ended stays as it is.

        Raises:
            LaunchError: If there is no such job.
        """
        try:
            self.client.stop_job(job)
        except (RuntimeError, ConnectionError) as error:
            raise self.unknown(job, error) from error

    def unknown(self, job: str, error: Exception) -> LaunchError:
        """Return the error for a job that the cluster does not know, or another one it has."""
        if "does not exist" not in str(error) and "404" not in str(error):
            return LaunchError(
                f"the cluster must answer, but said: {last_line(str(error), type(error).__name__)}"
            )
        known = [state.job for state in self.states()]
        return LaunchError(
            f"ID must be a job of the cluster, but got {job!r}. "
            f"Known: {', '.join(known[-10:]) or 'none'}."
        )


def check_dashboard(address: str) -> None:
    """Check within seconds that `address` is a dashboard that accepts our token.

    Raises:
        LaunchError: If so.
    """
    if not address.startswith(("http://", "https://")):
        raise LaunchError(
            f"--address must be the dashboard's http://host:port, but got {address!r}. Type "
            "--address http://127.0.0.1:8265; for `symstudy run` it is the cluster's host:port."
        )
    token = read_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{address}/api/version", headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
            version = json.loads(answer.read())
        assert "ray_version" in version, "another program"
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise LaunchError(
                f"the token must be that of the cluster at {address}, but it was refused. Type "
                "RAY_AUTH_MODE=token before the command, with the cluster's token in "
                "~/.ray/auth_token or RAY_AUTH_TOKEN."
            ) from error
        raise LaunchError(not_a_dashboard(address, f"it answers with {error.code}")) from error
    except (OSError, urllib.error.URLError) as error:
        why = getattr(error, "reason", error)
        raise LaunchError(
            f"--address must be the dashboard of a running Ray cluster, but {address} does not "
            f"answer: {why}. Start one with `ray start --head`, where `pip install "
            "'symstudy[cluster]'` was typed, or bring the head's port 8265 here: "
            "ssh -L 8265:127.0.0.1:8265 HEAD"
        ) from error
    except (ValueError, AssertionError) as error:
        raise LaunchError(not_a_dashboard(address, "it answers otherwise")) from error


def not_a_dashboard(address: str, why: str) -> str:
    """Return the message for an address that is no dashboard."""
    return (
        f"--address must be the dashboard of a Ray cluster, but {address} is none: {why}. Its port "
        "is 8265 unless `ray start --dashboard-port` named another."
    )


def pack_files(submission: Submission, folder: Path) -> str:
    """Copy the files that the job needs into `folder`; return the name of the study file in it.

    Raises:
        LaunchError: If the study came from no file, or results would end in the job's own folder.
    """
    source = Path(submission.study.source)
    if not source.is_file():
        raise LaunchError(f"STUDY must be a file, but got {submission.study.source!r}.")
    if "://" not in submission.results and not Path(submission.results).is_absolute():
        raise LaunchError(
            "--results must be a URI or an absolute path on the cluster, but got "
            f"{submission.results!r}. Type --results s3://bucket/folder or --results /shared/folder"
        )
    shutil.copyfile(source, folder / source.name)
    for module in own_modules(submission.study):
        if module.path is not None:
            copy_sources(module.path, folder / module.path.name)
    for place, file in travelling_data(submission.study).items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / place)
    if submission.analyses is not None:
        name = submission.analyses.name
        copy_sources(submission.analyses, folder / name)
        (folder / "pyproject.toml").write_text(
            f"[tool.symstudy]\nanalyses = {json.dumps(name)}\n", encoding="utf-8"
        )
    return source.name


def copy_sources(source: Path, target: Path) -> None:
    """Copy a module, or a package without caches and hidden files."""
    if source.is_dir():
        shutil.copytree(
            source,
            target,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"),
            dirs_exist_ok=True,
        )
    else:
        shutil.copyfile(source, target)


def job_name(study: Study) -> str:
    """Return an identifier for a job that sorts by time."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{study.name}-{stamp}-{uuid.uuid4().hex[:6]}"


def read_state(info: Any) -> JobState:
    """Return a job's status from Ray's record of it."""
    metadata = info.metadata or {}
    return JobState(
        job=str(info.submission_id),
        status=str(getattr(info.status, "value", info.status)),
        study=metadata.get("study", ""),
        results=metadata.get("results", ""),
        message=str(info.message or ""),
        exit_status=info.driver_exit_code,
    )
