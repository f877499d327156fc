"""The fused kernel compiled by g++: one thread of this machine runs what a block of a GPU would."""

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from symstudy.training.engines.fused_program import AbstractProgram, PackArguments, Settings

__all__ = ["HostProgram", "has_gxx", "host_program"]

BLOCK_BYTES = 232448
"""Shared memory that a block of an H200 may have."""
BUILT: dict[str, "HostProgram"] = {}


def has_gxx() -> bool:
    """Return whether there is a C++ compiler."""
    return shutil.which("g++") is not None


class HostProgram(AbstractProgram):
    """The source as a library of this process."""

    def __init__(self, settings: Settings) -> None:
        """Compile it."""
        self.settings = settings
        source = settings.source()
        folder = Path(tempfile.mkdtemp())
        file = folder / f"fused-{hashlib.blake2b(source.encode(), digest_size=8).hexdigest()}"
        file.with_suffix(".cpp").write_text(source)
        words = [
            "g++", "-O1", "-std=c++17", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-shared",
            "-fPIC", "-DHOST", "-DNT=1", "-o", f"{file}.so", f"{file}.cpp",
        ]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True, text=True)
        self.library = ctypes.CDLL(f"{file}.so")
        assert self.library.shared_bytes() == settings.shared_bytes
        assert self.library.padded_numbers() == settings.weight_numbers

    def launch(self, runs: int, arguments: PackArguments) -> None:
        """Run the lanes one after another."""
        self.library.train(runs, ctypes.byref(arguments))


def host_program(settings: Settings, bytes_of_block: int = BLOCK_BYTES) -> HostProgram:
    """Return the source compiled for settings that fit a block, once a process."""
    fitting = settings.fitting(bytes_of_block)
    assert fitting is not None
    assert torch.get_num_threads() >= 1
    key = fitting.source()
    if key not in BUILT:
        BUILT[key] = HostProgram(fitting)
    return BUILT[key]
