import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from symstudy.cli.shell import interact


@pytest.fixture
def type_in(results, monkeypatch, tmp_path, capsys):
    """Type lines into the shell and return what it printed."""
    monkeypatch.setenv("SYMSTUDY_HISTORY", str(tmp_path / "history"))

    def type_lines(*lines):
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            pipe.send_text("".join(f"{line}\n" for line in lines))
            interact(str(results))
        return capsys.readouterr()

    return type_lines


def test_a_statement_ends_with_a_semicolon_over_several_lines(type_in):
    said = type_in("select count(*) as n", "from runs;", "\\q")
    assert "12" in said.out
    assert "1 rows" in said.err


def test_an_error_does_not_end_the_shell(type_in):
    said = type_in("selct 1;", "drop table runs;", "select 41 + 1 as answer;", "\\q")
    assert "DuckDB" in said.err
    assert "read-only" in said.err
    assert "42" in said.out


def test_tables_and_columns_are_described(type_in):
    said = type_in("\\d", "\\d history", "\\d nothing", "\\q")
    assert "count_curve" in said.out
    assert "train_loss" in said.out
    assert "no table 'nothing'" in said.err


def test_statements_are_remembered(type_in, tmp_path):
    type_in("select 1 as remembered;", "\\q")
    assert "remembered" in (tmp_path / "history").read_text()
