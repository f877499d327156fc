"""What `symstudy plan` shows of a study that trains: as text, or as JSON."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from symstudy.cli.modules import print_modules
from symstudy.cli.output import note, say
from symstudy.cli.plan_programs import print_head
from symstudy.quantities import duration, size

__all__ = ["ShownPlan", "describe_power", "print_plan"]


class ShownPlan(NamedTuple):
    """A plan, with all that is shown of it.

    Attributes:
        study: The study, or the part of it that fits the budget.
        runs: Number of its runs, at most.
        cells: Number of its cells.
        drawn: Its packs, and what they take.
        device: The device that it is planned for.
        trainers: What trains its runs.
        modules: The dry run of modules of one's own; None without.
        powers: The power of each test of its claims.
        estimate: What the estimate of time rests on.
        budget: Wall time that was asked for, as it was typed; None if none was.
        left_out: What the budget leaves out, a line each.
    """

    study: Any
    runs: int
    cells: int
    drawn: Any
    device: Any
    trainers: Sequence[Any]
    modules: Any
    powers: Sequence[Any]
    estimate: str
    budget: str | None
    left_out: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        study, drawn, found = self.study, self.drawn, self.drawn.forecast
        return {
            "study": study.name,
            "preset": study.preset,
            "swept": list(study.swept),
            "cells": self.cells,
            "seeds": len(study.seeds),
            "runs": self.runs,
            "packs": len(drawn.packs),
            "runs_per_pack": [found.smallest, found.largest],
            "pack_memory_bytes": found.memory_bytes,
            "engines": [trainer._asdict() for trainer in self.trainers],
            "device": self.device.name,
            "device_memory_bytes": self.device.memory_bytes,
            "workers": drawn.workers,
            "gpu_share": drawn.share,
            "device_hours": found.seconds / 3600,
            "wall_seconds": drawn.wall,
            "packs_on_cpu": drawn.on_cpu.packs if drawn.on_cpu else 0,
            "last_packs": found.last,
            "longest_last_seconds": found.longest_last,
            "idle_share": found.idle,
            "modules": [trial.to_json() for trial in self.modules.trials] if self.modules else [],
            "estimate": self.estimate,
            "budget": self.budget,
            "left_out": list(self.left_out),
            "claims": [row._asdict() | {"is_enough": row.is_enough} for row in self.powers],
        }


def print_plan(plan: ShownPlan, path: Any, results: str | None) -> None:
    """Print a plan.

    Args:
        plan: The plan.
        path: The study's file, as it was typed.
        results: Results that tell how seeds spread; None if none were named.
    """
    print_head(plan.study, path, plan.runs, plan.cells)
    if plan.budget is not None:
        say(f"  budget   {plan.budget}: {'; '.join(plan.left_out) or 'the whole study fits'}")
        if plan.left_out:
            say("           left out; a larger budget adds them to what is there")
    found = plan.drawn.forecast
    say(
        f"  packs    {found.packs} of {found.smallest} to {found.largest} runs, at most "
        f"{size(found.memory_bytes)}"
    )
    print_trainers(plan.trainers)
    print_device(plan.drawn, plan.device)
    print_time(plan.drawn, plan.estimate)
    print_modules(plan.modules)
    print_powers(plan.powers, results)


def print_device(drawn: Any, device: Any) -> None:
    """Print what of a plan is for a GPU, and what for the CPU beside it."""
    from symstudy.study.packs import packs_per_gpu

    if drawn.share is not None:
        say(f"           {packs_per_gpu(drawn.share)} on a GPU at the same time")
        say(f"  device   {device.name} with {size(device.memory_bytes)}")
    if device.kind == "cuda":
        print_cpu_packs(drawn)


def print_time(drawn: Any, estimate: str) -> None:
    """Print how long a plan takes, and how long workers wait at its end."""
    found = drawn.forecast
    what = "a core" if drawn.share is None else "a GPU"
    say(
        f"  time     about {duration(found.seconds)} of {what} "
        f"({found.seconds / 3600:.2g} device hours), {duration(drawn.wall)} on {drawn.workers} "
        "workers"
    )
    say(
        f"           at the end {found.last} packs of at most {duration(found.longest_last)} are "
        f"waited for: {found.idle:.1%} of the workers' time"
    )
    say(f"           {estimate}")


def print_trainers(trainers: Sequence[Any]) -> None:
    """Print which runs compiled or fused kernels train, and why torch trains the others."""
    label = "engine"
    for trainer in trainers:
        what = {"compiled": "compiled kernels", "fused": "fused kernel"}.get(
            trainer.engine, "torch"
        )
        why = f": not compiled with {trainer.reason}" if trainer.reason else ""
        say(f"  {label:8} {what} for {trainer.runs} runs{why}")
        label = ""


def print_cpu_packs(drawn: Any) -> None:
    """Print which packs of a plan for a GPU are for the CPU, and what they take."""
    found = drawn.on_cpu or (drawn.forecast if drawn.share is None else None)
    if found is None:
        return
    say(
        f"  on CPU   {found.packs} of the {len(drawn.packs)} packs, where one core is estimated to "
        f"be faster: about {duration(found.seconds)} of a core; pack.device=cuda for the GPU"
    )


def print_powers(rows: Sequence[Any], results: str | None) -> None:
    """Print the power of the claims."""
    if not rows:
        return
    from symstudy.findings.power import POWER

    say(
        f"  claims   what {rows[0].seeds} seeds find with a chance of {POWER:.0%}, in standard "
        "deviations (sd) between seeds"
    )
    for row in rows:
        say(f"           {row.claim}: {row.rule}: {describe_power(row)}")
    if results is None:
        note("symstudy: name --results with results of the study to see effects in their units")


def describe_power(row: Any) -> str:
    """Return the power of a test in words."""
    if row.kind == "run":
        return f"a violation is seen if {row.effect:.0%} of the seeds have it"
    if row.in_sd is None:
        return "so few seeds show nothing"
    said = (
        f"a margin of {row.in_sd:.2f} sd" if row.kind == "margin" else f"{row.in_sd:.2f} sd beyond"
    )
    if row.sd is None:
        return said
    said += f" = {row.effect:.2g} {row.unit} (sd {row.sd:.2g})"
    if row.margin is None:
        return said
    needed = "more than 100,000" if row.needed is None else str(row.needed)
    return f"{said}; {row.margin:g} takes {needed} seeds"
