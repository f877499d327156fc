"""Packs that do not fit in memory, and devices that fail."""

import weakref

import pytest
import torch

from symstudy.errors import LaunchError
from symstudy.launch.device_faults import find_device_fault, is_out_of_memory
from symstudy.store import Store, verify
from symstudy.study.cell import Run

ILLEGAL = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be"


class Device:
    """A device with room for so many runs at a time; a pack holds its room while it is alive."""

    def __init__(self, room):
        self.room, self.held = room, []

    def used(self):
        return sum(len(pack) for ref in self.held if (pack := ref()) is not None)


class Held(list[Run]):
    """The memory of one pack; a list that can be referred to weakly."""


def plant(monkeypatch, train):
    import symstudy.training

    original = symstudy.training.train_pack
    monkeypatch.setattr(
        symstudy.training, "train_pack", lambda *arguments: train(original, *arguments)
    )


def test_what_a_pack_that_did_not_fit_held_is_free_when_its_halves_train(
    study_of, run_inline, monkeypatch
):
    device = Device(room=5)

    def train(original, runs, *arguments):
        held = Held(runs)
        device.held.append(weakref.ref(held))
        if device.used() > device.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(held, *arguments)

    plant(monkeypatch, train)
    summary, store = run_inline(study_of(sweep={"seed": 8}, pack={"size": 8, "certify": 0}))
    assert (summary.done, summary.failed) == (8, 0)
    assert store.sql("select count(distinct pack_id) from runs").rows == [(2,)]


def test_a_device_fault_writes_no_rows_and_the_pack_is_trained_by_the_next_launch(
    study_of, run_inline, monkeypatch, tmp_path
):
    def train(original, runs, *arguments):
        raise torch.AcceleratorError(ILLEGAL)

    study = study_of(sweep={"seed": 2})
    with monkeypatch.context() as planted:
        plant(planted, train)
        with pytest.raises(LaunchError, match="an illegal memory access was encountered'"):
            run_inline(study)
    summary, store = run_inline(study)
    assert (summary.done, summary.failed) == (2, 0)
    assert isinstance(store, Store)
    assert verify(store.folders[0]).is_proven


def test_a_fault_is_found_behind_the_error_that_it_caused():
    error = ValueError("cannot read the loss")
    error.__cause__ = RuntimeError(ILLEGAL)
    assert find_device_fault(error) == ILLEGAL.splitlines()[0]


@pytest.mark.parametrize(
    ("error", "is_memory", "fault"),
    [
        (MemoryError(), True, ""),
        (torch.OutOfMemoryError("CUDA out of memory."), True, ""),
        (RuntimeError("CUDA error: out of memory"), True, ""),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True, ""),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, ""),
        (RuntimeError("CUDA error: device-side assert triggered"), False, "device-side assert"),
        (ValueError("CUDA error: told by somebody else"), False, ""),
    ],
)
def test_lack_of_memory_a_fault_and_a_mistake_are_told_apart(error, is_memory, fault):
    assert is_out_of_memory(error) == is_memory
    assert fault in find_device_fault(error)
    assert bool(find_device_fault(error)) == bool(fault)
