import json

import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.errors import UserError


@pytest.fixture
def study(tmp_path):
    (tmp_path / "own.py").write_text("def main(run): run.report(1, loss=1.0)\n")
    path = tmp_path / "own.toml"
    path.write_text(
        'schema = 1\nname = "own"\n[program]\nentry = "own:main"\n'
        '[sweep]\n"config.lr" = [1, 2]\nseed = 3\n[pack]\ncpus = 2\n'
    )
    return path


def plan(study, *words):
    found = CliRunner().invoke(app, ["plan", str(study), *words], catch_exceptions=False)
    assert found.exit_code == 0
    return found.stdout


def test_a_plan_of_a_program_tells_resources_and_that_time_is_unknown(study):
    text = plan(study, "--workers", "3")
    assert "6 = 2 cells x 3 seeds" in text
    assert "2 of the cores; 3 at the same time" in text
    assert "time     unknown" in text


def test_time_is_told_by_runs_that_have_ended(study, tmp_path):
    results = str(tmp_path / "results")
    words = ["run", str(study), "seed=1", "--launcher", "inline", "--results", results, "--quiet"]
    assert CliRunner().invoke(app, words).exit_code == 0
    found = json.loads(plan(study, "--results", results, "--workers", "2", "--json"))
    assert found["seconds_per_run"] > 0
    assert found["wall_seconds"] == pytest.approx(3 * found["seconds_per_run"])


@pytest.mark.parametrize("words", [["--probe"], ["--budget", "1h"]])
def test_what_takes_the_cost_of_a_run_is_refused(study, words):
    with pytest.raises(UserError, match="runs a program"):
        plan(study, *words)


def test_the_command_run_trains_a_program(study, tmp_path, monkeypatch):
    monkeypatch.setenv("SYMSTUDY_KERNEL_CACHE", str(tmp_path / "kernels"))
    results = str(tmp_path / "results")
    done = CliRunner().invoke(app, ["run", str(study), "--results", results, "--launcher=inline"])
    assert done.exit_code == 0, done.output
    assert "0 failed" in done.output


def test_a_program_is_validated_without_being_tried(study):
    found = CliRunner().invoke(app, ["validate", str(study)], catch_exceptions=False)
    assert "2 cells x 3 seeds = 6 runs" in found.stdout
