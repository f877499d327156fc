"""Fault R9: text of others changes neither a terminal nor a page, whichever command shows it."""

import functools
import os
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest

from symstudy.cli.app import main
from symstudy.cli.output import print_crash
from symstudy.escaping import HIDDEN, csv_text, figure_text, printable, printable_line
from symstudy.project.listing import warn
from symstudy.store.tables.schema import SCHEMA_VERSION
from symstudy.testing.stores import plant_store

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b1A\u202e\u2066\u200b\r\x7f [bold]x[/bold] <script>1</script>"
"""Title of the window, emptied screen, cursor moved up, text reordered, and marks of styles."""
LINES = f"{HOSTILE}\nstudy: proven: 4 planned = 4 done"
"""The same with a line of its own that lies."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Results in which every text that may be any text is hostile."""
    from symstudy.study import make_study

    study = make_study(
        {
            "schema": 1,
            "name": "hostile",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.01},
            "sweep": {"seed": 4},
        }
    )
    failed = {"outcome": "error", "reason": LINES, "test_loss": None}
    place = tmp_path_factory.mktemp("hostile")
    (folder,) = plant_store(
        place, study, lambda run: failed if run.seed else {"test_loss": 1.0}
    ).folders
    launch = dict.fromkeys(("at", "host", "git_sha", "torch_version", "new_runs"), HOSTILE)
    texts = dict.fromkeys(("title", "description", "preset", "source"), HOSTILE)
    folder.write_study(
        {"schema_version": SCHEMA_VERSION, "name": "hostile", **texts}
        | {"swept": [HOSTILE], "launches": [launch], "claims": []}
    )
    part = {"name": HOSTILE, "rule": HOSTILE, "unit": HOSTILE, "effect": 1.0, "interval": None}
    words = ("title", "statement", "reference", "rule", "rule_hash", "study", "fingerprint")
    finding = dict.fromkeys((*words, "reason", "unit", "threshold"), HOSTILE)
    numbers = {"effect": 1.0, "interval": {"low": 0, "high": 2}, "seeds": 1, "p_value": 0.1}
    more = {"verdict": "supported", "rule_is_frozen": None, "queries": [HOSTILE]}
    parts = {"parts": [{**part, "verdict": "refuted", "decides": True}], "excluded": {HOSTILE: 1}}
    folder.write_json({"claim": "c", **finding, **numbers, **more, **parts}, "findings", "c.json")
    folder.write_json({"caption": HOSTILE, "fingerprint": HOSTILE}, "figures", "c.json")
    folder.write_bytes(b"<svg/>", "figures", "c.svg")
    folder.write_bytes(b"=cmd(),-1\n", "figures", "c.csv")
    lease = {"launch": "l", "host": HOSTILE, "pid": os.getpid(), "since": LINES, "beat": 1}
    folder.write_json(lease, "control", "lease.json")
    folder.write_json({"launch": "l", "share": HOSTILE}, "control", "progress.json")
    for run in study.runs():
        folder.write_bytes(LINES.encode(), "tracebacks", f"{run.run_id}.txt")
    return place


@pytest.fixture
def told(planted, tmp_path, monkeypatch, told_in):
    """Call the program in a copy of the results; return what it said and its exit status."""
    shutil.copytree(planted, tmp_path / "results")
    monkeypatch.setattr("symstudy.cli.control.CANCEL_S", 0.1)

    return functools.partial(told_in, tmp_path)


def hidden(text):
    """Return the characters of a text that are not seen, but for ends of lines and tabs."""
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in HIDDEN]


STUDY = "from runs"
COMMANDS = {
    "status": ("status",),
    "status --json": ("status", "results", "--json"),
    "verify": ("verify",),
    "verify --json": ("verify", "results", "--json"),
    "query": ("query", "results", 'select reason, reason as "\x1b[2J[bold]x[/bold]" from runs'),
    "query --json": ("query", "results", STUDY, "--format", "json"),
    "a query that fails": ("query", "results", 'select nothing from "\x1b[2J"'),
    "runs": ("runs", "results", "--traceback"),
    "runs --json": ("runs", "results", "--traceback", "--json"),
    "compact": ("compact",),
    "cancel": ("cancel",),
    "retry": ("retry",),
    "analyze": ("analyze", "results", "--project", "{root}"),
    "an unknown claim": ("analyze", "results", "\x1b[2J", "--project", "{root}"),
    "plot": ("plot", "results", "--project", "{root}"),
    "report": ("report", "results", "--project", "{root}"),
    "provenance": ("provenance", "results"),
    "provenance --json": ("provenance", "results", "--json"),
    "what a launch ran": ("provenance", "results", "--show", "\x1b[2J"),
    "fit": ("fit", "results", "--x", "seed", "--y", "test_loss"),
    "a figure of columns": ("plot", "scaling", "results", "--x", "seed", "--y", "test_loss"),
    "a column that is none": ("plot", "scaling", "results", "--x", "\x1b[2J", "--y", "test_loss"),
    "drop": ("drop", "results", "--never-trained", "--dry-run"),
    "replicate": ("replicate", "results/hostile"),
    "a folder that is none": ("verify", "\x1b[2Jnone"),
    "an override that is none": ("plan", "studies/own.toml", "train.\x1b[2J=\x1b[2J"),
    "a model that is none": ("symmetries", "\x1b[2J:\u202e"),
    "a study that is none": ("run", "\x1b[2J.toml"),
    "an option that is none": ("status", "--\x1b[2J"),
    "list claims": ("list", "claims"),
    "list measures": ("list", "measures"),
    "list studies": ("list", "studies"),
    "validate": ("validate", "studies/own.toml"),
    "plan": ("plan", "studies/own.toml"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_r9_no_command_shows_a_terminal_what_it_would_obey(told, root, tmp_path, name):
    (tmp_path / "pyproject.toml").write_text("[tool.symstudy]\n")
    (tmp_path / "studies").mkdir()
    text = (root / "studies" / "smoke.toml").read_text()
    escaped = HOSTILE.encode("unicode_escape").decode().replace("\\x", "\\u00")
    title = f'title = "{escaped}"'
    lines = [title if line.startswith("title") else line for line in text.splitlines()]
    plain = [line for line in lines if not line.startswith("claims")]
    (tmp_path / "studies" / "own.toml").write_text("\n".join(plain))
    said, _ = told(*(word.format(root=root) for word in COMMANDS[name]))
    assert said
    assert hidden(said) == []


def test_r9_marks_of_styles_are_shown_as_they_are(told):
    said, status = told("query", "results", "select distinct reason from runs order by reason")
    assert status == 0
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b1A\\u202e" in said
    assert "[bold]x[/bold] <script>1</script>\\nstudy: proven" in said


@pytest.mark.parametrize("command", ["status", "retry", "cancel"])
def test_r9_no_reason_makes_a_line_of_its_own(told, command):
    said, _ = told(command, "results")
    assert not [line for line in said.splitlines() if line.startswith("study: proven")]


def test_r9_a_page_is_text_without_code_or_reordering(told, root):
    _, status = told("report", "results", "--project", root)
    page = Path("results/report.html").read_text(encoding="utf-8")
    assert status == 0
    assert hidden(page) == []
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page


def test_r9_a_crash_is_told_without_what_a_terminal_obeys(capsys):
    error = RuntimeError(HOSTILE)
    print_crash(type(error), error, None)
    said = capsys.readouterr().err
    assert hidden(said) == []
    assert "RuntimeError: \\x1b]0;owned" in said


def test_r9_a_warning_of_a_claim_in_python_is_text():
    with pytest.warns(UserWarning, match="owned") as told:
        warn(LINES)
    assert hidden(str(told[0].message)) == []


def test_r9_a_run_that_crashes_ends_so(monkeypatch):
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    monkeypatch.setattr("symstudy.cli.app.app", lambda *_, **__: None)
    with pytest.raises(SystemExit, match="0"):
        main()
    assert sys.excepthook is print_crash


def test_only_one_file_of_the_program_prints(root):
    for path in sorted((root / "symstudy" / "cli").glob("*.py")):
        text = path.read_text()
        assert path.name == "output.py" or "echo(" not in text, path
        assert "print(" not in text.replace("console.print(", ""), path


def test_texts_are_escaped_for_where_they_are_shown():
    assert printable("größe 研究\n\t") == "größe 研究\n\t"
    assert printable("\ud800\u2028") == "\\ud800\\u2028"
    assert printable_line("a\nb\tc") == "a\\nb\\tc"
    assert [csv_text(text) for text in ("=1", "-1e-3", "-inf", "-x", "x")] == [
        "'=1", "-1e-3", "-inf", "'-x", "x",
    ]  # fmt: skip
    assert figure_text("$\\frac$ \\$5") == "\\$\\frac\\$ \\$5"
