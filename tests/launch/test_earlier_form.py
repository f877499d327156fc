"""A first attempt that failed leaves nothing in the way of the corrected study."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.errors import StoreError
from symstudy.launch import open_study_folder, run_study
from symstudy.launch.fixed import fix
from symstudy.launch.planning import write_ledger
from symstudy.launch.study_record import record_launch
from symstudy.store import drop_planned, never_trained, planned_runs, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.generations import read_generation
from symstudy.store.tables.provenance import current_provenance

MODEL = """
import torch

class Net(torch.nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.a = torch.nn.Linear(input_dim, output_dim)

    def forward(self, x):
        {body}
"""


def plan_only(study, results, launch="20250101T000000-aaaaaa"):
    """Leave what a launch leaves that died before any run ended."""
    folder = open_study_folder(str(results), study)
    runs = study.runs()
    fixed = fix(study, {}, rows=0, planned=len(runs))
    ran = current_provenance(Path(results))._asdict()
    record_launch(folder, study, ran, fixed, launch, num_new=len(runs))
    write_ledger(folder, study, launch, runs, [])
    return folder


@pytest.fixture
def corrected(study_of, tmp_path):
    """Results of a study, trained after an earlier form of it was planned and never trained."""
    folder = plan_only(study_of(train={"steps": 10}, sweep={"seed": 3}), tmp_path)
    said: list[object] = []
    run_study(
        study_of(train={"steps": 5}, sweep={"seed": 2}), str(tmp_path), listeners=[said.append]
    )
    return folder, [note for event in said for note in getattr(event, "notes", ())]


def test_a_corrected_study_goes_on_where_nothing_was_trained(corrected):
    folder, notes = corrected
    assert len(planned_runs(folder)) == 5
    (note,) = notes
    assert note.startswith("3 planned runs of an earlier form of the study never trained")
    assert note.endswith(f"symstudy drop {folder.path} --never-trained")


def test_dropping_them_leaves_a_ledger_that_is_proven(corrected):
    folder, _ = corrected
    assert not verify(folder).is_proven
    assert drop_planned(folder, never_trained(folder)) == 3
    found = verify(folder)
    assert found.is_proven
    assert (found.account.planned, found.account.done) == (2, 2)
    assert never_trained(folder) == set()


def test_they_are_dropped_from_merged_files_too(corrected):
    folder, _ = corrected
    compact(folder)
    assert read_generation(folder).paths("plan")
    assert drop_planned(folder, never_trained(folder)) == 3
    assert verify(folder).is_proven


def test_runs_with_rows_are_never_dropped(corrected):
    folder, _ = corrected
    assert drop_planned(folder, planned_runs(folder)) == 3
    assert len(planned_runs(folder)) == 2


def test_status_plan_and_drop_say_how_many_there_are(corrected, tmp_path):
    folder, _ = corrected
    call = CliRunner().invoke
    assert "symstudy drop" in call(app, ["status", str(tmp_path)]).stderr
    tried = call(app, ["drop", str(tmp_path), "--never-trained", "--dry-run"])
    assert "3 planned runs that never trained would be dropped" in tried.stderr
    assert len(planned_runs(folder)) == 5
    done = call(app, ["drop", str(tmp_path), "--never-trained", "--json"])
    assert '"runs": 3' in done.stdout
    assert "symstudy drop" not in call(app, ["status", str(tmp_path)]).stderr


def test_results_of_another_study_are_still_kept_apart(study_of, tmp_path):
    run_study(study_of(train={"steps": 5}), str(tmp_path))
    with pytest.raises(StoreError, match="must be empty or hold runs of this study"):
        run_study(study_of(train={"steps": 6}), str(tmp_path))


@pytest.mark.slow
def test_a_corrected_module_whose_earlier_version_only_failed_is_accepted(tmp_path, monkeypatch):
    study = tmp_path / "own.toml"
    study.write_text(
        'schema = 1\nname = "own"\n[model]\nkind = "corrected_net:Net"\n'
        '[data]\nkind = "teacher_student"\nsamples = 40\ntest_samples = 30\n'
        "[train]\nlr = 0.01\nsteps = 5\nbatch_size = 8\n"
    )
    module = tmp_path / "corrected_net.py"
    arguments = ["run", str(study), "--launcher=inline", f"--results={tmp_path / 'r'}"]
    module.write_text(MODEL.format(body='raise ValueError("no such luck")'))
    first = run_program(*arguments)
    assert (first.returncode, "no such luck" in first.stderr) == (1, True)
    module.write_text(MODEL.format(body="return self.a(x.flatten(1))"))
    second = run_program(*arguments)
    assert second.returncode == 0, second.stderr
    assert re.search(r"1 runs of an earlier form of the study failed; take .* symstudy retry",
                     second.stderr)  # fmt: skip


def run_program(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "symstudy", *arguments], capture_output=True, text=True, check=False
    )
