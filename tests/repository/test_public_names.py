import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ["symstudy.theory", "symstudy.measures"]
"""Packages that load some of their public names when they are first used."""
ON_DEMAND = ["symstudy", "symstudy.launch", "symstudy.store"]
"""Packages that load all of them then."""


def typed_names(package):
    """Return the names that type checkers and editors see, and where from."""
    tree = ast.parse(Path(str(importlib.import_module(package).__file__)).read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        alias.asname or alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_every_public_name_that_is_loaded_late(package):
    homes = importlib.import_module(package).HOMES
    assert {name: home.rsplit(".", 1)[-1] for name, home in typed_names(package).items()} == {
        name: home.rsplit(".", 1)[-1] for name, home in homes.items()
    }


@pytest.mark.slow
def test_mypy_knows_what_a_user_imports_and_refuses_other_names(root, tmp_path):
    (tmp_path / "user.py").write_text(
        "import symstudy\n"
        "study: int = symstudy.load_study('x')\n"
        "symstudy.nonsense\n"
        "symstudy.run_study(symstudy.load_study('x'), launcher='inline').done\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", tmp_path / "user.py"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if "user.py" in line]
    assert [line.split(":")[1] for line in errors] == ["2", "3"]
    assert 'has type "Study"' in errors[0]


@pytest.mark.parametrize("package", [*PACKAGES, *ON_DEMAND])
def test_every_public_name_is_there(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(typed_names(package)) <= set(module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        module.nonsense  # noqa: B018  # the attribute is what is tested


@pytest.mark.parametrize("package", ON_DEMAND)
def test_no_public_name_is_that_of_a_module(package):
    # Python would put the module in its place as soon as something imports it.
    folder = Path(str(importlib.import_module(package).__file__)).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix in {"", ".py"}}
    assert not modules & set(typed_names(package))


def test_the_package_loads_torch_only_with_what_computes():
    program = (
        "import sys, symstudy.theory as s\n"
        "before = 'torch' in sys.modules\n"
        "s.match_weights\n"
        "print(before, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"
