"""Tab, asked the way a shell asks: words and the number of the word in the environment."""

import os
import subprocess
import sys

import pytest

MAIN = "import sys; sys.argv = ['symstudy']; from symstudy.cli import main; main()"

STUDY = """\
schema = 1
name = "mine"
title = "A study of my own"
[model]
kind = "fcn"
[data]
kind = "identity"
[train]
lr = 0.01
steps = 10
[presets.quick]
description = "less"
[presets.quick.train]
steps = 5
"""


@pytest.fixture
def completed(program, tmp_path):
    """What bash is told of the last word of a line, in a folder with a study and its results."""
    (tmp_path / "mine.toml").write_text(STUDY)
    (tmp_path / "results" / "mine").mkdir(parents=True)
    (tmp_path / "results" / "mine" / "study.json").write_text("{}")
    (tmp_path / "elsewhere").mkdir()

    def complete(*words):
        environment = {
            "COMP_WORDS": " ".join(["symstudy", *words]),
            "COMP_CWORD": str(len(words)),
            "_SYMSTUDY_COMPLETE": "complete_bash",
        }
        done = program(cwd=tmp_path, env=environment)
        assert not done.stderr, done.stderr
        return done.stdout.split()

    return complete


def test_studies_are_completed_by_name_and_by_file(completed):
    assert completed("run", "smo") == ["smoke"]
    assert completed("run", "mi") == ["mine.toml"]


def test_the_presets_are_those_of_the_study_on_the_line(completed):
    assert completed("plan", "mine.toml", "--preset", "") == ["none", "quick"]
    assert completed("plan", "digits", "train.lr=1", "--preset", "pa") == ["paper"]


def test_keys_and_the_values_of_a_key_are_completed(completed):
    assert completed("run", "mine.toml", "train.ste") == ["train.steps="]
    assert completed("run", "mine.toml", "train.dtype=") == [
        "train.dtype=float32",
        "train.dtype=float64",
    ]


def test_bash_cuts_a_setting_at_its_equals_sign(completed):
    assert completed("run", "mine.toml", "train.optimizer", "=", "s") == ["sgd"]
    assert "adam" in completed("run", "mine.toml", "train.optimizer", "=")
    # What follows a whole setting is the next key.
    assert completed("run", "mine.toml", "train.lr", "=", "0.1", "train.dty") == ["train.dtype="]


def test_folders_of_results_are_completed_and_others_are_not(completed):
    assert completed("status", "") == ["results", "results/"]
    assert completed("status", "results/") == ["results/mine"]


def test_claims_nouns_and_launchers_are_completed(completed):
    assert "width_saturation" in completed("analyze", "results", "width")
    assert completed("list", "st") == ["studies"]
    assert completed("run", "mine.toml", "--launcher", "in") == ["inline"]


def test_what_is_shipped_is_completed(completed):
    assert completed("copy", "smo") == ["smoke"]
    assert completed("copy", "slu") == ["slurm"]


def test_after_plot_come_kinds_of_figures_or_results(completed):
    assert completed("plot", "sc") == ["scaling"]
    assert completed("plot", "res") == ["results", "results/"]
    assert {"claims", "heatmap", "results"} <= set(completed("plot", ""))


def test_columns_are_those_of_the_results(program, completed, tmp_path):
    ran = program(
        "run", tmp_path / "mine.toml", "--launcher", "inline", "--results", tmp_path / "r"
    )
    assert ran.returncode == 0, ran.stderr
    assert "mean_rank" in completed("plot", "scaling", "r", "--x", "mean_r")
    # Without results the columns of every study.
    assert "mean_rank" in completed("plot", "scaling", "elsewhere", "--x", "mean_r")


def test_what_cannot_be_read_completes_to_nothing(completed, tmp_path):
    (tmp_path / "broken.toml").write_text("[")
    assert completed("run", "broken.toml", "--preset", "") == ["none"]
    assert completed("status", "no/such/folder/") == []


def test_bash_itself_gets_the_words(tmp_path, root):
    script = f"""
        symstudy() {{ {sys.executable} -c "{MAIN}" "$@"; }}; export -f symstudy
        eval "$(_SYMSTUDY_COMPLETE=source_bash symstudy)"
        COMP_WORDS=(symstudy run smo); COMP_CWORD=2
        env() {{ command env "$@"; }}
        _symstudy_completion {tmp_path}/symstudy; echo "${{COMPREPLY[@]}}"
    """
    (tmp_path / "symstudy").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{MAIN}"\n')
    (tmp_path / "symstudy").chmod(0o755)
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["smoke"], done.stderr
