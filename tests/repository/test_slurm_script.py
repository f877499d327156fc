"""The script for Slurm, run by bash with a scheduler that only takes note of what it is told.

Most tests replace Ray and symstudy too; the slow ones run a real study on two real nodes of Ray.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from symstudy.store import open_store, verify

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "cluster" / "slurm" / "symstudy.sbatch"

SRUN = """
    echo "srun $*" >>"$NOTES"
    while [[ $1 == --* ]]; do shift; done
    "$@" &
    child=$!
    trap 'kill -TERM $child; wait $child; exit 143' TERM
    wait $child
"""
SCONTROL = 'echo "scontrol $*" >>"$NOTES"\n'
RAY = """
    mode=$(stat -c %a "$RAY_AUTH_TOKEN_PATH")
    echo "ray $RAY_AUTH_MODE $mode $*" >>"$NOTES"
    for word in "$@"; do
        if [[ $word == --temp-dir=* && "$*" == *--head* ]]; then
            echo -n 192.0.2.1:4321 >"${word#--temp-dir=}/ray_current_cluster"
        fi
    done
    trap 'kill $nap; echo "ray ended" >>"$NOTES"; exit 0' TERM
    sleep 60 &
    nap=$!
    wait
"""
SYMSTUDY = """
    echo "symstudy $*" >>"$NOTES"
    trap 'kill $nap; echo "symstudy saved" >>"$NOTES"; exit 130' USR1
    touch "$NOTES.running"
    sleep "${STUDY_SECONDS:-0}" &
    nap=$!
    wait $nap
    exit "${STUDY_STATUS:-0}"
"""
PYTHON = """
    if [[ $# == 1 ]]; then echo 21234; exit; fi
    cat >/dev/null
    until grep -q '^ray .* start --block' "$NOTES"; do sleep 0.02; done
"""


class Node:
    """A machine of a Slurm cluster, as far as the script can tell."""

    def __init__(self, folder: Path, programs: dict[str, str]) -> None:
        """Put the programs that are not real into a folder of their own."""
        self.folder = folder
        self.notes = folder / "notes"
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        for name, text in programs.items():
            path = bin_folder / name
            path.write_text("#!/bin/bash\n" + textwrap.dedent(text))
            path.chmod(0o755)
        keep = {key: os.environ[key] for key in ("LANG", "PYTHONPATH") if key in os.environ}
        self.environment = keep | {
            "PATH": f"{bin_folder}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "NOTES": str(self.notes),
            "SYMSTUDY_TMP": str(self.temporary),
            "SYMSTUDY_VENV": "/nowhere",
            "SLURM_JOB_ID": "77",
            "SLURM_CPUS_ON_NODE": "1",
            "RAY_AUTH_TOKEN": "not to be used",
        }

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start the script as Slurm would."""
        return subprocess.Popen(
            ["bash", SCRIPT, *arguments],
            env=self.environment | environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> int:
        """Run the script and return its exit status."""
        process = self.start(*arguments, **environment)
        process.communicate(timeout=250)
        return process.returncode

    def noted(self, program: str) -> list[str]:
        """Return what a program was told, a line each."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [line.removeprefix(f"{program} ") for line in lines if line.startswith(program)]

    def is_clean(self) -> bool:
        """Return whether nothing is left of the job: no folder, no token."""
        places = (self.temporary, self.folder / ".symstudy")
        return not [path for place in places for path in place.iterdir()]


@pytest.fixture
def node(tmp_path):
    """A machine where Slurm, Ray and symstudy only take notes."""
    return Node(
        tmp_path,
        {"srun": SRUN, "scontrol": SCONTROL, "ray": RAY, "symstudy": SYMSTUDY, "python": PYTHON},
    )


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def test_the_script_starts_ray_on_every_node_and_the_study_once(node):
    assert node.run("a study.toml", "--results", "/r", SLURM_JOB_NUM_NODES="3") == 0
    head, worker, *_ = node.noted("ray token")
    assert head.startswith("600 start --head --block --port=0 ")
    assert worker.startswith("600 start --block --address=192.0.2.1:4321 ")
    (task,) = node.noted("srun")
    assert task.startswith("--overlap --relative=1 --nodes=2 --ntasks=2 --ntasks-per-node=1 ")
    assert node.noted("symstudy") == ["run a study.toml --results /r --address 192.0.2.1:4321"]
    assert node.is_clean()


def test_one_node_needs_no_tasks(node):
    assert node.run("study.toml") == 0
    assert not node.noted("srun")
    assert "--node-ip-address=127.0.0.1 " in node.noted("ray token")[0]
    assert "--include-dashboard=false" in node.noted("ray token")[0]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_exit_status_is_that_of_the_study(node, status):
    assert node.run("study.toml", STUDY_STATUS=str(status)) == status
    assert not node.noted("scontrol")
    assert node.noted("ray ended")
    assert node.is_clean()


def stopped(node: Node, number: signal.Signals, **environment: str) -> int:
    """Return the exit status of a job that gets a signal while its study runs."""
    process = node.start("study.toml", STUDY_SECONDS="60", **environment)
    wait_for(Path(f"{node.notes}.running"))
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


def test_a_job_whose_time_is_up_saves_and_goes_back_to_the_queue(node):
    assert stopped(node, signal.SIGUSR1) == 130
    assert node.noted("symstudy saved")
    assert node.noted("scontrol") == ["requeue 77"]
    assert node.is_clean()


def test_a_job_that_is_cancelled_saves_and_stays_away(node):
    assert stopped(node, signal.SIGTERM) == 130
    assert node.noted("symstudy saved")
    assert not node.noted("scontrol")
    assert node.is_clean()


def test_a_job_does_not_go_back_for_ever(node):
    assert stopped(node, signal.SIGUSR1, SLURM_RESTART_COUNT="5", SYMSTUDY_REQUEUES="5") == 130
    assert not node.noted("scontrol")


def test_a_study_that_ends_just_then_stays_ended(node):
    # It heard the signal, and was done all the same.
    (node.folder / "bin" / "symstudy").write_text(
        "#!/bin/bash\ntrap 'kill %1; exit 0' USR1\ntouch \"$NOTES.running\"\nsleep 60 &\nwait\n"
    )
    assert stopped(node, signal.SIGUSR1) == 0
    assert not node.noted("scontrol")


def test_a_ray_that_does_not_start_is_shown(node):
    (node.folder / "bin" / "ray").write_text("#!/bin/bash\necho no space left\nexit 1\n")
    process = node.start("study.toml")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "Ray did not start on the first node:\nno space left" in output
    assert node.is_clean()


def test_a_node_without_symstudy_is_told_of(node):
    (node.folder / "bin" / "symstudy").unlink()
    process = node.start("study.toml", PATH=f"{node.folder}/bin:/usr/bin:/bin")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "'symstudy' must be on the PATH; set SYMSTUDY_VENV" in output


@pytest.fixture
def real(tmp_path):
    """A machine with Ray and symstudy, and a scheduler that takes notes."""
    found = Node(tmp_path, {"srun": SRUN, "scontrol": SCONTROL})
    # Ray's sockets must have short paths.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        found.temporary = Path(folder)
        found.environment["SYMSTUDY_TMP"] = folder
        yield found


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_study_is_interrupted_and_goes_on_with_real_ray_on_two_nodes(real, tmp_path):
    study = str(ROOT / "studies" / "smoke.toml")
    words = (study, "train.steps=4000000", "seed=1", "pack.size=2", f"--results={tmp_path}/results")
    process = real.start(*words, SLURM_JOB_NUM_NODES="2")
    deadline = time.monotonic() + 120
    progress = tmp_path / "results" / "smoke" / "control" / "progress.json"
    while not (progress.exists() and json.loads(progress.read_text())["run_steps"]):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "2 of 2 nodes are ready" in output
    assert real.noted("scontrol") == ["requeue 77"]
    assert real.is_clean()
    assert list((tmp_path / "results" / "smoke" / "checkpoints").iterdir())
    # As Slurm starts it again; of the same study, shorter runs would be others.
    again = real.start(*words, SLURM_JOB_NUM_NODES="2", SLURM_RESTART_COUNT="1")
    output, _ = again.communicate(timeout=280)
    assert again.returncode == 0, output
    assert verify(open_store(tmp_path / "results").folders[0]).is_proven
    assert real.is_clean()
