import subprocess
import sys

import pytest

from symstudy import symmetry


def test_every_public_name_is_there():
    for name in symmetry.__all__:
        assert getattr(symmetry, name) is not None
    assert set(symmetry.HOMES) <= set(symmetry.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        symmetry.nonsense  # noqa: B018  # the attribute is what is tested


def test_the_package_loads_torch_only_with_what_computes():
    program = (
        "import sys, symstudy.symmetry as s\n"
        "before = 'torch' in sys.modules\n"
        "s.match_weights\n"
        "print(before, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"
