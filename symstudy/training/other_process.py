"""Starts of runs in other processes: what depends on the process may not decide a run.

`python -m symstudy.training.other_process` reads cells from standard input and prints, as JSON, a
hash of each one's initial parameters and data.

Shapes: K runs.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from symstudy.components import looking_in
from symstudy.components.own_modules import search_places
from symstudy.components.process_dependence import process_dependence
from symstudy.datasets.config import build_task
from symstudy.errors import ModelError
from symstudy.models import build_model
from symstudy.study.cell import Cell
from symstudy.study.expand import read_cell

__all__ = ["check_processes"]

SEEDS = (0, 1)
PROCESSES = 2
"""Two orders of two things are equal by chance in every second process, and each takes seconds."""
MARK = "symstudy-starts:"
"""Begins the line of the answer: own code may print too."""


def check_processes(cells: Sequence[Cell]) -> None:
    """Check that runs start the same, on the same data, in other processes.

    Only cells whose own code has something in it that may depend on the process are tried: other
    processes take seconds to begin.

    Args:
        cells: Cells of different shapes.

    Raises:
        ModelError: If they do not.
    """
    tried = [(cell, places) for cell in cells if (places := places_of(cell))]
    if not tried:
        return
    here = [hash_start(cell) for cell, _ in tried]
    others = ask_processes([cell for cell, _ in tried])
    for place, (cell, places) in enumerate(tried):
        if any(other[place] != here[place] for other in others):
            raise ModelError(
                f"a run of {names_of(cell)} must start the same in every process, but another one "
                "has other initial parameters or data for the same seed. What may depend on the "
                f"process: {', '.join(places[:5])}. Write sorted(...) around what has no order, "
                "and hashlib.sha256 for hash: workers would train other runs under one name."
            )


def own_names_of(cell: Cell) -> list[str]:
    """Return what a cell names of the user's own for its start and data."""
    names = (cell.model.kind if cell.model.is_own_code else "", cell.data.kind)
    return [name for name in names if ":" in name]


def names_of(cell: Cell) -> str:
    """Return what a cell names of the user's own, in words."""
    return " on ".join(own_names_of(cell))


def places_of(cell: Cell) -> list[str]:
    """Return the places in a cell's own code that may depend on the process."""
    return [place for name in own_names_of(cell) for place in process_dependence(name)]


def hash_start(cell: Cell) -> str:
    """Return a hash of the initial parameters and buffers of two seeds, and of the data of one."""
    total = hashlib.sha256()
    model = build_model(cell.model, cell.data.shape)
    # The same numbers in another order of the same names are another start.
    total.update("|".join(block.name for block in model.layout.blocks).encode())
    theta_KP = model.initialise(SEEDS, torch.ones(len(SEEDS)))
    total.update(theta_KP.detach().numpy().tobytes())
    for name, each in sorted(model.initial_buffers(SEEDS, torch.float32).items()):
        total.update(name.encode() + each.numpy().tobytes())
    task: Any = build_task(cell.data, SEEDS[0])
    for array in (task.x_train, task.y_train, task.x_test, task.y_test):
        total.update(array.tobytes())
    return total.hexdigest()


def ask_processes(cells: Sequence[Cell]) -> list[list[str]]:
    """Return the hashes of cells as other processes find them, with other seeds of hashes.

    Raises:
        ModelError: If a process cannot build them.
    """
    question = json.dumps(
        {
            "places": [str(place) for place in search_places()],
            "path": sys.path,
            "cells": [cell.config for cell in cells],
        }
    )
    ours = os.environ.get("PYTHONHASHSEED", "")
    seeds = [str(seed) for seed in range(1, PROCESSES + 2) if str(seed) != ours][:PROCESSES]
    processes = [
        subprocess.Popen(  # noqa: S603  # this Python, on this module
            [sys.executable, "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "CUDA_VISIBLE_DEVICES": ""},
        )
        for seed in seeds
    ]
    answers = [process.communicate(question) for process in processes]
    return [read_answer(said, errors) for said, errors in answers]


def read_answer(said: str, errors: str) -> list[str]:
    """Return the hashes that a process has printed.

    Raises:
        ModelError: If it has not.
    """
    for line in said.splitlines():
        if line.startswith(MARK):
            found: list[str] = json.loads(line.removeprefix(MARK))
            return found
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    raise ModelError(f"another process must be able to build the model and the data, but: {last}")


def answer(question: str) -> str:
    """Return the answer of a process to a question of `ask_processes`."""
    asked = json.loads(question)
    sys.path[:] = asked["path"]
    with looking_in(*map(Path, asked["places"])):
        return MARK + json.dumps([hash_start(read_cell(config)) for config in asked["cells"]])


if __name__ == "__main__":
    sys.stdout.write(f"\n{answer(sys.stdin.read())}\n")
