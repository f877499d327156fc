"""A command line that cannot be read is told in one line, as every other mistake is."""

import os
import sys

import pytest

from symstudy.cli.app import main


@pytest.fixture
def typed(monkeypatch, capsys):
    """Type a command line; return the exit status and what was said of it."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["symstudy", *words])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert said.out == ""
        return ended.value.code, said.err

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("query", "--nonsense"), "No such option: --nonsense."),
        (("quer",), "Did you mean 'query'?"),
        (("run",), "Missing argument 'STUDY'."),
        (("explore", "--port", "x"), "Invalid value for '--port'"),
        (("plot", "scaling", "results"), "Missing option '--x'."),
    ],
)
def test_a_wrong_command_line_is_one_line_with_what_to_type(typed, words, message):
    status, said = typed(*words)
    assert status == 2
    assert said.startswith("symstudy: ")
    assert message in said
    assert said.rstrip().endswith("--help")
    assert said.count("\n") == 1


def test_no_color_is_what_the_variable_says(monkeypatch, capsys):
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setattr(sys, "argv", ["symstudy", "--no-color", "list", "symmetries"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit, match="0"):
        main()
    assert os.environ["NO_COLOR"] == "1"
    assert capsys.readouterr().out


def test_what_the_system_refuses_is_one_line_with_the_file(typed, monkeypatch, tmp_path):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(tmp_path / "runs"))

    monkeypatch.setattr("symstudy.store.files.locations.StudyFolder.exists", refuse)
    status, said = typed("status", str(tmp_path))
    assert status == 2
    assert f"[Errno 13] Permission denied: '{tmp_path}/runs'. Change its permissions" in said
    assert said.count("\n") == 1
