"""The tutorial on clusters, typed as it stands: two nodes, one of which is killed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "on_a_cluster.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

OWN_NODES = r"ray/.*[:=]6379( |$)"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]


@pytest.mark.skipif(not shutil.which("pkill"), reason="there is no pkill on this machine")
def test_its_commands_do_what_it_says(tmp_path):
    blocks = BLOCK.findall(PAGE.read_text())
    (study,) = (text for kind, text in blocks if kind == "toml")
    (tmp_path / "study.toml").write_text(study)
    script = "set -e\n" + "".join(text for kind, text in blocks if kind == "bash")
    # From a file: the words of a `bash -c` would be found by the page's own `pkill --full`.
    (tmp_path / "typed.sh").write_text(script)
    place = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": place, "HOME": str(tmp_path)}
    try:
        done = subprocess.run(
            ["bash", "typed.sh"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=850,
            check=False,
        )
    finally:
        # Where the script ended early; other clusters of this machine stay.
        subprocess.run(["pkill", "-9", "--full", OWN_NODES], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "proven" in done.stdout
    assert re.search(r"^\s*96\s+96\s*$", done.stdout, re.MULTILINE)
