"""An interrupted run goes on from what it saved, and each report counts once."""

import os
import signal
import threading
import time

import pytest

from symstudy.launch import PackProgressed
from symstudy.store import verify


@pytest.fixture(autouse=True)
def polled_at_once(monkeypatch):
    monkeypatch.setattr("symstudy.launch.stop_poll.POLL_S", 0.0)


def test_a_run_goes_on_from_its_last_save_and_reports_nothing_twice(run_programs, stop_at, saves):
    summary, store = run_programs(saves, listeners=[stop_at(8)])
    assert (summary.done, summary.stopped != "") == (0, True)
    summary, store = run_programs(saves)
    assert summary.done == 1
    rows = store.sql("select step, loss, attempt from history order by step").rows
    assert [step for step, _, _ in rows] == list(range(1, 21))
    assert [loss for _, loss, _ in rows] == [float(step) for step in range(1, 21)]
    first = sum(attempt == 1 for *_, attempt in rows)
    assert 6 <= first < 20
    assert first % 3 == 0
    assert verify(store.folders[0]).is_proven


def test_without_a_save_it_starts_over(run_programs, tmp_path, stop_at):
    script = f"""
    import time
    from pathlib import Path
    def main(run):
        again = Path("{tmp_path}/again").exists()
        Path("{tmp_path}/again").touch()
        for step in range(0, 10, 3 if again else 1):
            run.report(step, loss=1.0)
            time.sleep(0.0 if again else 0.05)
    """
    run_programs(script, listeners=[stop_at(3)])
    summary, store = run_programs(script)
    assert summary.done == 1
    assert store.sql("select step from history order by step").rows == [(0,), (3,), (6,), (9,)]


def test_a_program_that_looks_whether_to_stop_saves_at_the_signal(run_programs, stop_at):
    script = """
    import time
    def main(run):
        start = (run.restore() or {"step": 0})["step"]
        for step in range(start + 1, 60):
            run.report(step, loss=1.0, start=start)
            time.sleep(0.03 if start == 0 else 0.0)
            if run.should_stop:
                run.save({"step": step})
                return
    """
    run_programs(script, listeners=[stop_at(5)])
    summary, store = run_programs(script)
    assert summary.done == 1
    rows = store.sql("select step, start from history order by step").rows
    assert [step for step, _ in rows] == list(range(1, 60))
    (start,) = {start for _, start in rows} - {0}
    assert start == sum(begun == 0 for _, begun in rows)


@pytest.mark.slow
def test_a_command_goes_on_from_files_of_its_own(run_programs, stop_at):
    script = """
    import json, os, time
    from pathlib import Path
    own = Path(os.environ["SYMSTUDY_FOLDER"]) / "own.json"
    start = json.loads(own.read_text()) if own.exists() else 0
    for step in range(start + 1, 21):
        with open(os.environ["SYMSTUDY_REPORTS"], "a") as file:
            file.write(json.dumps({"step": step, "start": start}) + "\\n")
        if step % 4 == 0:
            own.write_text(json.dumps(step))
        time.sleep(0.04 if start == 0 else 0.0)
    """
    tables = '[program]\ncommand = ["python", "train.py"]\n'
    run_programs(script, tables, listeners=[stop_at(6)])
    summary, store = run_programs(script, tables)
    assert summary.done == 1
    rows = store.sql("select step, start from history order by step").rows
    assert [step for step, _ in rows] == list(range(1, 21))
    assert max(start for _, start in rows) >= 4


@pytest.mark.slow
def test_runs_of_a_pack_that_had_ended_are_not_run_again(run_programs, tmp_path, stop_at):
    script = f"""
    import time
    from pathlib import Path
    def main(run):
        with open("{tmp_path}/begun", "a") as file:
            file.write(f"{{run.seed}} ")
        run.report(1, loss=float(run.seed))
        if run.seed == 2 and not Path("{tmp_path}/again").exists():
            Path("{tmp_path}/again").touch()
            run.report(5, loss=2.0)
            time.sleep(60)
        run.report(6, loss=7.0)
    """
    tables = '[program]\nentry = "train:main"\n[sweep]\nseed = 4\n[pack]\nsize = 4\n'
    run_programs(script, tables, listeners=[stop_at(17)])
    summary, store = run_programs(script, tables)
    assert summary.done == 4
    assert (tmp_path / "begun").read_text().split() == ["0", "1", "2", "2", "3"]
    assert store.sql("select count(*), min(loss) from runs").rows == [(4, 7.0)]
    assert not list((tmp_path / "results" / "own" / "work").iterdir())


@pytest.mark.slow
def test_a_damaged_state_is_set_aside_and_the_run_starts_over(
    run_programs, tmp_path, stop_at, saves
):
    run_programs(saves, listeners=[stop_at(8)])
    (state,) = tmp_path.glob("results/own/work/*/saved.state")
    state.write_bytes(state.read_bytes()[:-5])
    summary, store = run_programs(saves)
    assert summary.done == 1
    assert store.sql("select count(*), max(attempt) from history").rows == [(20, 1)]


def test_a_program_that_never_looks_ends_at_once(run_programs, stop_at):
    script = """
    import time
    def main(run):
        run.report(1, loss=1.0)
        time.sleep(60)
    """
    start = time.monotonic()
    summary, _ = run_programs(script, listeners=[stop_at(1)])
    assert summary.stopped
    assert time.monotonic() - start < 8.0


SIGNALLED = """
import os, time
def main(run):
    start = (run.restore() or {{"step": 0}})["step"]
    with open("pid", "w") as file:
        file.write(str(os.getpid()))
    for step in range(start + 1, 21):
        run.report(step, loss=1.0)
        time.sleep(0.1 if start == 0 else 0.0)
        if {looks} and run.should_stop:
            run.save({{"step": step}})
            return
"""


class SignalledFirst:
    """Sends a program SIGTERM as it reports; the launch is asked to stop a while later, if ever."""

    def __init__(self, stop_at, folder):
        self.stop_at = stop_at
        self.folder = folder
        self.is_over = False

    def __call__(self, event):
        if not isinstance(event, PackProgressed):
            self.stop_at(event)
        elif event.run_steps >= 5 and not self.is_over:
            self.is_over = True
            (file,) = self.folder.glob("results/own/work/*/pid")
            os.kill(int(file.read_text()), signal.SIGTERM)
            threading.Timer(0.7, self.stop_at, [event]).start()


@pytest.mark.parametrize("looks", [True, False])
def test_a_program_that_is_signalled_before_its_worker_is_neither_done_nor_failed(
    run_programs, tmp_path, stop_at, looks
):
    # As scancel of Slurm does: all processes of a job at once, and the program may end first.
    script = SIGNALLED.format(looks=looks)
    summary, _ = run_programs(script, listeners=[SignalledFirst(stop_at(1), tmp_path)])
    assert (summary.done, summary.failed, summary.stopped != "") == (0, 0, True)
    summary, store = run_programs(script)
    assert summary.done == 1
    assert store.sql("select count(*), max(step) from history").rows == [(20, 20)]


@pytest.mark.slow
def test_a_program_that_returns_at_a_signal_of_something_else_has_not_ended(
    run_programs, tmp_path, stop_at
):
    listener = SignalledFirst(stop_at(100), tmp_path)
    summary, store = run_programs(SIGNALLED.format(looks=True), listeners=[listener])
    assert (summary.done, summary.failed) == (0, 1)
    ((reason,),) = store.sql("select reason from runs").rows
    assert "must end by itself, but something other than symstudy sent it SIGTERM" in reason
