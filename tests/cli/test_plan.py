"""What `symstudy plan` says: what it takes, what fits, and what the seeds can show."""

import json
import re

import pytest

from symstudy.cli.plan import within_budget
from symstudy.cli.plan_output import describe_power
from symstudy.errors import UserError
from symstudy.findings import Finding, Part, SeedTest, Verdict, student_interval
from symstudy.findings.power import power_of
from symstudy.statistics.power import sign_margin
from symstudy.study.budget import fit_budget
from symstudy.study.devices import CPU
from symstudy.testing.stores import plant_store

FLAT = SeedTest(rule="slope within +-0.1", level=0.9, margin=0.1, unit="slope")


@pytest.fixture
def digits(root):
    return root / "studies" / "digits.toml"


def test_a_plan_tells_time_the_end_and_what_the_seeds_can_show(program, digits, root):
    said = program("plan", digits, "--workers", 2, cwd=root)
    assert said.returncode == 0
    assert "560 = 112 cells x 5 seeds" in said.stdout
    assert "device hours" in said.stdout
    assert "on 2 workers" in said.stdout
    assert "are waited for" in said.stdout
    assert "measured by `make bench`" in said.stdout
    margin = f"a margin of {sign_margin(5):.2f} sd"
    assert f"width_saturation: slope within +-0.1: {margin}" in said.stdout
    assert "name --results" in said.stderr


def test_a_plan_for_a_gpu_says_that_nobody_measured_it(program, digits, root):
    said = program("plan", digits, "--device", "h100", "--json", cwd=root)
    plan = json.loads(said.stdout)
    assert plan["gpu_share"] == 0.25
    assert plan["workers"] == 4
    assert plan["estimate"].startswith("estimated, not measured: ")
    assert plan["device_hours"] > 0


def test_more_seeds_show_smaller_effects(program, digits, root):
    few, many = (
        json.loads(program("plan", digits, f"seed={seeds}", "--json", cwd=root).stdout)["claims"]
        for seeds in (5, 20)
    )
    pairs = [
        (a["in_sd"], b["in_sd"]) for a, b in zip(few, many, strict=True) if a["in_sd"] is not None
    ]
    assert pairs
    assert all(small > large for small, large in pairs)


def test_a_budget_shows_what_fits_and_what_does_not(program, digits, root, tmp_path):
    said = program("plan", digits, "--preset", "paper", "--budget", "3h", "--workers", 2, cwd=root)
    assert "5 of 10 seeds of every cell" in said.stdout
    assert re.search(r"values of train.gamma: ", said.stdout)
    assert "a larger budget adds them" in said.stdout
    little = program("plan", digits, "--budget", "1s", cwd=root)
    assert little.returncode == 2
    assert "--budget must be at least" in little.stderr
    wrong = program("plan", digits, "--budget", "soon", cwd=root)
    assert wrong.returncode == 2
    assert "must be a duration above 0 such as 90s" in wrong.stderr


def test_a_probe_of_another_device_is_refused(program, digits):
    said = program("plan", digits, "--probe", "--device", "a100")
    assert said.returncode == 2
    assert "--device cpu" in said.stderr


def test_a_probe_trains_here(program, root):
    said = program("plan", root / "studies" / "smoke.toml", "--probe", "--json", cwd=root)
    plan = json.loads(said.stdout)
    assert re.fullmatch(r"\d of \d shapes measured on this machine", plan["estimate"])


def test_results_give_effects_in_the_units_of_the_claim(program, root, tmp_path, study_of):
    path = tmp_path / "own.toml"
    path.write_text(
        'schema = 1\nname = "small"\nclaims = ["width_saturation"]\n'
        '[model]\nkind = "fcn"\n[data]\nkind = "identity"\n[train]\nlr = 0.01\nsteps = 10\n'
        "[sweep]\nseed = 5\n"
    )
    study = study_of(
        train={"optimizer": "sgd", "steps": 20_000, "lr": 0.1},
        sweep={"model.width": [8, 16, 32], "train.gamma": [0.0, 0.1], "seed": 5},
    )
    plant_store(tmp_path, study, planted)
    said = program("plan", path, "--results", tmp_path, "--json", cwd=root)
    assert said.returncode == 0, said.stderr
    rows = {row["rule"]: row for row in json.loads(said.stdout)["claims"]}
    flat = rows["slope within +-0.1"]
    assert flat["sd"] > 0
    assert flat["effect"] == pytest.approx(flat["in_sd"] * flat["sd"])
    assert flat["needed"] >= 2
    nothing = program("plan", path, "--results", tmp_path / "nowhere", cwd=root)
    assert nothing.returncode == 2


def planted(run):
    """Return measures that depend a little on the seed."""
    noise = 1.0 + 0.02 * ((7 * run.seed + run.cell.model.width) % 5)
    rank = run.cell.model.width * noise if run.cell.train.gamma == 0 else 4.0 * noise
    return {
        "rank": rank, "distinct_neurons": rank, "test_loss": noise, "decay_budget": 10.0,
        "trivial_loss": 1e3, "grad_ratio": 1e-9, "neurons": 300, "max_norm": 1.0,
    }  # fmt: skip


def test_what_a_budget_leaves_out_is_told(study_of, capsys):
    study = study_of(
        model={"width": 64},
        train={"steps": 500_000},
        sweep={"train.gamma": [0.0, 0.1, 0.2], "seed": 12},
    )
    whole = fit_budget(study, 1e9, workers=2, device=CPU).forecast.wall
    part = within_budget(study, f"{0.7 * whole:.0f}s", workers=2, device=CPU)
    assert len(part.seeds) < 12
    assert "seeds of every cell" in capsys.readouterr().err
    assert within_budget(study, "10d", workers=2, device=CPU) == study
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="--budget must be a duration"):
        within_budget(study, "2", workers=2, device=CPU)


@pytest.mark.parametrize(
    ("test", "seeds", "said"),
    [
        (FLAT, 5, "a margin of 1.60 sd"),
        (SeedTest(rule="at least 1", unit="x"), 5, "1.68 sd beyond"),
        (
            SeedTest(rule="no run", by_run=True),
            5,
            "a violation is seen if 28% of the seeds have it",
        ),
        (FLAT, 1, "so few seeds show nothing"),
        (SeedTest(rule="flat", margin=0.1, method="sign"), 4, "so few seeds show nothing"),
        (SeedTest(rule="flat", margin=0.1, method="sign"), 5, "a margin of 2.02 sd"),
    ],
)
def test_power_is_said_in_words(test, seeds, said):
    (row,) = power_of("claim", (test,), seeds)
    assert describe_power(row) == said


def test_with_a_spread_the_seeds_that_a_margin_takes_are_said():
    interval = student_interval([-0.1, 0.1, -0.1, 0.1, 0.0], 0.9)
    part = Part(name="flat", verdict=Verdict.SUPPORTED, rule=FLAT.rule, interval=interval)
    finding = Finding(verdict=Verdict.SUPPORTED, reason="", seeds=5, parts=(part,))
    (row,) = power_of("claim", (FLAT,), 5, finding=finding)
    assert describe_power(row) == ("a margin of 1.60 sd = 0.16 slope (sd 0.1); 0.1 takes 11 seeds")


def test_w8_plan_and_validate_count_the_cells_of_conditional_axes_alike(told_in, tmp_path):
    (tmp_path / "study.toml").write_text(
        'schema = 1\nname = "x"\n[model]\nkind = "fcn"\n[data]\nkind = "teacher_student"\n'
        '[train]\nlr = 0.01\nbatch_size = 8\n[sweep]\n"train.optimizer" = ["sgd", "adam"]\n'
        '"train.momentum" = { values = [0.0, 0.9], when = "train.optimizer == \'sgd\'" }\n'
        "seed = 2\n"
    )
    planned, _ = told_in(tmp_path, "plan", "study.toml")
    assert "6 = 3 cells x 2 seeds" in planned
    checked, _ = told_in(tmp_path, "validate", "study.toml")
    assert "3 cells x 2 seeds = 6 runs" in checked
