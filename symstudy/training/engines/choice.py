"""The choice of the engine of a pack, by asking its components what they need and know."""

from symstudy.errors import LaunchError
from symstudy.kernels.network import Network
from symstudy.training.engines.base import AbstractEngine, LoadedPack, pick_device
from symstudy.training.engines.compiled import CompiledEngine
from symstudy.training.engines.evaluators import (
    AbstractEvaluator,
    CompiledEvaluator,
    TorchEvaluator,
)
from symstudy.training.engines.fused import FusedEngine, find_program
from symstudy.training.engines.lane_kernels import (
    AbstractLaneKernels,
    ImageKernels,
    NetworkKernels,
)
from symstudy.training.engines.lane_threads import LaneThreads
from symstudy.training.engines.lanes import is_stepped_by_kernels, kernel_step, stepped
from symstudy.training.engines.minimiser import MinimiserEngine
from symstudy.training.engines.networks import (
    kernel_graph,
    kernel_network,
    step_network,
    why_no_graph,
)
from symstudy.training.engines.padded import PaddedEngine
from symstudy.training.engines.polished import PolishedEngine
from symstudy.training.engines.step_check import check_kernel_step
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.engines.untrained import UntrainedEngine

__all__ = ["make_compiled", "make_engine"]


def make_engine(pack: LoadedPack) -> AbstractEngine:
    """Return the engine of `pack`.

    Without data nothing trains. An optimiser that minimises gets the minimiser, whatever the
    device; one that takes steps the compiled engine where the kernels know model, loss and
    optimiser and the device is the CPU, the fused kernel where it knows them and the device is a
    GPU, and torch elsewhere. `train.polish` wraps what trains.

    Raises:
        LaunchError: If `pack.engine` or `pack.device` asks for what cannot be.
        ModelError: If the optimiser's compiled step is not its step in torch.
    """
    if pack.data.is_absent:
        return UntrainedEngine(pack)
    if kernel_step(pack) is not None:
        check_kernel_step(stepped(pack))
    refusal = why_not_compiled(pack)
    if pack.config.engine == "compiled" and refusal:
        raise LaunchError(f"`pack.engine` = 'compiled' {refusal}. Type pack.engine=auto.")
    network = None if pack.config.engine == "torch" else kernel_network(pack)
    trains_by = pack.train.optimizer.trains_by
    if trains_by == "minimiser":
        solved = None if network is None else NetworkKernels(pack, network)
        return MinimiserEngine(pack, make_evaluator(pack, solved), network)
    if trains_by not in {"steps", "nothing"}:
        raise LaunchError(
            "an optimiser must train by steps, minimiser or nothing, but "
            f"{pack.train.optimizer.kind!r} says {trains_by!r}. Mend `trains_by` of its class."
        )
    if has_several_shapes(pack):
        return PaddedEngine(pack)
    kernels = None if refusal or pack.config.engine == "torch" else make_kernels(pack)
    engine = make_stepping_engine(pack, network, kernels)
    if pack.train.polish > 0:
        # What evaluates is what evaluated during training; the solver needs no device.
        return PolishedEngine(pack, engine, make_evaluator(pack, kernels), network)
    return engine


def make_compiled(pack: LoadedPack) -> CompiledEngine | None:
    """Return the engine that takes the steps of `pack` in the compiled kernels; None for torch."""
    if pack.config.engine == "torch" or why_not_compiled(pack):
        return None
    kernels = make_kernels(pack)
    return None if kernels is None else CompiledEngine(pack, kernels)


def why_not_compiled(pack: LoadedPack) -> str:
    """Return what the compiled engine must have that `pack` has not; empty if it can train it."""
    model, train = pack.runs[0].cell.model, pack.train
    device = pick_device(pack.config).type
    found = {
        f"must train on the CPU, but got {device!r}": (
            device != "cpu" and train.optimizer.trains_by != "minimiser"
        ),
        "must have train.entropic = 0, whose gradient takes second derivatives, but got "
        f"{train.entropic!r}": train.entropic > 0,
        f"must have no function that clips gradients, but got train.clip = {train.clip!r}": bool(
            train.clip
        ),
        "must have runs of one width, but got several in one pack": has_several_shapes(pack),
        "must have a model of dense layers, or a transformer or convolutions that take steps, with "
        f"plain weights, but got model.kind = {model.kind!r} with model.reparametrise = "
        f"{model.reparametrise!r} and train.optimizer = {train.optimizer.kind!r}"
        f"{told(why_no_graph(pack))}": not is_known_to_kernels(pack),
        f"must have a loss that the kernels know, but got train.loss = {train.loss.kind!r}": (
            train.loss.kernel_code is None
        ),
        "must have an optimiser with a compiled step (`kernel_step`), but got train.optimizer = "
        f"{train.optimizer.kind!r}": not is_stepped_by_kernels(pack),
    }
    return next((text for text, is_missing in found.items() if is_missing), "")


def told(reason: str) -> str:
    """Return a reason in brackets; nothing for none."""
    return f" ({reason})" if reason else ""


def is_known_to_kernels(pack: LoadedPack) -> bool:
    """Return whether the kernels know the model of `pack`, as its optimiser trains it."""
    if pack.model.dense is not None:
        return True
    if pack.train.optimizer.trains_by == "minimiser" or pick_device(pack.config).type != "cpu":
        return False
    return pack.model.encoder is not None or not why_no_graph(pack)


def has_several_shapes(pack: LoadedPack) -> bool:
    """Return whether the runs of `pack` have to be padded to one shape."""
    return len({run.cell.shape for run in pack.runs}) > 1


def make_kernels(pack: LoadedPack) -> AbstractLaneKernels | None:
    """Return the kernels that train the runs of `pack` by steps; None where there are none."""
    network = step_network(pack)
    if network is not None:
        return NetworkKernels(pack, network)
    graph = kernel_graph(pack)
    return None if graph is None else ImageKernels(pack, graph)


def make_stepping_engine(
    pack: LoadedPack, network: Network | None, kernels: AbstractLaneKernels | None
) -> AbstractEngine:
    """Return the engine of the optimiser's steps.

    Args:
        pack: The runs.
        network: Their dense layers and loss as the kernels know them; None for others, and torch.
        kernels: What trains them on the CPU, if the device is one and they are known.
    """
    device = pick_device(pack.config)
    program = find_program(pack, network, device)
    if program is not None:
        return FusedEngine(pack, program, device)
    return TorchEngine(pack) if kernels is None else CompiledEngine(pack, kernels)


def make_evaluator(pack: LoadedPack, kernels: AbstractLaneKernels | None) -> AbstractEvaluator:
    """Return the evaluator of `pack`: compiled if there are `kernels`, else torch."""
    if kernels is None:
        return TorchEvaluator(pack, pick_device(pack.config))
    return CompiledEvaluator(kernels, LaneThreads(kernels.make_scratch, pack.config.cpus))
