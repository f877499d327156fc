"""Whatever a program does wrong is a failed run with its traceback, and no other run's business."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from symstudy.errors import LaunchError, StoreError
from symstudy.launch import InlineLauncher, read_traceback, run_study
from symstudy.store import verify
from symstudy.study import load_study

FAULTS = """
import os, subprocess, sys, time

def main(run):
    fault = run.config["fault"]
    if fault == "nothing":
        return
    run.report(1, loss=1.0)
    if fault == "text":
        run.report(2, loss="low")
    elif fault == "backwards":
        run.report(0, loss=1.0)
    elif fault == "raises":
        raise ValueError("a bad number")
    elif fault == "half":
        open("caf\\udce9")
    elif fault == "exits":
        sys.exit(3)
    elif fault == "leaves":
        os._exit(0)
    elif fault == "hangs":
        time.sleep(60)
    elif fault == "killed":
        os.kill(os.getpid(), 9)
    elif fault == "crashes":
        os.kill(os.getpid(), 11)
    elif fault == "memory":
        raise MemoryError("no room")
    elif fault == "after":
        import atexit
        atexit.register(lambda: run.report(2, loss=1.0))
    elif fault == "shouts":
        print("x" * 1_000_000)
        raise RuntimeError("loud")
    elif fault == "raw":
        with open(os.environ["SYMSTUDY_REPORTS"], "a") as file:
            file.write('{"step": 2, "loss": [0]}\\n')
        time.sleep(60)
    run.report(3, loss=0.5)
"""

EXPECTED = {
    "none": ("done", None),
    "nothing": ("error", "must report at least once"),
    "text": ("error", "'loss' is 'low', of type str"),
    "backwards": ("error", "must not go backwards, but got 0 after 1"),
    "raises": ("error", "ValueError: a bad number"),
    "half": ("error", r"No such file or directory: 'caf\udce9'"),
    "exits": ("error", "SystemExit: 3"),
    "leaves": ("error", "before that, as os._exit"),
    "hangs": ("error", "no report came for 5 s"),
    "killed": ("error", "ended by SIGKILL, as where memory runs out"),
    "crashes": ("error", 'train.py", line 26 in main'),
    "memory": ("out_of_memory", "MemoryError: no room"),
    "after": ("error", "must report before its end"),
    "shouts": ("error", "RuntimeError: loud"),
    "raw": ("error", "'loss' is"),
}


QUICK = ("none", "nothing", "text", "half", "exits", "after")


@pytest.mark.parametrize("faults", [QUICK, pytest.param(tuple(EXPECTED), marks=pytest.mark.slow)])
def test_each_fault_is_a_failed_run_with_its_reason_and_no_other_is_touched(run_programs, faults):
    names = ", ".join(f'"{name}"' for name in faults)
    tables = (
        '[program]\nentry = "train:main"\ntimeout = 5\n'
        f'[sweep]\n"config.fault" = [{names}]\n[pack]\nsize = 14\n'
    )
    summary, store = run_programs(FAULTS, tables)
    rows = {
        fault: (outcome, reason, loss, run)
        for fault, outcome, reason, loss, run in store.sql(
            "select fault, outcome, reason, loss, run_id from runs"
        ).rows
    }
    for fault in faults:
        outcome, reason = EXPECTED[fault]
        assert rows[fault][0] == outcome, (fault, rows[fault])
        assert (reason or "") in (rows[fault][1] or ""), (fault, rows[fault])
        assert (rows[fault][2] == 0.5) == (outcome == "done"), (fault, rows[fault])
    (folder,) = store.folders
    texts = {fault: read_traceback(folder, row[3]) for fault, row in rows.items()}
    assert 'run.report(2, loss="low")' in texts["text"]
    assert texts["none"] == ""
    if "hangs" in faults:
        assert "in main" in texts["hangs"]
        assert len(texts["shouts"]) < 25_000
    found = verify(folder)
    assert found.is_proven
    assert (found.account.done, found.account.num_failed) == (1, len(faults) - 1)
    assert summary.failed == len(faults) - 1


def test_what_a_program_has_started_ends_with_it(run_programs, tmp_path):
    script = f"""
    import os, subprocess, sys
    def main(run):
        # One child of its own group, and one that leaves it.
        for session in (False, True):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                                     start_new_session=session)
            with open("{tmp_path}/pids", "a") as file:
                file.write(f"{{child.pid}}\\n")
        run.report(1, loss=1.0)
    """
    summary, _ = run_programs(script)
    assert summary.done == 1
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        assert not is_running(pid)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1]
    except OSError:
        return False
    return state[0] != "Z"


@pytest.mark.slow
def test_a_run_that_fails_is_begun_again_as_often_as_it_may(run_programs, tmp_path):
    script = f"""
    from pathlib import Path
    def main(run):
        file = Path("{tmp_path}/tries")
        tries = len(file.read_text()) if file.exists() else 0
        file.write_text("x" * (tries + 1))
        run.report(1, loss=float(tries))
        if tries < 2:
            raise ValueError("not yet")
        run.report(2, loss=9.0)
    """
    tables = '[program]\nentry = "train:main"\nretries = 2\n'
    summary, store = run_programs(script, tables)
    assert summary.done == 1
    assert store.sql("select step, loss from history order by step").rows == [(1, 2.0), (2, 9.0)]


def test_a_failed_run_is_run_again_with_retry_and_starts_clean(run_programs, tmp_path):
    script = f"""
    import os
    def main(run):
        assert os.listdir() == ["run.json"] or len(os.listdir()) == 2, os.listdir()
        open("own", "w").close()
        run.report(1, loss=1.0)
        if not os.path.exists("{tmp_path}/mended"):
            raise ValueError("no")
    """
    summary, _ = run_programs(script)
    assert summary.failed == 1
    assert run_programs(script)[0].failed == 0
    (tmp_path / "mended").touch()
    summary, store = run_programs(script, retry=True)
    assert summary.done == 1
    assert store.sql("select outcome from runs").rows == [("done",)]


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_its_program_with_it(tmp_path, write_study):
    write_study(
        """
        import os, time
        def main(run):
            run.report(1, loss=1.0)
            open("pid", "w").write(str(os.getpid()))
            time.sleep(60)
        """
    )
    command = ["-m", "symstudy", "run", str(tmp_path / "study.toml"), "--launcher", "inline"]
    driver = subprocess.Popen(
        [sys.executable, *command, "--results", str(tmp_path / "results"), "--quiet"]
    )
    deadline = time.monotonic() + 60
    while not (found := list(tmp_path.glob("results/own/work/*/pid"))) or not found[0].read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int(found[0].read_text())
    assert is_running(pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found[0].exists()


@pytest.mark.slow
def test_a_program_that_ends_with_its_worker_has_not_failed(tmp_path, write_study):
    write_study(
        """
        import os, time
        def main(run):
            run.report(1, loss=1.0)
            again = os.path.exists("pid")
            open("pid", "w").write(str(os.getpid()))
            while not again:
                time.sleep(1)
        """
    )
    command = ["-m", "symstudy", "run", str(tmp_path / "study.toml"), "--launcher", "inline"]
    words = [sys.executable, *command, "--results", str(tmp_path / "results"), "--quiet"]
    driver = subprocess.Popen(words)
    deadline = time.monotonic() + 60
    while not (found := list(tmp_path.glob("results/own/work/*/pid"))) or not found[0].read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # As Ray does where it ends a worker: first what it has started, then the worker.
    os.kill(int(found[0].read_text()), signal.SIGKILL)
    time.sleep(0.5)
    driver.kill()
    driver.wait()
    assert not list(tmp_path.glob("results/own/work/*/ended.json"))
    assert not list(tmp_path.glob("results/own/runs/*"))
    assert subprocess.run(words, check=False).returncode == 0


@pytest.mark.parametrize("command", ['["python", "train.py"]', '["./train.py"]'])
def test_a_command_that_fails_shows_what_it_printed(run_programs, tmp_path, command):
    script = """\
    #!/usr/bin/env python3
    import os, sys
    with open(os.environ["SYMSTUDY_REPORTS"], "a") as file:
        file.write('{"step": 1, "loss": 0.5}\\n')
    print("something", file=sys.stderr)
    raise ValueError("a bad number")
    """
    (tmp_path / "train.py").touch(0o755)
    summary, store = run_programs(script, f"[program]\ncommand = {command}\n")
    assert summary.failed == 1
    ((run, reason),) = store.sql("select run_id, reason from runs").rows
    assert reason == "exit status 1: ValueError: a bad number"
    assert "something" in read_traceback(store.folders[0], run)


def test_a_program_that_spoils_its_own_folder_is_no_other_runs_business(run_programs, tmp_path):
    script = """\
    #!/bin/sh
    echo '{"step": 1, "loss": 0.5}' >> $SYMSTUDY_REPORTS
    case $1 in
        folder) rm $SYMSTUDY_REPORTS; mkdir $SYMSTUDY_REPORTS; sleep 5 ;;
        late) sleep 0.5; rm $SYMSTUDY_REPORTS; mkdir $SYMSTUDY_REPORTS ;;
        gone) sleep 0.5; rm -r $SYMSTUDY_FOLDER ;;
        swapped) sleep 0.5; rm -r $SYMSTUDY_FOLDER; touch $SYMSTUDY_FOLDER ;;
    esac
    """
    (tmp_path / "train.py").touch(0o755)
    tables = (
        '[program]\ncommand = ["./train.py", "{how}"]\nretries = 1\n[sweep]\n'
        '"config.how" = ["folder", "none", "late", "gone", "swapped"]\n[pack]\nsize = 5\n'
    )
    _, store = run_programs(script, tables)
    ends = {how: rest for how, *rest in store.sql("select how, outcome, reason from runs").rows}
    assert ends["none"] == ["done", None]
    assert ends["gone"] == ["done", None]
    for how in ("folder", "late", "swapped"):
        outcome, reason = ends[how]
        assert outcome == "error", ends
        assert "must leave the file of its reports a file, but [Errno 2" in reason
    assert verify(store.folders[0]).is_proven


@pytest.mark.slow
def test_code_that_changes_while_its_study_runs_ends_the_launch(run_programs, tmp_path):
    script = f"""
    from pathlib import Path
    def main(run):
        run.report(1, loss=1.0)
        file = Path("{tmp_path}/train.py")
        file.write_text(file.read_text() + "# changed")
    """
    with pytest.raises(LaunchError, match="must be as it was when the study was planned"):
        run_programs(script, '[program]\nentry = "train:main"\n[sweep]\nseed = 2\n')


def test_a_link_that_somebody_has_planted_is_not_written_through(run_programs, tmp_path):
    script = """
    def main(run):
        run.report(1, loss=1.0)
        if run.seed == 0:
            from pathlib import Path
            Path("mine").symlink_to("/etc/passwd")
    """
    tables = '[program]\nentry = "train:main"\n'
    assert run_programs(script, tables)[0].done == 1
    study = load_study(tmp_path / "study.toml", overrides=["seed=2"])
    (run,) = [run for run in study.runs() if run.seed == 1]
    (tmp_path / "precious").write_text("mine")
    planted = tmp_path / "results" / "own" / "work" / run.run_id
    planted.mkdir()
    (planted / "run.json").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="is a link"):
        run_study(study, str(tmp_path / "results"), InlineLauncher(device="cpu"))
    assert (tmp_path / "precious").read_text() == "mine"
