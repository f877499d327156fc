"""The program of the built wheel, in a copy of a project that lies outside the repository."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PROJECT = Path(__file__).parent / "project"
BLOCK = re.compile(r"```(?:python|toml)\n# (\S+\.(?:py|toml))\n(.*?)```", re.DOTALL)
PREPARED = re.compile(r"^(?:python|printf) .*$", re.MULTILINE)
"""Lines of a page that make the data which its study reads."""


class StandIn(NamedTuple):
    """What stands for the module of a library that cannot be imported.

    Attributes:
        library: The library.
        bare: Module that imports it where its compiled operators do not load.
        copy: Module with a copy, where it is not installed.
        name: What all three have.
    """

    library: str
    bare: str
    copy: str
    name: str


STANDINS = {
    "resnet": StandIn("torchvision", "bare_torchvision", "resnet_copy", "resnet18"),
    "vit": StandIn("timm", "bare_timm", "vit_copy", "VisionTransformer"),
}


@dataclasses.dataclass(frozen=True)
class Installed:
    """The program as a user has it.

    Attributes:
        python: Interpreter of an environment with the wheel.
        folder: Copy of the project, with the files that the pages show and its data.
    """

    python: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What programs are started with: nothing that leads into the repository."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**kept, "SYMSTUDY_CACHE": str(self.folder / "arrays")}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `symstudy WORDS`."""
        return subprocess.Popen(
            [self.python, "-m", "symstudy", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def shell(self, line: str) -> None:
        """Run a line of a page."""
        path = f"{Path(self.python).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**self.environment, "PATH": path}
        subprocess.run(["sh", "-c", line], cwd=self.folder, env=environment, check=True)

    def call(self, *words: str, module: str = "symstudy") -> str:
        """Return what `python -m MODULE WORDS` prints on standard output."""
        done = subprocess.run(
            [self.python, "-m", module, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, *words: str) -> Any:
        """Return what a command prints as JSON."""
        return json.loads(self.call(*words, "--json"))

    def has(self, module: str) -> bool:
        """Return whether a module can be imported by the program's interpreter."""
        found = subprocess.run(
            [self.python, "-c", f"import {module}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            check=False,
        )
        return found.returncode == 0

    def overrides(self, study: str) -> list[str]:
        """Return what a study needs where its library cannot be imported, and say so."""
        standin = STANDINS.get(study)
        if standin is None or self.has(standin.library):
            return []
        library, bare, copy, name = standin
        kind = f"{bare if self.has(bare) else copy}:{name}"
        sys.stderr.write(f"{study}: {library} cannot be imported; {kind} stands for it\n")
        return [f"model.kind={kind}"]

    def modules(self, study: str) -> tuple[str, str, str]:
        """Return the modules that stand for that of a study's library, and what they have."""
        return STANDINS[study][1:]

    def run_killed(self, study: str, *words: str) -> int:
        """Run a study, kill it without warning after its first result, return what is missing."""
        program = self.start("run", f"{study}.toml", *words)
        runs = self.folder / "results" / study / "runs"
        while not list(runs.glob("*.parquet")):
            assert program.poll() is None, program.communicate()[0]
            time.sleep(0.01)
        program.kill()
        program.communicate()
        (account,) = self.read("status", f"results/{study}")
        missing: int = account["missing"]
        return missing


@pytest.fixture(scope="session")
def installed(pytestconfig, tmp_path_factory) -> Installed:
    """The program of the wheel: of SYMSTUDY_PYTHON, or of an environment made on this one."""
    root = pytestconfig.rootpath
    python = os.environ.get("SYMSTUDY_PYTHON") or environment_with_wheel(root, tmp_path_factory)
    folder = tmp_path_factory.mktemp("elsewhere") / "my project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__", "results"))
    pages = root / "docs" / "how-to"
    for page in [*sorted((pages / "models").glob("*.md")), pages / "programs" / "train_script.md"]:
        for name, body in BLOCK.findall(page.read_text()):
            (folder / name).write_text(body)
    program = Installed(str(Path(python).absolute()), folder)
    for page in sorted(pages.glob("models/*.md")):
        for line in PREPARED.findall(page.read_text()):
            program.shell(line)
    return program


def environment_with_wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the Python of a new environment: the wheel, over the libraries of this one."""
    folder = tmp_path_factory.mktemp("environment")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder / "dist", root], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return str(python)
