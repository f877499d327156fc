"""Faults R1, R4 and R9: the results, and the folder that they lie in, are somebody else's."""

import shutil

import pytest

PLANTED = "import os, pathlib\npathlib.Path(os.environ['PLANTED']).write_text('ran')\n"
"""Code that leaves a trace if it is run."""
CODE = {
    "pyproject.toml": '[tool.symstudy]\nanalyses = "theirs"\n',
    "theirs/__init__.py": PLANTED,
    "rich.py": PLANTED,
    "seaborn.py": PLANTED,
    "sitecustomize.py": PLANTED,
    "hooked.py": f"{PLANTED}\ndef main(figure):\n    pass\n",
    "matplotlibrc": "figure.hooks: hooked:main\nbackend: module://hooked\n",
    "theirs.egg-info/PKG-INFO": "Name: theirs\nVersion: 1\n",
    "theirs.egg-info/entry_points.txt": "[symstudy.analyses]\ntheirs = theirs\n",
}


@pytest.fixture
def shared(results, tmp_path):
    """A folder of somebody else with results, and with code that waits to be run."""
    place = tmp_path / "shared"
    shutil.copytree(results, place / "results")
    for name, text in CODE.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    place.chmod(0o777)
    return place


def test_r4_nothing_beside_the_results_is_run(program, root, shared, tmp_path, environment):
    trace = tmp_path / "trace"
    said = program("analyze", cwd=shared, env=environment | {"PLANTED": str(trace)})
    assert said.returncode == 2
    assert "claims are code, so a project that is not named must be your own" in said.stderr
    assert "everybody may write to it" in said.stderr
    named = program(
        *("report", "--project", root), cwd=shared, env=environment | {"PLANTED": str(trace)}
    )
    assert named.returncode == 0, named.stderr
    assert f"runs the claims of the project {root}" in named.stderr
    assert not trace.exists()
