import functools
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from symstudy.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "studies" / "README.md",
                ROOT / "cluster" / "README.md"])  # fmt: skip
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
SHOWN = re.compile(r"```(?:python|toml)\n# (\S+\.(?:py|toml))\n(.*?)```", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_commands_are_those_of_the_program(path):
    group: Any = typer.main.get_command(app)
    commands = group.commands
    for _, block in FENCE.findall(path.read_text()):
        for line in block.replace("\\\n", "").splitlines():
            if not line.startswith("symstudy "):
                continue
            _, name, *words = shlex.split(line, comments=True)
            if name.startswith("-"):
                continue
            command = commands[name]
            if name == "plot":
                command = command.commands.get(
                    words[0] if words else "", command.commands["claims"]
                )
            options = {opt for p in command.params for opt in p.opts}
            assert {word for word in words if word.startswith("-")} <= options, line


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_make_targets_are_there(path):
    makefile = (ROOT / "Makefile").read_text()
    for _, block in FENCE.findall(path.read_text()):
        for target in re.findall(r"^make ([\w-]+)", block, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_python_examples_compile(path):
    for language, block in FENCE.findall(path.read_text()):
        if language == "python":
            compile(block, str(path), "exec")


def test_the_example_of_a_study_in_python_works():
    (block,) = [
        b for k, b in FENCE.findall((ROOT / "docs/how-to/study.md").read_text()) if k == "python"
    ]
    exec(compile(block, "study.md", "exec"), {})


def test_the_example_of_a_claim_works(tmp_path, monkeypatch, study_of):
    from symstudy.findings import Verdict
    from symstudy.findings.discovery import load_claims
    from symstudy.plots.figures import figure_files, theme
    from symstudy.project import find_project
    from symstudy.testing.stores import plant_store

    block = dict(SHOWN.findall((ROOT / "docs/how-to/claim.md").read_text()))[
        "analysis/claims/small_loss.py"
    ]
    (tmp_path / "pyproject.toml").write_text('[tool.symstudy]\nanalyses = "example_claims"\n')
    folder = tmp_path / "example_claims"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "small_loss.py").write_text(block)
    monkeypatch.setattr(importlib.import_module("symstudy.findings.claim"), "REGISTERED", {})
    claim = load_claims(find_project(tmp_path))["small_loss"]
    for loss, verdict in ((0.5, Verdict.SUPPORTED), (2.0, Verdict.REFUTED)):
        store = plant_store(
            tmp_path / str(loss),
            study_of(sweep={"seed": 5}),
            functools.partial(measured_as, loss),
        )
        measured = claim.measure(store)
        assert claim.judge(measured).verdict is verdict
    with theme():
        assert b"<svg" in figure_files(claim.draw(measured), {})["svg"]


def test_the_page_on_claims_can_be_followed_to_a_verdict(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    text = (ROOT / "docs/how-to/claim.md").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.import_module("symstudy.findings.claim"), "REGISTERED", {})
    for name in [name for name in sys.modules if name.split(".")[0] == "analysis"]:
        monkeypatch.delitem(sys.modules, name)
    commands = "".join(block for kind, block in FENCE.findall(text) if kind == "sh").splitlines()
    said = ""
    for words in map(shlex.split, commands):
        if words[0] != "symstudy":
            subprocess.run(words, check=True)
            for name, body in SHOWN.findall(text):
                if Path(name).parent.is_dir():
                    Path(name).write_text(body)
            continue
        more = ["--launcher=inline"] if words[1] == "run" else []
        told = CliRunner().invoke(app, [*words[1:], *more])
        assert told.exit_code == 0, told.output
        said += told.stdout
    assert "small_loss on my_study: SUPPORTED" in said
    for name in [name for name in sys.modules if name.split(".")[0] == "analysis"]:
        del sys.modules[name]


def measured_as(loss, run):
    return {"test_loss": loss + run.seed / 100}


def test_all_text_is_ascii():
    listing = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.toml", "*.sql", "*.md", "*.html", "Makefile"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in listing.stdout.decode().split("\0"):
        if name and (ROOT / name).exists() and not name.startswith("tests/"):
            text = (ROOT / name).read_text(encoding="utf-8")
            wrong = [char for char in text if ord(char) > 126]
            assert not wrong, (name, wrong[:5])


def test_no_registry_is_named():
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    host = "pypi" + ".org"
    for name in listing.split("\0"):
        if name and (ROOT / name).is_file():
            assert host.encode() not in (ROOT / name).read_bytes(), name
