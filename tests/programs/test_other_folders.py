"""What a program does to the folder of another run is its own failure and no other's."""

import shutil

import pytest

from symstudy.launch import read_traceback
from symstudy.programs.folders import ProgramFolder
from symstudy.programs.job import VARIABLE, read_job
from symstudy.programs.reports import Rows

TWO_SEEDS = '[program]\nentry = "train:main"\n[sweep]\nseed = 2\n'


def test_a_run_that_writes_into_the_folder_of_another_fails_and_the_other_is_left(
    run_programs, tmp_path
):
    script = """
    from pathlib import Path
    def main(run):
        Path("mine").write_text(str(run.seed))
        run.report(1, loss=float(run.seed))
        for other in Path("..").iterdir() if run.seed == 1 else ():
            if other.resolve() != Path.cwd():
                (other / "mine").write_text("spoilt")
    """
    _, store = run_programs(script, TWO_SEEDS)
    first, second = store.sql("select outcome, reason, loss, run_id from runs order by seed").rows
    (folder,) = store.folders
    assert first[:3] == ("done", None, 0.0)
    assert second[0] == "error"
    assert f"of its own folder alone, but '../{first[3]}/mine' is in that of run" in second[1]
    assert '(other / "mine").write_text("spoilt")' in read_traceback(folder, second[3])
    kept = {path.parent.name: path.read_text() for path in tmp_path.glob("results/*/work/*/mine")}
    assert kept == {first[3]: "0", second[3]: "1"}


def test_no_way_of_python_changes_the_folder_of_another_run(run_programs, tmp_path):
    script = f"""
    import os, shutil
    from pathlib import Path
    def main(run):
        Path("mine").write_text("precious")
        refused = 0
        for other in Path("..").iterdir() if run.seed == 1 else ():
            mine = other / "mine"
            if other.resolve() == Path.cwd():
                continue
            inside = os.open(other, os.O_RDONLY)
            for change in (
                lambda: os.open(mine, os.O_WRONLY),
                lambda: mine.unlink(),
                lambda: os.unlink("mine", dir_fd=inside),
                lambda: mine.rename("taken"),
                lambda: Path("mine").replace(mine),
                lambda: (other / "new").mkdir(),
                lambda: (other / "new").symlink_to("/"),
                lambda: os.truncate(mine, 0),
                lambda: shutil.rmtree(other),
                lambda: shutil.copy("mine", other),
            ):
                try:
                    change()
                except PermissionError:
                    refused += 1
            assert mine.read_text() == "precious"
        # What is no run's may be written: a cache beside the folders, files elsewhere.
        if run.seed == 1:
            Path("../cache").mkdir()
        Path("{tmp_path}/elsewhere").write_text("fine")
        run.report(1, refused=refused)
    """
    summary, store = run_programs(script, TWO_SEEDS)
    assert summary.done == 2
    assert store.sql("select refused from runs order by seed").rows == [(0,), (10,)]


@pytest.mark.parametrize("saved", [True, False])
def test_files_that_a_process_puts_into_another_runs_folder_are_not_its_own(
    run_programs, write_study, tmp_path, saved
):
    script = f"""
    import os, subprocess
    from pathlib import Path
    def main(run):
        Path("mine").touch()
        run.report(1 + run.seed, loss=1.0)
        if run.seed == 0:
            if {saved}:
                run.save({{"step": 1}})
            subprocess.run(["cp", "-r", ".", Path("{tmp_path}/other").read_text()], check=True)
            run.report(2, loss=2.0)
        else:
            assert run.restore() is None
    """
    (other,) = [run.run_id for run in write_study(script, TWO_SEEDS).runs() if run.seed == 1]
    (tmp_path / "other").write_text(f"../{other}")
    summary, store = run_programs(script, TWO_SEEDS)
    assert summary.done == 2, store.sql("select reason from runs").rows
    rows = store.sql("select seed, step from history order by all").rows
    assert rows == [(0, 1), (0, 2), (1, 2)]


def test_the_end_of_another_run_is_no_end_of_this_one(tmp_path):
    mine, other = (ProgramFolder(tmp_path / name, name) for name in ("a", "b"))
    for folder in (mine, other):
        attempt = folder.begin(Rows({}))
        attempt.reports.write_text('{"step": 1, "loss": 0.5}\n')
        folder.write_end({"outcome": "DONE"}, attempt.reports)
    shutil.copytree(other.path, mine.path, dirs_exist_ok=True)
    assert mine.read_end(Rows({})) is None
    assert other.read_end(Rows({})) is not None


def test_the_job_of_another_run_is_refused(job_of, tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    job = job_of(folder=str(tmp_path / "b"))
    job.write()
    monkeypatch.setenv(VARIABLE, str(job.path))
    assert read_job() == job
    moved = shutil.copy(job.path, tmp_path / "run.json")
    monkeypatch.setenv(VARIABLE, str(moved))
    with pytest.raises(OSError, match="must be the job of its own run, but is that of 'r1'"):
        read_job()
