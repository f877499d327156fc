"""What it costs to look after programs, and that none of their reports is lost."""

import sys
import threading
import time

from symstudy.programs.folders import ProgramFolder
from symstudy.programs.supervisor import ProgramLaunch, Supervisor

SCRIPT = """
import time
def main(run):
    start = time.time()
    for step in range(250):
        run.report(step, loss=float(step))
        time.sleep(max(0.0, start + 0.004 * (step + 1) - time.time()))
"""


def test_ten_programs_of_a_second_at_once_lose_no_report_and_cost_little(tmp_path, write_study):
    runs = write_study(SCRIPT, '[program]\nentry = "train:main"\n[sweep]\nseed = 10\n').runs()
    launch = ProgramLaunch(home=str(tmp_path), device="cpu", cpus=1)
    ends = {}

    def look_after(run):
        folder = ProgramFolder(tmp_path / "work" / run.run_id, run.run_id)
        ends[run.run_id] = Supervisor(run, folder, launch, {}).run()

    threads = [threading.Thread(target=look_after, args=(run,)) for run in runs]
    used, begun = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used, took = time.process_time() - used, time.perf_counter() - begun
    for run in runs:
        end = ends[run.run_id]
        assert end.outcome.is_done, end.reason
        assert [row.values["loss"] for row in end.rows] == [float(step) for step in range(250)]
    total = sum(end.seconds for end in ends.values())
    sys.stderr.write(f"{used:.3f} s of a core in {took:.2f} s, for {total:.1f} s of programs\n")
    # Processor time of this process alone, so a busy machine changes it little.
    assert used < 0.05 * total
