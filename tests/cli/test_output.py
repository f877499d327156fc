"""Tables as they are printed: whole off a terminal, and told what is left out on one."""

import json
import sys

import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.cli.output import print_table
from symstudy.testing.stores import plant_store

LONG = "so long a reason " * 18


@pytest.fixture
def terminal(monkeypatch):
    """Make stdout a terminal of some width."""

    def of(width):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))

    return of


def test_w7_nothing_is_folded_cut_or_padded_off_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(("run", "reason", "n"), [("b0c12a9e40dfb96eef13", LONG, 1), ("x", "", 23)])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("run ")
    assert second.split("  ")[:2] == ["b0c12a9e40dfb96eef13", LONG.strip()]
    assert second.endswith(" 1")
    assert third.endswith("23")
    print_table(("run", "reason"), [("x", LONG), ("y", "")])
    assert capsys.readouterr().out.endswith("\ny\n")


def test_w7_a_text_of_several_lines_stays_on_the_line_of_its_row(capsys):
    print_table(("a", "b"), [("one\ntwo\tthree", 1)])
    assert capsys.readouterr().out.splitlines()[1] == r"one\ntwo\tthree  1"


def test_w7_wide_characters_are_aligned(capsys):
    print_table(("a", "b"), [("漢字", 1), ("x", 2)])
    assert capsys.readouterr().out == "a     b\n漢字  1\nx     2\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "{results}"),
        ("query", "{results}", "from runs"),
        ("status", "{results}"),
        ("list", "keys"),
        ("list", "measures"),
    ],
)
def test_w7_every_command_prints_a_row_a_line(results, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "40")
    said = CliRunner().invoke(app, [item.format(results=results) for item in arguments])
    lines = said.stdout.splitlines()
    assert said.exit_code == 0
    assert all(line == line.rstrip() and line for line in lines)
    if arguments[0] in ("runs", "query"):
        assert len(lines) == 13
        run_ids = {word for line in lines[1:] for word in line.split() if len(word) == 20}
        assert len(run_ids) >= 12


def test_w7_a_terminal_is_told_which_columns_do_not_fit(capsys, terminal):
    terminal(40)
    print_table(("run", "lr", "reason"), [("b0c12a9e40dfb96eef13", 0.5, LONG)])
    said = capsys.readouterr()
    assert "b0c12a9e40dfb96eef13" in said.out
    assert "1 of 3 columns do not fit this terminal: reason. " in said.err
    assert "| less -S" in said.err


def test_w7_words_are_wrapped_on_a_terminal_and_all_there(capsys, terminal):
    terminal(60)
    print_table(("run", "reason"), [("b0c12a9e40dfb96eef13", LONG)])
    said = capsys.readouterr()
    assert said.out.count("reason ") + said.out.count("reason\n") >= 18
    assert "b0c12a9e40dfb96eef13" in said.out
    assert said.err == ""


def test_runs_show_every_axis_whatever_table_its_key_is_of(study_of, tmp_path):
    study = study_of(
        model={"kind": "transformer", "width": 8, "heads": 2},
        data={"kind": "in_context"},
        train={"optimizer": "adam"},
        sweep={"model.layers": [1, 2], "train.epsilon": [1e-8, 1e-6]},
    )
    plant_store(tmp_path, study, lambda run: {"test_loss": 1.0})
    lines = CliRunner().invoke(app, ["runs", str(tmp_path)]).stdout.splitlines()
    assert {"layers", "epsilon"} <= set(lines[0].split())
    assert len({tuple(line.split()[2:4]) for line in lines[1:]}) == 4


def test_what_a_module_of_the_users_own_prints_is_not_taken_for_data(tmp_path, process):
    (tmp_path / "chatty_5e0b.py").write_text(
        "def data(samples=8):\n"
        "    import numpy as np\n"
        "    print('made', samples)\n"
        "    x = np.ones((samples, 2))\n"
        "    return x, x[:, :1], x, x[:, :1]\n"
    )
    (tmp_path / "chatty.toml").write_text(
        'schema = 1\nname = "chatty"\n[model]\nkind = "fcn"\nwidth = 2\n'
        '[data]\nkind = "chatty_5e0b:data"\n[train]\nlr = 0.1\nsteps = 2\nbatch_size = 4\n'
    )
    done = process("run", "chatty.toml", "--launcher=inline", "--json", cwd=tmp_path)
    assert "made 8" in done.stderr
    assert json.loads(done.stdout)["done"] == 1
