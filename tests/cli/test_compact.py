import json
import shutil


def test_compact_merges_and_says_what_is_left_to_do(program, results, tmp_path):
    results = shutil.copytree(results, tmp_path / "results")
    before = program("query", results, "select run_id, test_loss from runs order by 1").stdout
    first = program("compact", results)
    assert first.returncode == 0
    assert "old files are no longer read" in first.stderr
    second = program("compact", results, "--grace", "0", "--json")
    (row,) = json.loads(second.stdout)
    assert row["waiting"] == 0
    assert row["deleted"] > 0
    assert row["files_after"] <= 6
    assert (
        program("query", results, "select run_id, test_loss from runs order by 1").stdout == before
    )
    assert program("verify", results).returncode == 0


def test_compact_has_help_with_an_example(program):
    assert "symstudy compact results/digits" in program("compact", "--help").stdout.replace(
        "\n", " "
    )


def test_a_place_without_results_is_refused(program, tmp_path):
    said = program("compact", tmp_path)
    assert said.returncode == 2
    assert "must be the folder of a study" in said.stderr
