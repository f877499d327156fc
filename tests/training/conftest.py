"""A pretend GPU: tensors that say they are on a device, over memory of the CPU.

What CUDA would refuse raises, and what would make the host wait for the device is noted, so that
the code of a GPU is run where there is none. Nothing here says how fast anything is.
"""

import collections
import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from symstudy.training.engines.step_graph import AbstractGraph

NAME = "pretend"
VIEWS = {
    "view", "_unsafe_view", "expand", "transpose", "t", "permute", "slice", "select", "unsqueeze",
    "squeeze", "split", "detach", "alias", "as_strided", "unbind", "_reshape_alias", "unfold",
    "diagonal", "lift_fresh", "unsafe_split", "split_with_sizes",
}  # fmt: skip
"""Operations that start no kernel."""
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "item", "equal", "is_nonzero", "bincount",
    "_unique2", "unique_dim",
}  # fmt: skip
"""Operations whose result the host has to know."""
FILLING = {"masked_fill", "masked_fill_"}
"""Operations whose value the host reads, where it is a tensor."""
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


class Account:
    """What the device was asked for.

    Attributes:
        kernels: Number of calls of each operation that starts a kernel.
        waits: Why the host waited, and how often.
        room: Numbers that one tensor may have; None for any.
        fault_after: Kernels after which every call fails, as after an illegal access; None for
            never.
        recording: Graph that calls are recorded to; None for none.
        replays: Number of recorded steps that were taken.
    """

    room: int | None
    fault_after: int | None
    recording: "Recording | None"

    def __init__(self):
        self.reset()
        self.mend()

    def mend(self):
        """Let the device be whole."""
        self.room = self.fault_after = self.recording = None

    def fail(self, result):
        """Raise what CUDA does where there is no room for a result, or after a fault."""
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if self.room is not None and max(sizes, default=0) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more")
        if self.fault_after is not None and sum(self.kernels.values()) > self.fault_after:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def reset(self):
        self.kernels: collections.Counter[str] = collections.Counter()
        self.waits: collections.Counter[str] = collections.Counter()
        self.replays = 0

    def wait(self, why):
        """Count a wait; in a recording it is refused, as CUDA does."""
        if self.recording is not None:
            raise RuntimeError(f"operation not permitted when stream is capturing: {why}")
        self.waits[why] += 1

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count anew."""
        self.reset()
        yield


ACCOUNT = Account()


class Recording(AbstractGraph):
    """A pretend CUDA graph: calls with the very tensors that they were recorded with.

    Taken again, each call reads and writes the same memory, and numbers of the host are those of
    the recording. What is recorded is not run: what it has changed is put back.
    """

    def __init__(self, step):
        self.calls: list[Any] = []
        self.changed: dict[int, Any] = {}
        ACCOUNT.recording = self
        try:
            step()
        finally:
            ACCOUNT.recording = None
            for tensor, old in self.changed.values():
                tensor.copy_(old)

    def before(self, function, args, kwargs):
        """Keep what a call is about to change."""
        schema = function._schema.arguments
        given = [*zip(schema, args, strict=False)]
        given += [(each, kwargs[each.name]) for each in schema if each.name in kwargs]
        for argument, value in given:
            if argument.alias_info is not None and argument.alias_info.is_write:
                for leaf in tree_leaves(value):
                    self.changed.setdefault(id(leaf), (leaf, leaf.clone()))

    def replay(self):
        """Take the recorded step once more."""
        ACCOUNT.replays += 1
        for function, args, kwargs, recorded in self.calls:
            ACCOUNT.kernels[function.overloadpacket.__name__] += 1
            again = function(*args, **kwargs)
            ACCOUNT.fail(again)
            for old, new in zip(tree_leaves(recorded), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class PretendTensor(torch.Tensor):
    """A tensor that says it is on the device; `inner` has its numbers."""

    inner: Any

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        made.inner = inner
        return made

    def numpy(self, *arguments, **options):
        raise TypeError("can't convert a device tensor to numpy. Use Tensor.cpu() first")

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):  # type: ignore[override]  # as torch documents it
        return call(func, args, kwargs or {})


class OnDevice(TorchDispatchMode):
    """Sends every operation through `call`, those that make a tensor on the device too."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return call(function, args, kwargs or {})


def call(function, args, kwargs):
    """Call an operation on the numbers inside, as the device would."""
    name = function.overloadpacket.__name__
    leaves = tree_leaves((args, kwargs))
    is_here = any(isinstance(leaf, PretendTensor) for leaf in leaves)
    device = kwargs.get("device")
    goes_there = device is not None and torch.device(device).type == NAME
    inner_args, inner_kwargs = tree_map(stripped, (args, kwargs))
    if name in {"_to_copy", "copy_"} and isinstance(
        args[-1 if name == "copy_" else 0], torch.Tensor
    ):
        crossing = copied(name, function, args, (inner_args, inner_kwargs), goes_there, device)
        if crossing is not None:
            return crossing
    if not (is_here or goes_there):
        return function(*args, **kwargs)
    if is_here:
        check_devices(name, args, leaves)
    note(name, args)
    recording = ACCOUNT.recording
    if recording is not None:
        recording.before(function, inner_args, inner_kwargs)
    result = function(*inner_args, **inner_kwargs)
    if recording is not None:
        recording.calls.append((function, inner_args, inner_kwargs, result))
    ACCOUNT.fail(result)
    if name in WAITING or not any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(result)):
        return result
    outer = {id(leaf.inner): leaf for leaf in leaves if isinstance(leaf, PretendTensor)}
    wrapped = tree_map(functools.partial(wrapped_as, outer), result)
    return return_and_correct_aliasing(function, args, kwargs, wrapped) if is_here else wrapped


def stripped(value):
    """Return the numbers inside a tensor, and the CPU for the device."""
    if isinstance(value, PretendTensor):
        return value.inner
    if isinstance(value, torch.device) and value.type == NAME:
        return torch.device("cpu")
    return value


def wrapped_as(outer, value):
    """Return a result as a tensor of the device: the very argument that it is, if it is one."""
    if not isinstance(value, torch.Tensor):
        return value
    return outer[id(value)] if id(value) in outer else PretendTensor(value)


def copied(name, function, args, inner, goes_there, device):
    """Return the result of a copy between host and device; None for any other."""
    inner_args, inner_kwargs = inner
    if name == "copy_":
        target, source = args[0], args[1]
        if isinstance(target, PretendTensor) == isinstance(source, PretendTensor):
            return None
        ACCOUNT.wait("copy between host and device")
        function(*inner_args, **inner_kwargs)
        return target
    from_there = isinstance(args[0], PretendTensor)
    if goes_there and not from_there:
        ACCOUNT.wait("pageable copy to the device")
        result = function(*inner_args, **inner_kwargs)
        ACCOUNT.fail(result)
        return PretendTensor(result.clone())
    if from_there and device is not None and not goes_there:
        ACCOUNT.wait("copy to the host")
        return function(*inner_args, **inner_kwargs)
    return None


def check_devices(name, args, leaves):
    """Raise as CUDA does where tensors of both devices meet."""
    for leaf in leaves:
        is_host = isinstance(leaf, torch.Tensor) and not isinstance(leaf, PretendTensor)
        if not is_host or leaf.dim() == 0:
            continue
        if name in INDEXING and leaf is not args[0] and any(leaf is each for each in args[1]):
            ACCOUNT.wait("index of the host")
            continue
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {name} got two devices"
        )


def note(name, args):
    """Count a kernel, and a wait where the host has to know the result."""
    if name in VIEWS:
        return
    ACCOUNT.kernels[name] += 1
    if name in WAITING:
        ACCOUNT.wait(name)
    if name in FILLING and any(isinstance(each, PretendTensor) for each in args[2:]):
        ACCOUNT.wait(f"{name} by a number of the device")
    if name in INDEXING:
        masks = [each for each in args[1] if isinstance(each, torch.Tensor)]
        if any(mask.dtype == torch.bool for mask in masks):
            ACCOUNT.wait("index by a mask")


# Once a process, before the first gradient of any test: torch makes a queue for each device then.
_setup_privateuseone_for_python_backend(NAME)
# Gradient checkpointing asks every device for it, and this one is there in every test.
getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.float16]
# The queues are made here, in the thread and the state that every process starts with.
torch.ones(1, requires_grad=True).sum().backward()


@pytest.fixture
def pretend_gpu(monkeypatch):
    """Let engines train on a pretend GPU; return the account of what it was asked for."""
    for module in ("torch", "choice"):
        monkeypatch.setattr(
            f"symstudy.training.engines.{module}.pick_device", lambda config: torch.device(NAME, 0)
        )
    monkeypatch.setattr("symstudy.training.engines.step_graph.make_graph", Recording)
    ACCOUNT.reset()
    ACCOUNT.mend()
    with OnDevice():
        yield ACCOUNT
    ACCOUNT.mend()
