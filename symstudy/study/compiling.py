"""Whether the compiled kernels can train a run, and why not, before anything is built.

`symstudy.training.engines.choice` decides; a test holds that both say the same.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from symstudy.components import NetworkSize
from symstudy.components.sizes import pays_compiled
from symstudy.study.cell import Cell, Run
from symstudy.study.constants import FUSED_OPTIMIZERS, FUSED_WIDEST
from symstudy.study.devices import Device

__all__ = ["Trainer", "is_fusable", "trainers_of", "why_not_compiled"]


def why_not_compiled(cell: Cell, size: NetworkSize, target: Device, engine: str) -> str:
    """Return why the compiled kernels do not train runs of `cell`; empty if they do.

    Args:
        cell: What is trained.
        size: Of its network.
        target: Where it trains.
        engine: `auto`, `compiled` or `torch`.
    """
    train, model = cell.train, cell.model
    is_minimised = train.optimizer.trains_by == "minimiser"
    # Wider convolutions are compiled where that is asked for.
    channels = size.channels if engine != "compiled" else min(size.channels, 1)
    takes_steps = size.has_step_kernels or pays_compiled(channels)
    unknown = f" ({size.unknown})" if size.unknown else ""
    is_known = size.is_dense or (takes_steps and not is_minimised)
    found = {
        "pack.engine = 'torch'": engine == "torch",
        f"model.reparametrise = {model.reparametrise!r}": model.reparametrise != "none",
        f"model.kind = {model.kind!r}{unknown}": not (
            size.is_dense or takes_steps or size.channels
        ),
        f"{size.channels} channels, with which torch is as fast": not (
            size.is_dense or takes_steps
        ),
        f"model.kind = {model.kind!r} with train.optimizer = {train.optimizer.kind!r}": (
            not is_known
        ),
        f"train.loss = {train.loss.kind!r}": train.loss.kernel_code is None,
        f"train.entropic = {train.entropic!r}": train.entropic > 0,
        f"train.clip = {train.clip!r}": bool(train.clip),
        f"train.optimizer = {train.optimizer.kind!r}": not train.optimizer.is_in_kernels,
        # The compiled solver needs no device: it is used where there is a GPU too.
        f"device {target.name}": target.kind != "cpu" and not is_minimised,
    }
    return next((what for what, is_so in found.items() if is_so), "")


def is_fusable(cell: Cell, size: NetworkSize, target: Device, engine: str) -> bool:
    """Return whether the fused kernel of GPUs is taken to train runs of `cell`.

    Args:
        cell: What is trained.
        size: Of its network.
        target: Where it trains.
        engine: `auto`, `compiled` or `torch`.
    """
    train, model = cell.train, cell.model
    if not target.has_fused or engine == "torch" or not size.is_dense or model.is_own_code:
        return False
    if model.reparametrise != "none" or model.is_width_scaled or train.loss.kernel_code is None:
        return False
    if train.entropic > 0 or train.clip or train.clip_norm:
        return False
    if train.syre or train.syre_anisotropy:
        return False
    is_narrow = max([*size.hidden, cell.data.shape.outputs]) <= FUSED_WIDEST
    return is_narrow and train.optimizer.kind in FUSED_OPTIMIZERS


class Trainer(NamedTuple):
    """What trains some runs of a plan.

    Attributes:
        engine: `compiled`, `fused` or `torch`.
        runs: How many.
        reason: What the kernels do not know or are not asked for; empty where they train.
    """

    engine: str
    runs: int
    reason: str


def trainers_of(packs: Sequence[tuple[Sequence[Run], Device]], engine: str) -> list[Trainer]:
    """Return what trains the runs of `packs`, by reason, most runs first.

    Args:
        packs: Runs of each pack, and where it trains.
        engine: `pack.engine` of the study.
    """
    counts: Counter[tuple[str, str]] = Counter()
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for runs, target in packs:
        for run in runs:
            key = run.cell.cell_id, target.name
            if key not in known:
                size = run.cell.model.size(run.cell.data.shape)
                reason = why_not_compiled(run.cell, size, target, engine)
                is_fused = is_fusable(run.cell, size, target, engine)
                name = "fused" if is_fused else "torch" if reason else "compiled"
                known[key] = name, "" if is_fused else reason
            counts[known[key]] += not run.cell.data.is_absent
    return [Trainer(name, count, reason) for (name, reason), count in counts.most_common() if count]
