"""Handing studies to a cluster: what travels, and what a dashboard that is none gets to hear."""

import contextlib
import http.server
import json
import shlex
import socket
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from symstudy.errors import LaunchError
from symstudy.launch.cluster.reachable import read_token
from symstudy.launch.cluster.submission import (
    Jobs,
    Submission,
    check_dashboard,
    job_name,
    pack_files,
    read_state,
)

WHERE = "s3://bucket/results"


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    """No token of whoever runs the tests."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def study(study_of, tmp_path):
    """A study that came from a file."""
    file = tmp_path / "a study.toml"
    file.write_text("# the study")
    return replace(study_of(), source=str(file))


@contextlib.contextmanager
def dashboard(status=200, content=b"{}"):
    """Serve `content` at an address; collect the tokens that come."""
    tokens = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            tokens.append(self.headers.get("Authorization"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", tokens
        server.shutdown()
        thread.join()


def test_only_the_study_travels_where_it_needs_nothing_else(study, tmp_path):
    (tmp_path / "secret.txt").write_text("not to travel")
    (tmp_path / "out").mkdir()
    name = pack_files(Submission(study, (), WHERE), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name] == ["a study.toml"]


def test_modules_and_analyses_travel_without_what_python_leaves_in_them(
    study, study_of, tmp_path, monkeypatch
):
    package = tmp_path / "nets_9c1d"
    (package / "__pycache__").mkdir(parents=True)
    (package / ".git").mkdir()
    (package / "wide.py").write_text("")
    (package / "__pycache__" / "wide.pyc").write_text("")
    claims = tmp_path / "claims"
    claims.mkdir()
    (claims / "__init__.py").write_text("")
    own = replace(study_of(model={"kind": "nets_9c1d.wide:Wide"}), source=study.source)
    (tmp_path / "out").mkdir()
    pack_files(Submission(own, (), WHERE, claims), tmp_path / "out")
    files = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert files == {"a study.toml", "pyproject.toml", "nets_9c1d/wide.py", "claims/__init__.py"}

    from symstudy.project import find_project

    found = find_project(tmp_path / "out")
    assert found is not None
    assert found.analyses == tmp_path / "out" / "claims"


@pytest.mark.parametrize("results", ["results", ""])
def test_results_in_the_folder_of_the_job_are_refused(study, tmp_path, results):
    with pytest.raises(LaunchError, match="must be a URI or an absolute path on the cluster"):
        pack_files(Submission(study, (), results), tmp_path)


def test_a_study_from_no_file_is_refused(study_of, tmp_path):
    with pytest.raises(LaunchError, match="STUDY must be a file"):
        pack_files(Submission(study_of(), (), WHERE), tmp_path)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:8265", "ray://127.0.0.1:10001"])
def test_an_address_of_another_kind_is_refused(address):
    with pytest.raises(LaunchError, match=r"must be the dashboard's http://host:port"):
        Jobs(address)


def test_an_address_where_nothing_listens_is_named_at_once():
    with pytest.raises(LaunchError, match=r"does not answer.*symstudy\[cluster\].*ssh -L 8265"):
        Jobs("http://127.0.0.1:1")


def test_an_address_that_never_answers_does_not_hang(monkeypatch):
    monkeypatch.setattr("symstudy.launch.cluster.submission.ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(LaunchError, match=r"does not answer: timed out"):
            Jobs(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_says_what_to_type(status):
    with dashboard(status) as (address, _), pytest.raises(LaunchError, match="RAY_AUTH_MODE=token"):
        Jobs(address)


@pytest.mark.parametrize(("status", "content"), [(404, b""), (200, b"hello"), (200, b"{}")])
def test_another_program_at_the_address_is_told_from_a_dashboard(status, content):
    with (
        dashboard(status, content) as (address, _),
        pytest.raises(LaunchError, match="is none: it answers"),
    ):
        Jobs(address)


def test_the_token_goes_with_the_question(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("of-a-file\n")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with dashboard(content=json.dumps({"ray_version": "2"}).encode()) as (address, tokens):
        check_dashboard(address)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "of-the-environment")
        check_dashboard(address)
    assert tokens == ["Bearer of-a-file", "Bearer of-the-environment"]


def test_a_token_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    assert read_token() == ""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(LaunchError, match="must come with a token"):
        read_token()
    (tmp_path / "token").write_text("\n")
    with pytest.raises(LaunchError, match="holds none"):
        read_token()


class Client:
    """A client of Ray that remembers what it is given."""

    def __init__(self, *infos):
        self.infos = {info.submission_id: info for info in infos}
        self.submitted = []

    def submit_job(self, **job):
        self.submitted.append(job)

    def get_job_info(self, job):
        if job not in self.infos:
            raise RuntimeError(f"Request failed with status code 404: Job {job} does not exist.")
        return self.infos[job]

    def list_jobs(self):
        return list(self.infos.values())

    def get_job_logs(self, job):
        return self.infos[job].log.pop(0)


def info_of(job, status="SUCCEEDED", **others):
    rest: dict[str, Any] = {
        "start_time": 1,
        "metadata": None,
        "message": None,
        "driver_exit_code": None,
        "log": [],
    }
    values = {"submission_id": job, "status": SimpleNamespace(value=status)}
    return SimpleNamespace(**values, **(rest | others))


def jobs_of(*infos):
    """Return jobs whose client is not Ray's."""
    jobs = Jobs.__new__(Jobs)
    jobs.client = Client(*infos)
    return jobs


def test_the_command_of_a_job_is_one_that_symstudy_reads(study):
    import typer

    from symstudy.cli.app import app

    jobs = jobs_of()
    options = ["train.steps=5", "--preset", "it's", "--workers", "3"]
    name = jobs.submit(Submission(study, options, "/shared/my results"))
    (job,) = jobs.client.submitted
    assert job["submission_id"] == name
    assert job["metadata"] == {"study": "small", "results": "/shared/my results"}
    shell, python, *words = shlex.split(job["entrypoint"])
    assert (shell, python, *words[:3]) == ("exec", "python", "-m", "symstudy", "run")
    group = typer.main.get_command(app)
    with group.commands["run"].make_context("run", words[3:]) as context:  # type: ignore[attr-defined]
        assert context.params["results"] == "/shared/my results"
        assert (context.params["preset"], context.params["workers"]) == ("it's", 3)
        assert context.params["address"] == "auto"
    assert int(job["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) > 20


def test_r4_a_job_names_the_project_that_travels_with_it(study, tmp_path):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "__init__.py").write_text("")
    jobs = jobs_of()
    jobs.submit(Submission(study, (), WHERE, tmp_path / "claims"))
    assert jobs.client.submitted[0]["entrypoint"].endswith(" --project .")


def test_a_job_that_is_unknown_is_told_with_those_that_are_there():
    jobs = jobs_of(info_of("b", start_time=2), info_of("a"))
    with pytest.raises(LaunchError, match=r"got 'c'. Known: a, b"):
        jobs.state("c")


def test_jobs_are_listed_by_time_and_drivers_left_out():
    jobs = jobs_of(info_of("b", start_time=2), info_of("a"), info_of(None))
    assert [state.job for state in jobs.states()] == ["a", "b"]


def test_the_log_is_followed_to_its_last_line(monkeypatch):
    monkeypatch.setattr("symstudy.launch.cluster.submission.POLL_S", 0)
    running = info_of("a", "RUNNING", log=["one\n", "one\n", "one\ntwo\n"])
    jobs = jobs_of(running)
    lines = jobs.follow("a")
    assert next(lines) == "one\n"
    running.status = SimpleNamespace(value="FAILED")
    running.log = ["one\ntwo\n"]
    assert list(lines) == ["two\n"]


def test_the_state_of_a_job_says_what_became_of_its_study():
    metadata = {"study": "digits", "results": WHERE}
    state = read_state(info_of("a", "FAILED", metadata=metadata, driver_exit_code=1, message="m"))
    assert state.is_over
    assert tuple(state) == ("a", "FAILED", "digits", WHERE, "m", 1)
    assert not read_state(info_of("a", "PENDING")).is_over


def test_names_of_jobs_begin_with_the_study_and_differ(study):
    first, second = job_name(study), job_name(study)
    assert first != second
    assert first.startswith("small-")
