"""Where the compiled kernels are kept; this module imports no numba."""

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

from symstudy.ownership import make_own_folder, own_temporary_folder

__all__ = ["cache_folder", "has_kernels", "is_usable"]

LAST_COMPILED = "**/lanes.train_lanes-*.nbi"
"""Index of the kernel that takes the steps of a pack, which calls the others."""


def cache_folder() -> Path:
    """Return the folder that keeps the compiled kernels, made if it is not there.

    It is the user's own. Where none can be kept, it is a new one for this process.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    stamp = hashlib.blake2b(b"".join(path.read_bytes() for path in sources), digest_size=8)
    name = f"kernels-{stamp.hexdigest()}"
    named = os.environ.get("SYMSTUDY_KERNEL_CACHE")
    first = Path(named) if named else Path.home() / ".cache" / "symstudy"
    if is_usable(first) and is_usable(first / name):
        return first / name
    other = own_temporary_folder() / name
    if is_usable(other):
        return other
    return Path(tempfile.mkdtemp(prefix="symstudy-kernels-"))


def is_usable(folder: Path) -> bool:
    """Return whether a folder can keep kernels; made if it is not there.

    One that is not the user's own cannot, and the user is warned.
    """
    try:
        problem = make_own_folder(folder)
    except OSError:
        return False
    if problem:
        warnings.warn(
            f"compiled kernels must be kept in a folder of your own, but {str(folder)!r} is not: "
            f"{problem}. It is not used. Name another one: SYMSTUDY_KERNEL_CACHE=FOLDER",
            stacklevel=2,
        )
        return False
    return os.access(folder, os.W_OK)


def has_kernels() -> bool:
    """Return whether this machine has compiled the kernels that take steps, for any precision."""
    return any(cache_folder().glob(LAST_COMPILED))
