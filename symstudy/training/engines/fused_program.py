"""The fused kernel of a pack: what `symstudy/kernels/fused.cu` is compiled for, and its compiler.

The source is compiled when a pack first needs it, for its network, batch and optimiser and for the
GPU that is there, by NVRTC through the package `cuda-core` (`pip install 'symstudy[gpu]'`).

Shapes: K runs, S steps, P parameters.
"""

import ctypes
import functools
import itertools
from abc import ABC, abstractmethod
from importlib.resources import files
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from symstudy.errors import LaunchError
from symstudy.kernels.functions import LINEAR, RELU, TANH
from symstudy.kernels.lanes import LOSS_LIMIT
from symstudy.kernels.losses import ADDED
from symstudy.kernels.network import Network
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.lanes import num_moments, stepped

__all__ = ["AbstractProgram", "PackArguments", "Settings", "make_program"]

CHUNKS = (32, 16, 8)
"""Samples worked on at a time: the most of these with which a chunk fits."""
THREADS = {16: 32, 32: 64, 64: 128, 128: 256}
"""Threads of a block up to each width: tiles of 4 x 4 numbers of 32 samples, one a thread."""
PLAIN_SLOPE = (LINEAR, TANH, RELU)
"""Codes of activations whose slope is told from their value."""
STATIC_BYTES = 1024
"""Shared memory for rows and shifts of a chunk, and what CUDA takes for itself."""


class Settings(NamedTuple):
    """What the source is compiled for.

    Attributes:
        network: Layers and loss.
        dtype: Type of all numbers.
        batch: Samples of a batch.
        moments: Vectors like the parameters that the optimiser keeps.
        is_decoupled: Whether its penalty is beside the step.
        noise: Code of the label noise that is drawn anew at each step.
        by_philox: Whether rows are drawn in the kernel, with replacement, or read of a table.
        parameters: Of one run.
        chunk: Samples worked on at a time.
        shares_weights: Whether the weights lie in shared memory beside the activations.
    """

    network: Network
    dtype: np.dtype[np.floating]
    batch: int
    moments: int
    is_decoupled: bool
    noise: int
    by_philox: bool
    parameters: int
    chunk: int = CHUNKS[0]
    shares_weights: bool = True

    @property
    def threads(self) -> int:
        """Threads of a block."""
        widest = max(int(size) for size in self.network.sizes[1:])
        return next((count for width, count in THREADS.items() if widest <= width), 256)

    @property
    def weight_numbers(self) -> int:
        """Numbers of the padded weights of a lane, as `NW` of the source."""
        sizes = [four(int(size)) for size in self.network.sizes]
        return sum(out * (into + 5) for into, out in itertools.pairwise(sizes))

    @property
    def shared_bytes(self) -> int:
        """Shared memory of a block, as `SHARED_NUMBERS` of the source says."""
        sizes = [int(size) for size in self.network.sizes]
        codes = self.network.codes.tolist()
        slopes = sum(
            four(out) for code, out in zip(codes, sizes[1:], strict=True) if code not in PLAIN_SLOPE
        )
        widest = max([4, *map(four, sizes[1:-1])])
        rows = sum(map(four, sizes)) + slopes + 2 * widest
        numbers = rows * (self.chunk + 4) + self.chunk
        numbers += sizes[-1] * self.chunk + 4 if self.noise == ADDED else 0
        numbers += self.weight_numbers if self.shares_weights else 0
        return numbers * self.dtype.itemsize

    def fitting(self, bytes_of_block: int) -> "Settings | None":
        """Return the settings with which a block fits its shared memory; None if none do.

        Activations come first: weights that are not shared are read of the second-level cache.
        """
        for chunk in CHUNKS:
            for shares in (True, False):
                tried = self._replace(chunk=chunk, shares_weights=shares)
                if tried.shared_bytes + STATIC_BYTES <= bytes_of_block:
                    return tried
        return None

    def source(self) -> str:
        """Return the source, with what it is compiled for before it."""
        network = self.network
        lists = {
            "SIZES": network.sizes,
            "CODES": network.codes,
            "WEIGHTS": network.weights,
            "BIASES": network.biases,
        }
        values: dict[str, Any] = {
            "REAL": "double" if self.dtype.itemsize == 8 else "float",
            "IS_DOUBLE": int(self.dtype.itemsize == 8),
            "CB": self.chunk,
            "NL": len(network.codes),
            **{name: ", ".join(map(str, array.tolist())) for name, array in lists.items()},
            "P": self.parameters,
            "LOSS": network.loss,
            "LOSS_SCALE": float(network.loss_scale),
            "SMOOTHING": float(network.smoothing),
            "LOSS_LIMIT": LOSS_LIMIT,
            "MOMENTS": self.moments,
            "DECOUPLED": int(self.is_decoupled),
            "NOISE": self.noise,
            "BATCH": self.batch,
            "BY_PHILOX": int(self.by_philox),
            "SHARED_WEIGHTS": int(self.shares_weights),
        }
        lines = [f"#define {name} {value}\n" for name, value in values.items()]
        # The host build of the tests has as many threads as it asks for.
        lines.append(f"#ifndef NT\n#define NT {self.threads}\n#endif\n")
        return "".join(lines) + kernel_text()


def four(count: int) -> int:
    """Return `count`, rounded up to a multiple of 4."""
    return -(-count // 4) * 4


@functools.cache
def kernel_text() -> str:
    """Return the text of `symstudy/kernels/fused.cu`."""
    return files("symstudy.kernels").joinpath("fused.cu").read_text("utf-8")


def make_settings(pack: LoadedPack, network: Network) -> Settings:
    """Return what the source is compiled for, to train `pack`."""
    data = pack.data
    return Settings(
        network=network,
        dtype=pack.dtype,
        batch=data.batch,
        moments=num_moments(pack),
        is_decoupled=any(each.is_decoupled for each in stepped(pack)),
        noise=data.noise_kind,
        by_philox=data.is_drawn and data.sampling == "replacement",
        parameters=pack.model.layout.size,
    )


class PackArguments(ctypes.Structure):
    """The `Pack` of the source: addresses on the device, and numbers."""

    _fields_ = [
        *[
            (name, ctypes.c_void_p)
            for name in (
                "theta", "first", "second", "gradient", "padded", "diverged", "is_frozen", "x", "y",
                "lane_x", "lane_y", "lane_rows", "lane_beta", "table", "batch_keys", "noise_keys",
                "label_keys", "sigma", "coefficient", "rate", "decay", "beta1", "beta2", "epsilon",
                "power", "root",
            )
        ],
        ("step", ctypes.c_longlong),
        ("samples", ctypes.c_int),
        ("table_steps", ctypes.c_int),
        ("steps", ctypes.c_int),
        ("stride_s", ctypes.c_int),
    ]  # fmt: skip


class AbstractProgram(ABC):
    """The source, compiled.

    Attributes:
        settings: What for.
    """

    settings: Settings

    @abstractmethod
    def launch(self, runs: int, arguments: PackArguments) -> None:
        """Take the steps of `arguments` in `runs` lanes, after what the device has to do before."""


@final
class CudaProgram(AbstractProgram):
    """The source compiled by NVRTC for the GPU of this process."""

    def __init__(self, settings: Settings) -> None:
        """Compile it.

        Raises:
            LaunchError: If it cannot be compiled.
        """
        from cuda import core
        from cuda.bindings import driver

        self.settings = settings
        self.core = core
        self.device = core.Device(torch.cuda.current_device())
        self.device.set_current()
        self.kernel = compile_source(settings.source(), f"sm_{self.device.arch}").get_kernel(
            "train"
        )
        # Beyond 48 KiB a kernel has to ask for its shared memory.
        asked = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        (status,) = driver.cuKernelSetAttribute(
            asked, settings.shared_bytes, self.kernel.handle, driver.CUdevice(self.device.device_id)
        )
        if int(status) != 0:
            raise LaunchError(
                f"the driver must give a block {settings.shared_bytes} bytes of shared memory, but "
                f"says {status}. Type pack.engine=torch, which trains without the fused kernel."
            )

    def launch(self, runs: int, arguments: PackArguments) -> None:
        """Start it on torch's stream; the host does not wait."""
        there = on_device(arguments)
        config = self.core.LaunchConfig(
            grid=runs, block=self.settings.threads, shmem_size=self.settings.shared_bytes
        )
        self.core.launch(TorchStream(), config, self.kernel, there.data_ptr())


def compile_source(source: str, architecture: str) -> Any:
    """Return `source` compiled by NVRTC, which needs no GPU.

    Args:
        source: Of `Settings.source`.
        architecture: Of the GPU, such as `sm_90`.

    Raises:
        LaunchError: If it cannot be compiled.
    """
    from cuda import core

    options = core.ProgramOptions(std="c++17", arch=architecture)
    try:
        return core.Program(source, code_type="c++", options=options).compile("cubin")
    except Exception as error:
        raise LaunchError(
            f"the fused kernel must compile for {architecture}, but NVRTC says {error}. Type "
            "pack.engine=torch, which trains without it."
        ) from error


class TorchStream:
    """Torch's current stream, by the protocol of `cuda-core`."""

    def __cuda_stream__(self) -> tuple[int, int]:
        """Return the version of the protocol, and the stream."""
        return (0, torch.cuda.current_stream().cuda_stream)


def on_device(arguments: PackArguments) -> Tensor:
    """Return the bytes of `arguments` on the GPU, sent without a wait."""
    raw = torch.frombuffer(bytearray(bytes(arguments)), dtype=torch.uint8)
    return raw.pin_memory().cuda(non_blocking=True)


@functools.cache
def shared_memory(index: int) -> int:
    """Return the shared memory that a block of a GPU may ask for, in bytes."""
    found: Any = torch.cuda.get_device_properties(index)
    return int(found.shared_memory_per_block_optin)


PROGRAMS: dict[str, AbstractProgram] = {}
"""Programs of this process, by their source: a worker trains many packs of one shape."""


def make_program(settings: Settings, device: torch.device) -> AbstractProgram | None:
    """Return the source compiled for a pack on `device`; None where no block fits its memory."""
    index = torch.cuda.current_device() if device.index is None else device.index
    fitting = settings.fitting(shared_memory(index))
    if fitting is None:
        return None
    key = f"{index}\n{fitting.source()}"
    if key not in PROGRAMS:
        PROGRAMS[key] = CudaProgram(fitting)
    return PROGRAMS[key]
