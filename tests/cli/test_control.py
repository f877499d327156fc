"""Runs, cancel and retry, from another terminal and afterwards."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="module")
def trained(program, request, tmp_path_factory):
    """Results with two runs done and two diverged, trained once."""
    place = tmp_path_factory.mktemp("trained")
    program(
        "run",
        request.config.rootpath / "studies" / "smoke.toml",
        "model.width=8",
        "train.optimizer=sgd",
        "train.gamma=0.0",
        "train.lr=[0.01, 1e6]",
        "train.steps=50",
        "seed=2",
        "--launcher=inline",
        f"--results={place}",
    )
    return place


@pytest.fixture
def failed(trained, tmp_path):
    """A copy of them that a test may change."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_runs_are_filtered_by_a_condition(program, failed):
    said = program("runs", failed, "--where", "outcome = 'diverged'", "--json")
    rows = json.loads(said.stdout)
    assert [row["outcome"] for row in rows] == ["diverged"] * 2
    assert {row["seed"] for row in rows} == {0, 1}
    assert all("smaller train.lr" in row["reason"] for row in rows)
    assert "lr" in rows[0]


def test_whatever_is_swept_is_shown(program, root, tmp_path):
    program(
        "run",
        root / "studies" / "smoke.toml",
        "model.width=8",
        'train.optimizer=["adam", "adamw"]',
        "train.epsilon=[1e-8, 1e-6]",
        "train.gamma=0.0",
        "train.steps=2",
        "seed=1",
        "--launcher=inline",
        f"--results={tmp_path}",
    )
    rows = json.loads(program("runs", tmp_path, "--json").stdout)
    assert {(row["optimizer"], row["epsilon"]) for row in rows} == {
        (optimizer, epsilon) for optimizer in ("adam", "adamw") for epsilon in (1e-8, 1e-6)
    }


def test_w1_failed_runs_are_taken_back_by_their_planned_rate(program, failed):
    rows = json.loads(program("runs", failed, "--json").stdout)
    assert sorted((row["lr"], row["outcome"]) for row in rows) == [
        *[(0.01, "done")] * 2,
        *[(1e6, "diverged")] * 2,
    ]
    taken = json.loads(program("retry", failed, "--where", "lr > 1", "--json").stdout)
    assert [row["runs"] for row in taken] == [2]


def test_w6_a_folder_that_was_renamed_is_not_proven_without_its_rows(program, failed):
    (folder,) = (path for path in failed.iterdir() if (path / "study.json").exists())
    moved = folder.rename(failed / "backup")
    for path in (moved / "runs").iterdir():
        path.unlink()
    said = program("verify", failed)
    assert said.returncode == 1
    assert "not proven: 4 planned = 0 done + 0 stopped + 0 failed + 4 missing" in said.stdout


def test_more_runs_than_asked_for_are_told(program, failed):
    said = program("runs", failed, "--limit=1")
    assert "more than 1 runs" in said.stderr
    assert said.stdout.count("smoke") == 1


def test_a_condition_that_is_no_sql_is_2(program, failed):
    said = program("runs", failed, "--where", "widht > 3")
    assert said.returncode == 2
    assert "widht" in said.stderr
    assert "Traceback" not in said.stderr


def test_retried_runs_are_missing_and_trained_by_the_next_run(program, root, failed):
    first = json.loads(program("status", failed, "--json").stdout)[0]
    assert (first["done"], first["failed"], first["missing"]) == (2, 2, 0)
    said = program("retry", failed, "--where", "seed = 1")
    assert "1 runs taken back (diverged" in said.stderr
    after = json.loads(program("status", failed, "--json").stdout)[0]
    assert (after["done"], after["failed"], after["missing"]) == (2, 1, 1)
    missing = json.loads(program("runs", failed, "--where", "outcome = 'missing'", "--json").stdout)
    assert [row["seed"] for row in missing] == [1]
    assert len(list((failed / "smoke" / "taken_back").iterdir())) == 1
    again = program("retry", failed, "--where", "seed = 1")
    assert "nothing to retry" in again.stderr


def test_nothing_runs_so_nothing_is_cancelled(program, failed):
    said = program("cancel", failed)
    assert said.returncode == 0
    assert "nothing to cancel" in said.stderr


def test_a_study_is_watched_and_cancelled_from_another_terminal(program, root, tmp_path):
    command = [
        *(sys.executable, "-m", "symstudy", "run", str(root / "studies" / "smoke.toml")),
        *("train.steps=30000000", "seed=1", "--launcher=inline", f"--results={tmp_path}"),
    ]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            said = program("status", tmp_path, "--json")
            rows = json.loads(said.stdout) if said.returncode == 0 else []
            if rows and rows[0]["running"] and (rows[0]["running"]["progress"] or {}).get("lanes"):
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"never seen running: {said}")
        assert "process" in rows[0]["running"]["driver"]
        second = program("run", *command[4:])
        assert second.returncode == 2
        assert "one driver at a time" in second.stderr
        cancelled = program("cancel", tmp_path, "--json")
        assert json.loads(cancelled.stdout)[0]["ended"]
        _, errors = driver.communicate(timeout=60)
    finally:
        driver.send_signal(signal.SIGKILL)
    assert driver.returncode == 130, errors
    assert "cancelled from another terminal" in errors
    assert list((tmp_path / "smoke" / "checkpoints").glob("*.safetensors"))
    assert json.loads(program("status", tmp_path, "--json").stdout)[0]["running"] is None


BAD_STUDY = """
schema = 1
name = "bad"
title = "A model that raises"
[model]
kind = "bad_nets:Bad"
[data]
kind = "teacher_student"
samples = 40
test_samples = 30
[train]
lr = 0.01
batch_size = 8
steps = 20
[sweep]
seed = 2
"""

BAD_MODEL = """
import torch

class Bad(torch.nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.last = torch.nn.Linear(input_dim, output_dim)

    def forward(self, x):
        if len(x) > 5:
            raise ValueError("\\x1b[31mno such luck")
        return self.last(x)  # the samples that a module is tried on before
"""


def test_the_traceback_of_a_failed_run_is_shown_without_control_characters(program, tmp_path):
    (tmp_path / "bad_nets.py").write_text(BAD_MODEL)
    (tmp_path / "bad.toml").write_text(BAD_STUDY)
    said = program("run", "bad.toml", "--launcher=inline", cwd=tmp_path)
    assert said.returncode == 1, said.stderr
    shown = program("runs", "results", "--where", "outcome = 'error'", "--traceback", cwd=tmp_path)
    assert "\x1b" not in shown.stdout
    # Both runs were in one pack: the text is shown once.
    assert shown.stdout.count("Traceback (most recent call last)") == 1
    assert "in forward" in shown.stdout
    rows = json.loads(program("runs", "results", "--traceback", "--json", cwd=tmp_path).stdout)
    assert len(rows) == 2
    assert all("no such luck" in row["traceback"] for row in rows)
