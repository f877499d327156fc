"""How the kernels are compiled: ahead of their first use, once a machine, without a C compiler.

Numba compiles a kernel on its first call and keeps the result in a folder of the user's cache that
is named after a hash of this folder's sources, so that no change of a kernel can meet stale code.
`SYMSTUDY_KERNEL_CACHE` names another folder.

What is kept there is run as it is found. So a folder that somebody else may write to is not used.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import llvmlite.binding as llvm
from numpy.typing import NDArray

from symstudy.errors import LaunchError
from symstudy.kernels.cache import cache_folder
from symstudy.ownership import who_else_may_change

SETTINGS = Path(".numba_config.yaml")
"""What Numba reads in the working directory when it is imported; it may name code, and flags that
change numbers."""


def check_settings() -> None:
    """Check that Numba's settings in the working directory are the user's own.

    Raises:
        LaunchError: If somebody else may change them.
    """
    if os.path.lexists(SETTINGS) and (who := who_else_may_change(SETTINGS)):
        raise LaunchError(
            "Numba compiles as a file in the working directory says, so that must be your own, but "
            f"of {str(SETTINGS.absolute())!r} {who}. Type the command in another folder."
        )


check_settings()

import numba  # noqa: E402  # reads the settings

P = ParamSpec("P")
R = TypeVar("R")
Index = Any
"""An integer of a kernel: Python's or, where it must not be a literal to Numba, NumPy's."""
Real = Any
"""A number in the precision of the kernel's arrays."""
Floats = NDArray[Any]
"""An array of float32 or float64; every array of one call has the same type."""
Integers = NDArray[Any]
"""An array of int64 (int32 for the rows of batches)."""

LINE_BYTES = 64
"""Width of a cache line and of the widest vector; rows of scratch arrays fill whole lines."""


def vector_bytes() -> int:
    """Return the width of this processor's vector registers, in bytes."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") else 16


def has_many_registers() -> bool:
    """Return whether the processor has 32 vector registers (AVX-512, ARM) and not 16."""
    return vector_bytes() == 64 or llvm.get_process_triple().startswith(("aarch64", "arm64"))


CACHE_FOLDER = cache_folder()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function`; products and sums contract to fused ones, and nothing is reordered.

    The kernel must not allocate: it is compiled without Numba's reference counts, which would
    otherwise take half of the time of a step of a small network.
    """
    return compile_with(function, {"contract"}, allocates=False)


def compiled_sum(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function`, a reduction, whose sum may be split over the lanes of a vector.

    The order of the sum is fixed when the kernel is compiled: it depends on the length of the
    array alone, so equal inputs give equal bits. The kernel must not allocate.
    """
    return compile_with(function, {"contract", "reassoc"}, allocates=False)


def compiled_allocating(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function`, which may allocate arrays; otherwise like `compiled`."""
    return compile_with(function, {"contract"}, allocates=True)


def compile_with(
    function: Callable[P, R], fastmath: set[str], *, allocates: bool
) -> Callable[P, R]:
    """Compile `function` with the LLVM flags `fastmath`, free of Python's lock, and cache it."""
    config: Any = numba.config
    njit: Any = numba.njit
    compiler = njit(
        cache=True,
        nogil=True,
        error_model="numpy",
        boundscheck=False,
        fastmath=fastmath,
        _nrt=allocates,
    )
    previous = config.CACHE_DIR
    config.CACHE_DIR = str(CACHE_FOLDER)
    try:
        kernel = compiler(function)
    finally:
        config.CACHE_DIR = previous
    return cast("Callable[P, R]", kernel)
