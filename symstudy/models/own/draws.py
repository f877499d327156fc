"""Random numbers that a user's own module draws from the global generators."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from symstudy.identity import stream_key

__all__ = ["EVALUATION_KEY", "foreign_states", "seeded_by", "step_key"]

EVALUATION_KEY = stream_key(0, "own module in evaluation") >> 1
"""Seed of what a module draws in evaluation: every run has the same draws at every probe."""


def step_key(seed: int, step: int) -> int:
    """Return the seed of what a module draws in a step of the run with `seed`."""
    return stream_key(seed, f"own module {step}") >> 1


@contextlib.contextmanager
def seeded_by(key: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's generators by `key`, and leave them afterwards as they were."""
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(key)
        yield


def foreign_states() -> tuple[str, object]:
    """Return the states of the global generators of numpy and random."""
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002  # the global one is meant
    return f"{state['state']['key'].tobytes().hex()} {state['state']['pos']}", random.getstate()
