"""How the kernels are compiled: ahead of their first use, once a machine, without a C compiler.

Numba compiles a kernel on its first call and keeps the result in a folder of the user's cache that
is named after a hash of this folder's sources, so that no change of a kernel can meet stale code.
`SYMSTUDY_KERNEL_CACHE` names another folder.

What is kept there is run as it is found. So a folder that somebody else may write to is not used.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast, final

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
import numba.extending  # noqa: E402

NotCompilable: type[Exception] = numba.core.errors.NumbaError
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
    array alone, so equal inputs give equal bits. The kernel must not allocate; it is compiled into
    each that calls it.
    """
    return compile_with(function, {"contract", "reassoc"}, allocates=False, forceinline=True)


def compiled_inline(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` into each kernel that calls it; otherwise like `compiled`.

    A call copies the arrays' descriptions: those of a pack's lanes take as long as a small step.
    What such a kernel calls is compiled into it too, unless it is `compiled_apart`: Numba hands the
    option down to what it first compiles for a call. So what networks of several kinds share says
    itself that it is inline: how it is compiled must not depend on which kind comes first.
    """
    return compile_with(function, {"contract"}, allocates=False, forceinline=True)


def compiled_apart(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function`, which other kernels alone call; otherwise like `compiled`.

    It has no entry from Python, and with `stay_apart` in its body is not compiled into those that
    call it: large kernels that call it often then take a fraction of the time to compile.
    """
    entries = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return compile_with(function, {"contract"}, allocates=False, forceinline=False, **entries)


def not_inlined(typing: Any) -> Any:
    """Have LLVM keep the kernel that calls this out of those that call the kernel."""
    del typing

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del signature, args
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return numba.types.void(), emit


stay_apart: Any = numba.extending.intrinsic(not_inlined)


def compiled_allocating(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function`, which may allocate arrays; otherwise like `compiled`."""
    return compile_with(function, {"contract"}, allocates=True)


def compile_with(
    function: Callable[P, R], fastmath: set[str], *, allocates: bool, **more: bool
) -> Callable[P, R]:
    """Compile `function` with the LLVM flags `fastmath`, free of Python's lock, and cache it."""
    njit: Any = numba.njit
    options = options_of(fastmath, allocates=allocates) | more
    with caching_in(CACHE_FOLDER):
        kernel = njit(cache=True, nogil=True, **options)(function)
    return cast("Callable[P, R]", kernel)


@final
class StepPointer:
    """A compiled function that a kernel takes as an argument, by its address and signature.

    Numba takes its own `cfunc` too, but works out its type anew at each call, in 8 us.
    """

    def __init__(self, cfunc: Any) -> None:
        """Point to what is compiled as `cfunc`."""
        self.cfunc = cfunc
        self.address: int = cfunc.address
        # Numba's names.
        typeof: Any = numba.typeof
        self._numba_type_ = typeof(cfunc)

    def __wrapper_address__(self) -> int:
        """Return the address, as Numba asks for it."""
        return self.address

    @property
    def is_from_disk(self) -> bool:
        """Whether it was compiled before, by another process or for another pointer."""
        return bool(self.cfunc.cache_hits)


def compile_pointer(
    function: Callable[..., None],
    kind: str,
    numbers: type[Any],
    number_kinds: Sequence[str],
    name: str,
) -> StepPointer:
    """Compile `function` to a pointer that a kernel takes as an argument, and cache it.

    Kernels that call it are compiled for its signature, whatever it does.

    Args:
        function: Called with four vectors and a tuple; as `compiled`, it must not allocate.
        kind: Type of the vectors.
        numbers: Class of the tuple.
        number_kinds: Types of its items.
        name: Folder that keeps it, named after all that it depends on beside the kernels.
    """
    types: Any = numba.types
    vector = types.Array(getattr(types, kind), 1, "C")
    items = types.NamedTuple([getattr(types, each) for each in number_kinds], numbers)
    signature = types.void(*[vector] * 4, items)
    cfunc: Any = numba.cfunc
    with caching_in(CACHE_FOLDER / name):
        made = cfunc(signature, cache=True, **options_of({"contract"}, allocates=False))
        return StepPointer(made(function))


def compile_to_pointer(function: Callable[..., None], arguments: Sequence[Any]) -> StepPointer:
    """Compile `function`, of arguments of Numba's types, to a pointer, and cache it.

    It is called as `compile_pointer` has it, but is one of the kernels itself.
    """
    types, cfunc = numba_types(), cast("Any", numba.cfunc)
    with caching_in(CACHE_FOLDER):
        made = cfunc(
            types.void(*arguments), cache=True, **options_of({"contract"}, allocates=False)
        )
        return StepPointer(made(function))


def numba_types() -> Any:
    """Return Numba's types."""
    return numba.types


def options_of(fastmath: set[str], *, allocates: bool) -> dict[str, Any]:
    """Return Numba's options that decide on the bits of a kernel."""
    return {
        "error_model": "numpy",
        "boundscheck": False,
        "fastmath": fastmath,
        "_nrt": allocates,
    }


@contextmanager
def caching_in(folder: Path) -> Iterator[None]:
    """Let Numba keep in `folder` what is declared meanwhile."""
    config: Any = numba.config
    with DECLARING:
        previous = config.CACHE_DIR
        config.CACHE_DIR = str(folder)
        try:
            yield
        finally:
            config.CACHE_DIR = previous


DECLARING = threading.RLock()
"""Held while Numba's setting of a folder, one for the process, is ours."""
