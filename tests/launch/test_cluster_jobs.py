"""Studies submitted to a real Ray with its dashboard and a token, through the command line."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from symstudy.store import open_store, verify

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]

TOKEN = "a-token-of-these-tests-and-of-nothing-else"


def free_ports(count):
    """Return ports that nobody listens at."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in listening]
    for each in listening:
        each.close()
    return ports


@pytest.fixture(scope="module")
def environment():
    """The environment of commands for a cluster that runs as long as these tests."""
    dashboard, client = free_ports(2)
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    # Ray's sockets must have short paths.
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        words = [
            "ray", "start", "--head", "--block", "--port=0", f"--temp-dir={folder}",
            "--num-cpus=2", "--object-store-memory=80000000", "--include-dashboard=true",
            f"--dashboard-port={dashboard}", "--dashboard-agent-listen-port=0",
            f"--ray-client-server-port={client}",
        ]  # fmt: skip
        with (Path(folder) / "log").open("w") as log:
            ray = subprocess.Popen(words, env=variables, stdout=log, stderr=log)
        variables["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
        try:
            deadline = time.monotonic() + 120
            # An agent is what starts jobs; it comes up last, but for the address.
            agent = Path(folder) / "session_latest" / "logs" / "dashboard_agent.log"
            address = Path(folder) / "ray_current_cluster"
            while not (
                agent.exists() and address.exists() and symstudy(variables, "jobs").returncode == 0
            ):
                assert time.monotonic() < deadline, (Path(folder) / "log").read_text()
                time.sleep(0.5)
            variables["CLUSTER"] = address.read_text()
            yield variables
        finally:
            ray.terminate()
            ray.wait(timeout=60)


def symstudy(environment, *words):
    """Run a command and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "symstudy", *words],
        env=environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def test_a_submitted_study_runs_with_its_model_and_its_claims(environment, tmp_path, root):
    (tmp_path / "submitted_nets_3a.py").write_text(
        "from torch import nn\n\n\n"
        "class Line(nn.Linear):\n"
        "    def __init__(self, input_dim: int, output_dim: int):\n"
        "        super().__init__(input_dim, output_dim)\n"
    )
    study = tmp_path / "own study.toml"
    study.write_text(
        'schema = 1\nname = "own"\ntitle = "Own"\nclaims = ["width_saturation"]\n'
        '[model]\nkind = "submitted_nets_3a:Line"\n'
        '[data]\nkind = "teacher_student"\nsamples = 40\ntest_samples = 30\n'
        "[train]\nlr = 0.01\nbatch_size = 8\nsteps = 20\n"
        "[probe]\nnum = 4\ndetail = 2\nsamples = 16\n"
    )
    words = (str(study), "sweep.seed=2", f"--results={tmp_path}/results", f"--project={root}")
    done = symstudy(environment, "submit", *words, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs done, 0 failed" in done.stdout
    folder = open_store(tmp_path / "results").folders[0]
    assert verify(folder).is_proven
    frozen = json.loads((tmp_path / "results" / "own" / "study.json").read_text())
    assert list(frozen["rules"]) == ["width_saturation"]
    listed = json.loads(symstudy(environment, "jobs", "--json").stdout)
    assert [(job["status"], job["study"]) for job in listed][-1] == ("SUCCEEDED", "own")


def test_a_job_that_is_stopped_has_saved_its_packs(environment, tmp_path, root):
    study = str(root / "studies" / "smoke.toml")
    words = (study, "train.steps=100000000", "seed=1", f"--results={tmp_path}")
    submitted = symstudy(environment, "submit", *words)
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()
    progress = tmp_path / "smoke" / "control" / "progress.json"
    deadline = time.monotonic() + 180
    while not (progress.exists() and json.loads(progress.read_text())["run_steps"]):
        assert time.monotonic() < deadline, symstudy(environment, "jobs", job, "--logs").stdout
        time.sleep(0.5)
    assert symstudy(environment, "jobs", job, "--stop").returncode == 0
    followed = symstudy(environment, "jobs", job, "--logs", "--follow")
    assert followed.returncode == 130
    assert f"{job} STOPPED" in followed.stderr
    assert list((tmp_path / "smoke" / "checkpoints").iterdir())


def test_a_wrong_token_and_a_wrong_job_are_named(environment):
    refused = symstudy(environment | {"RAY_AUTH_TOKEN": "another"}, "jobs")
    assert refused.returncode == 2
    assert "must be that of the cluster" in refused.stderr
    unknown = symstudy(environment, "jobs", "no-such-job")
    assert unknown.returncode == 2
    assert "ID must be a job of the cluster" in unknown.stderr


def test_a_study_that_fails_on_the_cluster_keeps_its_exit_status(environment, tmp_path, root):
    # The folder in the way is seen there, not here.
    (tmp_path / "in-the-way").write_text("")
    study = str(root / "studies" / "smoke.toml")
    done = symstudy(environment, "submit", study, f"--results={tmp_path}/in-the-way", "--wait")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the results must be" in done.stdout


@pytest.mark.parametrize("token", ["", "another"])
def test_run_with_a_wrong_token_ends_within_seconds(environment, tmp_path, root, token):
    study = str(root / "studies" / "smoke.toml")
    # Without a token at all, Ray is not to look for one in the home folder.
    mode = {"RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
    words = (study, f"--address={environment['CLUSTER']}", f"--results={tmp_path}/results")
    done = symstudy(environment | mode, "run", *words)
    assert done.returncode == 2
    assert "Type RAY_AUTH_MODE=token before the command" in done.stderr
    assert not (tmp_path / "results" / "smoke" / "study.json").exists()


def test_run_without_any_token_says_what_to_type(environment, tmp_path, root):
    study = str(root / "studies" / "smoke.toml")
    nowhere = {"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}
    words = (study, f"--address={environment['CLUSTER']}", f"--results={tmp_path}/results")
    done = symstudy(environment | nowhere, "run", *words)
    assert done.returncode == 2
    assert "must come with a token" in done.stderr
