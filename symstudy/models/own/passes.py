"""Forward passes of a user's own module for several runs: in one batched call, or one by one.

Shapes: K runs, B samples.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

from torch import Tensor, nn
from torch.func import functional_call, vmap

from symstudy.errors import ModelError
from symstudy.models.own.draws import seeded_by
from symstudy.models.own.outputs import plain, stack

__all__ = ["LaneModule", "LanePool", "LaneTensors", "Passed", "at_once", "one_by_one"]


class LaneTensors(NamedTuple):
    """Tensors that stand in a module's place, by its own names.

    Attributes:
        parameters: Trained parameters of each run, run by run.
        buffers: What each run holds beside them, `[runs, ...]`.
        constants: What all runs have in common.
    """

    parameters: Sequence[Mapping[str, Tensor]]
    buffers: Mapping[str, Tensor]
    constants: Mapping[str, Tensor]


class Passed(NamedTuple):
    """Result of a forward pass.

    Attributes:
        result: What the module returned, as plain tuples and dicts of tensors `[runs, ...]`.
        buffers: The runs' buffers after it, without gradients.
    """

    result: Any
    buffers: dict[str, Tensor]


@final
class LaneModule:
    """A module whose tensors are replaced, and stay so until they are replaced again.

    `torch.func.functional_call` puts a module's own tensors back after the call. A backward pass
    that runs parts of the module again, as gradient checkpointing does, would then read those.
    """

    def __init__(self, module: nn.Module) -> None:
        """Find where each tensor of `module` is held; tied ones are held in several places."""
        self.module = module
        names: dict[int, str] = {}
        self.places: dict[str, list[tuple[dict[str, Tensor | None], str]]] = {}
        for path, child in module.named_modules(remove_duplicate=False):
            own = vars(child)
            for held in (own.get("_parameters", {}), own.get("_buffers", {})):
                for key, tensor in held.items():
                    if tensor is not None:
                        name = names.setdefault(id(tensor), f"{path}.{key}".lstrip("."))
                        self.places.setdefault(name, []).append((held, key))

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """Put `tensors` in the place of those of their names.

        Raises:
            ModelError: If the module does not hold them itself, as a compiled one.
        """
        for name, tensor in tensors.items():
            if name not in self.places:
                raise ModelError(
                    f"{type(self.module).__name__} must be an nn.Module in Python, whose "
                    f"parameters can be replaced, but it does not hold {name!r} itself."
                )
            for held, key in self.places[name]:
                held[key] = tensor

    def read(self, name: str) -> Tensor:
        """Return the tensor called `name` as it is now."""
        held, key = self.places[name][0]
        tensor = held[key]
        assert tensor is not None, f"{name} was removed by the module"
        return tensor


@final
class LanePool:
    """Modules for runs that go one by one, a run each, made when they are needed.

    Attributes:
        make: Makes one.
    """

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        """Begin with none."""
        self.make = make
        self.modules: dict[bool, list[LaneModule]] = {True: [], False: []}

    def take(self, count: int, *, training: bool) -> list[LaneModule]:
        """Return `count` modules in training or evaluation mode."""
        modules = self.modules[training]
        while len(modules) < count:
            modules.append(LaneModule(self.make().train(training)))
        return modules[:count]


def at_once(module: nn.Module, tensors: LaneTensors, x_KB: Tensor, name: str) -> Passed:
    """Return the result of all runs in one batched call.

    Args:
        module: In the mode that is meant.
        tensors: Of the runs; `parameters` holds one mapping, to tensors `[runs, ...]`.
        x_KB: Inputs `[runs, batch, ...]`.
        name: Of the module, for messages.

    Raises:
        RuntimeError: If `torch.func.vmap` does not know an operation; torch may raise others.
    """

    def single(
        parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x_B: Tensor
    ) -> tuple[Any, dict[str, Tensor]]:
        held = {**tensors.constants, **parameters, **buffers}
        result = plain(functional_call(module, held, (x_B,)), name)
        # What the module assigned to a buffer anew is in `held` now.
        return result, {key: held[key] for key in buffers}

    (stacked,) = tensors.parameters
    copies = {key: buffer.clone() for key, buffer in tensors.buffers.items()}
    with warnings.catch_warnings():
        # Of operations that vmap goes through run by run itself: slower, with the same numbers.
        warnings.filterwarnings("ignore", message="There is a performance drop")
        result, buffers = vmap(single, randomness="error")(stacked, copies, x_KB)
    return Passed(result, settled(buffers, tensors.buffers))


def one_by_one(
    modules: Sequence[LaneModule],
    tensors: LaneTensors,
    x_KB: Tensor,
    keys: Sequence[int],
    name: str,
) -> Passed:
    """Return the result of one run after another.

    Args:
        modules: One a run; they hold the run's tensors until the backward pass is over.
        tensors: Of the runs.
        x_KB: Inputs `[runs, batch, ...]`.
        keys: What each run's draws are seeded by.
        name: Of the module, for messages.
    """
    results: list[Any] = []
    buffers: dict[str, list[Tensor]] = {key: [] for key in tensors.buffers}
    for k, (lane, parameters, key) in enumerate(
        zip(modules, tensors.parameters, keys, strict=True)
    ):
        own = {each: buffer[k].clone() for each, buffer in tensors.buffers.items()}
        lane.put({**tensors.constants, **parameters, **own})
        with seeded_by(key, x_KB.device):
            results.append(plain(lane.module(x_KB[k]), name))
        for each, rows in buffers.items():
            rows.append(lane.read(each))
    joined = {each: stack(rows) for each, rows in buffers.items()}
    return Passed(stack(results), settled(joined, tensors.buffers))


def settled(buffers: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return buffers without gradients, in the types that they had `before`."""
    return {key: each.detach().to(before[key].dtype) for key, each in buffers.items()}
