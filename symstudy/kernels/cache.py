"""Where the compiled kernels are kept; this module imports no numba."""

import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["cache_folder", "has_kernels"]

LAST_COMPILED = "**/lanes.update_lanes-*.nbi"
"""Index of the kernel that takes the steps of a pack, which calls the others."""


def cache_folder() -> Path:
    """Return the folder that keeps the compiled kernels, made if it is not there."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    stamp = hashlib.blake2b(b"".join(path.read_bytes() for path in sources), digest_size=8)
    root = os.environ.get("SYMSTUDY_KERNEL_CACHE")
    candidates = [Path(root)] if root else [Path.home() / ".cache" / "symstudy"]
    candidates.append(Path(tempfile.gettempdir()) / f"symstudy-{os.getuid()}")
    for candidate in candidates:
        folder = candidate / f"kernels-{stamp.hexdigest()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="symstudy-kernels-"))


def has_kernels() -> bool:
    """Return whether this machine has compiled the kernels that take steps, for any precision."""
    return any(cache_folder().glob(LAST_COMPILED))
