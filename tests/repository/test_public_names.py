import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["symstudy.theory", "symstudy.measures"])
def test_every_public_name_is_there(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.HOMES) <= set(module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        module.nonsense  # noqa: B018  # the attribute is what is tested


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
