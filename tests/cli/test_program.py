import json
import shutil

import pytest

from symstudy.cli.run import remedy

STUDY = """\
schema = 1
name = "own"
title = "My own"
claims = ["width_saturation"]
[model]
kind = "fcn"
[data]
kind = "identity"
[train]
lr = 0.01
steps = 10
"""


def test_help_lists_the_commands(program):
    said = program("--help")
    assert said.returncode == 0
    for command in (
        "validate",
        "plan",
        "list",
        "run",
        "status",
        "verify",
        "query",
        "analyze",
        "plot",
        "report",
    ):
        assert command in said.stdout


def test_the_program_alone_prints_the_help_and_that_is_no_mistake(told_in, tmp_path):
    said, status = told_in(tmp_path)
    assert status == 0
    assert said == told_in(tmp_path, "--help")[0]


def test_every_command_has_help_with_an_example(program, root):
    for command in ("validate", "plan", "run", "query", "analyze"):
        assert f"symstudy {command}" in program(command, "--help").stdout.replace("\n", " ")


def test_validate_says_what_there_is(program, root):
    said = program("validate", root / "studies" / "digits.toml")
    assert said.returncode == 0
    assert "valid with preset laptop: 112 cells x 5 seeds = 560 runs" in said.stdout
    assert "preset paper" in said.stdout


def test_validate_lists_every_mistake_and_exits_with_2(program, root):
    said = program("validate", root / "studies" / "digits.toml", "train.steps=0", "model.widht=3")
    assert said.returncode == 2
    assert "2 mistakes" in said.stderr
    assert "train.steps: must be at least 1, but got 0" in said.stderr
    assert "Did you mean 'width'?" in said.stderr
    assert "Traceback" not in said.stderr


def test_plan_trains_nothing(program, root, tmp_path):
    said = program("plan", root / "studies" / "digits.toml", "--json", "--workers", 4, cwd=tmp_path)
    plan = json.loads(said.stdout)
    assert (plan["runs"], plan["cells"], plan["seeds"]) == (560, 112, 5)
    assert plan["wall_seconds"] > 0
    assert list(tmp_path.iterdir()) == []
    assert "packs" in program("plan", root / "studies" / "smoke.toml").stdout


@pytest.mark.parametrize(
    "noun", ["studies", "claims", "models", "datasets", "symmetries", "measures", "keys", "columns"]
)
def test_lists_are_also_json(program, root, noun):
    said = program("list", noun, "--json", cwd=root)
    rows = json.loads(said.stdout)
    assert len(rows) > 2
    assert all(value is not None for value in rows[0].values())


def test_run_inline_then_nothing_to_do(program, process, root, tmp_path):
    command = (
        "run",
        root / "studies" / "smoke.toml",
        "--launcher",
        "inline",
        "--results",
        tmp_path,
    )
    first = process(*command, "--json")
    assert first.returncode == 0
    answer = json.loads(first.stdout)
    assert (answer["planned"], answer["done"], answer["missing"]) == (12, 12, 0)
    second = program(*command)
    assert second.returncode == 0
    assert "nothing to do" in second.stderr
    assert second.stdout == ""


def test_failed_runs_make_exit_status_1(program, process, root, tmp_path):
    said = program(
        "run",
        root / "studies" / "smoke.toml",
        "train.lr=80.0",
        "--launcher=inline",
        f"--results={tmp_path}",
    )
    assert said.returncode == 1
    assert "Trained again they would diverge at the same step" in said.stderr
    assert "--retry" not in said.stderr
    assert process("verify", tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("outcome", "advice"),
    [
        ("diverged", "would diverge at the same step"),
        ("out_of_memory", "--retry where there is more memory"),
        ("error", "--traceback. Mended code or settings make new runs"),
    ],
)
def test_what_is_advised_after_a_failure_is_what_can_help(outcome, advice):
    assert advice in remedy(outcome, "results/small")


def test_status_and_verify_add_up(program, results):
    said = program("status", results, "--json")
    assert json.loads(said.stdout)[0]["done"] == 12
    assert "12" in program("status", results).stdout
    proof = program("verify", results)
    assert proof.returncode == 0
    assert "proven: 12 planned = 12 done + 0 stopped + 0 failed + 0 missing" in proof.stdout


def test_query_prints_tables_csv_json_and_parquet(program, results, tmp_path):
    sql = "select width, gamma, count(*) as n from runs group by all order by all"
    assert "width" in program("query", results, sql).stdout
    assert program("query", results, sql, "--format=csv").stdout.startswith(
        '"width","gamma","n"\n8,0,2\n'
    )
    assert json.loads(program("query", results, sql, "--format=json").stdout)[0]["n"] == 2
    said = program("query", results, sql, "--format=parquet", "-o", tmp_path / "rows.parquet")
    assert "6 rows" in said.stderr
    assert (tmp_path / "rows.parquet").stat().st_size > 0


def test_query_reads_sql_from_a_pipe(process, results):
    said = process("query", results, "--format=csv", stdin="select count(*) as n from runs")
    assert said.stdout == '"n"\n12\n'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("query", "{results}", "selct 1"), "SQL must be a query that DuckDB accepts"),
        (("query", "{results}", "copy (select 1) to '/tmp/x'"), "must be one SELECT statement"),
        (("query", "{results}", "select * from '/etc/passwd'"), "SQL must be a query"),
        (("query", "{results}", "select 1", "--format=xml"), "--format must be one of"),
        (("query", "{results}", "select 1", "--format=parquet"), "must have a file to write to"),
        (("query", "nowhere", "select 1"), "must be the folder of a study"),
        (("status", "nowhere"), "must be the folder of a study"),
        (("run", "missing.toml"), "must be a readable TOML file"),
        (("run", "{smoke}", "--launcher=slurm"), "--launcher must be one of"),
        (("run", "{smoke}", "--preset=huge"), "--preset of"),
        (("run", "{smoke}", "model.kind=fnc"), "model.kind: must be a known kind"),
        (("run", "{smoke}", "--results=/proc/nowhere", "--launcher=inline"), "must be writable"),
        (("run", "{smoke}", "--address=localhost:1"), "running Ray cluster"),
        (("list", "planets"), "Did you mean"),
        (("analyze", "{results}", "width_saturatoin"), "Did you mean 'width_saturation'"),
        (("plan", "{smoke}", "--device=tpu"), "--device must be one of"),
    ],
)
def test_what_a_user_can_mend_exits_with_2_and_no_traceback(
    program, told_in, results, root, tmp_path, arguments, message
):
    filled = [
        str(item).format(results=results, smoke=root / "studies" / "smoke.toml")
        for item in arguments
    ]
    if arguments[0] == "analyze":
        filled += ["--project", str(root)]
    if arguments[0] == "run":
        said = program(*filled, cwd=tmp_path)
        text, status = said.stderr, said.returncode
    else:
        text, status = told_in(tmp_path, *filled)
    assert status == 2, text
    assert message in text
    assert "Traceback" not in text


def test_a_results_folder_without_permission_is_named(program, results, tmp_path, monkeypatch):
    from symstudy.store import StudyFolder, find_studies

    folder = find_studies([str(results)])[0]
    assert isinstance(folder, StudyFolder)
    victim = tmp_path / "file"
    victim.write_text("")
    said = program("run", "--launcher=inline", victim)
    assert said.returncode == 2


def test_a_damaged_file_is_named_and_repaired_by_run(program, results, root, tmp_path):
    place = tmp_path / "copy"
    shutil.copytree(results, place)
    victim = sorted((place / "smoke" / "runs").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:99])
    said = program("query", place, "select 1 from runs")
    assert said.returncode == 2
    assert victim.name in said.stderr
    assert program("verify", place).returncode == 2
    again = program("run", root / "studies" / "smoke.toml", "--launcher=inline", "--results", place)
    assert again.returncode == 0
    assert "set aside" in again.stderr
    assert program("verify", place).returncode == 0


def test_analyze_plot_and_report_exit_with_0_whatever_the_verdict(program, results, root, tmp_path):
    place = tmp_path / "copy"
    shutil.copytree(results, place)
    said = program("analyze", place, "space_quantization", "--project", root)
    assert said.returncode == 0
    assert "space_quantization on smoke: " in said.stdout
    found = program("analyze", place, "width_saturation", "--project", root, "--json")
    assert json.loads(found.stdout)[0]["verdict"] in ("inconclusive", "untested")
    assert program("plot", place, "space_quantization", "--project", root).returncode == 0
    report = program("report", place, "--project", root)
    assert report.returncode == 0
    assert report.stdout.strip().endswith("report.html")


def test_a_verdict_names_what_was_changed_of_its_study(program, root, tmp_path):
    study = ("run", root / "studies" / "smoke.toml", "--launcher=inline", "--results", tmp_path)
    assert program(*study, "train.steps=20", "seed=2").returncode == 0
    said = program("analyze", tmp_path, "space_quantization", "--project", root)
    assert "space_quantization on smoke (no preset, with train.steps=20): " in said.stdout


def test_a_claim_that_is_not_the_projects_is_refused_before_training(program, root, tmp_path):
    study = tmp_path / "own.toml"
    study.write_text(STUDY.replace("width_saturation", "widht_saturation"))
    said = program(
        "run", study, "--project", root, "--launcher=inline", "--results", tmp_path / "r"
    )
    assert said.returncode == 2
    assert "widht_saturation" in said.stderr
    assert not (tmp_path / "r").exists()


def test_settings_come_from_the_environment_too(program, results, tmp_path, monkeypatch):
    import os

    said = program("status", cwd=tmp_path, env={**os.environ, "SYMSTUDY_RESULTS": str(results)})
    assert said.returncode == 0
    assert "smoke" in said.stdout


def test_a_reader_that_goes_away_is_no_error(results):
    import subprocess
    import sys

    said = subprocess.run(
        f"'{sys.executable}' -m symstudy query \"{results}\" 'select * from history' | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0
    assert "Traceback" not in said.stderr


def test_a_query_that_takes_too_long_says_how_to_allow_more(program, results):
    query = "with recursive r as (select 1 n union all select n + 1 from r) select max(n) from r"
    said = program("query", results, query, "--timeout=1")
    assert said.returncode == 2
    assert "must end within 1 s" in said.stderr
    assert "--timeout SECONDS" in said.stderr
    much = program("query", results, "select a.range from range(9999999) a", "--memory=16MB")
    assert much.returncode == 2
    assert "must do with 16MB of memory" in much.stderr
    assert "Traceback" not in said.stderr + much.stderr
