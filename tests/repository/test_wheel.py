import subprocess
import sys
import zipfile

import pytest


@pytest.mark.slow
def test_the_wheel_has_the_package_and_its_data_alone(root, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, root],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"symstudy", "symstudy-0.1.0.dist-info"}
    for data in ("py.typed", "store/tables/views/runs.sql", "report/page.html", "kernels/tiles.py"):
        assert f"symstudy/{data}" in names
    assert not [name for name in names if name.endswith((".toml", ".pyc"))]
