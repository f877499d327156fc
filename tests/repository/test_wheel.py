"""The wheel is built, unpacked and used from a folder without a project."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(pytestconfig, tmp_path_factory):
    """Build the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder]
    subprocess.run([*command, pytestconfig.rootpath], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture
def installed(wheel, tmp_path):
    """Run the program of the unpacked wheel in an empty folder."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "here").mkdir()

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "symstudy", *arguments],
            cwd=tmp_path / "here",
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return call


def test_the_wheel_has_the_package_and_its_data_alone(wheel, root):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"symstudy", "symstudy-0.1.0.dist-info"}
    for data in (
        "py.typed",
        "store/tables/views/runs.sql",
        "html_report/page.html",
        "explore/static/index.html",
        "explore/static/js/panels/grid.js",
        "explore/static/vendor/echarts.min.js",
        "explore/static/vendor/echarts.LICENSE",
        "kernels/tiles.py",
        "cli/templates/base/.gitignore.tmpl",
        "cli/templates/own/study.toml.tmpl",
    ):
        assert f"symstudy/{data}" in names
    assert not [name for name in names if name.endswith(".pyc")]
    studies = {
        f"symstudy/shipped/studies/{path.name}" for path in (root / "studies").glob("*.toml")
    }
    assert studies < set(names)
    families = {"symstudy/shipped/analysis/family.toml"}
    assert {name for name in names if name.endswith(".toml")} == studies | families


def test_what_is_shipped_is_listed_copied_and_run_by_name(installed, tmp_path):
    studies = json.loads(installed("list", "studies", "--json"))
    assert "smoke" in {row["study"] for row in studies}
    claims = json.loads(installed("list", "claims", "--json"))
    assert "width_saturation" in {row["claim"] for row in claims}
    assert "valid" in installed("validate", "smoke")
    written = installed("copy", "width_saturation", "--claims").split()
    assert "analysis/claims/width_saturation.py" in written
    installed("run", "smoke", "train.steps=2", "--launcher=inline", 'claims=["width_saturation"]')
    assert "width_saturation on smoke" in installed("analyze")
