"""The program, called as a user calls it."""

import contextlib
import gc
import io
import os
import subprocess
import sys

import pytest

from symstudy.cli import main
from symstudy.cli.ending import status_of
from symstudy.launch import InlineLauncher, run_study
from symstudy.study import load_study


@pytest.fixture(scope="session")
def process():
    """Run the program in a process of its own and return what it said: a second of imports."""

    def call(*arguments, cwd=None, stdin="", env=None):
        return subprocess.run(
            [sys.executable, "-m", "symstudy", *map(str, arguments)],
            capture_output=True,
            text=True,
            input=stdin,
            cwd=cwd,
            env=env,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def program():
    """Run the program in this process and return what it said, and the status it would end with."""

    def call(*arguments, cwd=".", stdin="", env=None):
        words = ["symstudy", *map(str, arguments)]
        pieces = gc.get_threshold()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
        ):
            patch.chdir(cwd)
            patch.setattr("sys.argv", words)
            # As it is called when it is installed, whatever started this process.
            patch.setattr("__main__.__package__", "")
            patch.setattr("sys.excepthook", sys.excepthook)
            patch.setattr("sys.stdin", io.StringIO(stdin))
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            try:
                with pytest.raises(SystemExit) as end:
                    main()
            finally:
                gc.set_threshold(*pieces)
        return subprocess.CompletedProcess(
            words, status_of(end.value.code), out.getvalue(), err.getvalue()
        )

    return call


@pytest.fixture
def told_in(monkeypatch, capsys):
    """Call the program in this process, in a folder; return what it said and its exit status."""

    def call(place, *words):
        monkeypatch.chdir(place)
        monkeypatch.setattr("sys.argv", ["symstudy", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return said.out + said.err, end.value.code

    return call


@pytest.fixture
def environment() -> dict[str, str]:
    """The variables of this process."""
    return dict(os.environ)


@pytest.fixture(scope="session")
def results(tmp_path_factory, request):
    """Results of the smoke study, trained once."""
    place = tmp_path_factory.mktemp("results of 'smoke'")
    study = load_study(request.config.rootpath / "studies" / "smoke.toml")
    run_study(study, str(place), InlineLauncher(device="cpu"))
    return place
