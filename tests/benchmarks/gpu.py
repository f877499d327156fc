"""How fast a GPU trains packs, and whether right: `make bench-gpu`. It has run on no GPU yet.

For widths 16 to 256 and packs of 64 to 8,192 runs of a network of three layers (10 inputs, 10
outputs, tanh, batches of 32, Adam) it prints millions of run-steps a second of the torch engine
with a step called and with a step recorded, and of the fused kernel; beside them the estimate of
`symstudy.study.cost`, and the largest difference of a parameter from the compiled engine of the CPU
after 50 steps. What should come out: differences below 1e-4; estimates within a factor of 3, which
is what `symstudy/study/constants.py` claims and where better numbers belong; a recorded step
several times as fast as a called one up to 512 runs.
"""

import sys
import time
from typing import NamedTuple
from unittest import mock

import torch

from symstudy.study import PackConfig, make_study
from symstudy.study.cell import Run
from symstudy.study.cost import estimate_cost
from symstudy.study.devices import GpuFacts, describe_gpu
from symstudy.training.engines import device_steps
from symstudy.training.gpu_report import has_kernel_compiler, read_report
from symstudy.training.loop import make_engine, make_pack

WIDTHS, RUNS = (16, 32, 64, 128, 256), (64, 512, 2048, 8192)
CHECKED, LEAST_S, MOST_BYTES = 50, 0.5, 60e9
TORCH, AUTO = (PackConfig(device="cuda", engine=engine) for engine in ("torch", "auto"))
CPU = PackConfig(device="cpu")


class Measured(NamedTuple):
    """What was measured of a pack.

    Attributes:
        rate: Run-steps a second.
        off: Largest difference of a parameter from the CPU's after the first steps.
        name: Of the engine.
    """

    rate: float
    off: float
    name: str


def runs_of(width: int, count: int) -> list[Run]:
    """Return `count` runs of the network of `width` neurons a layer."""
    study = make_study(
        {
            "schema": 1,
            "name": "gpu",
            "model": {"kind": "fcn", "depth": 3, "width": width},
            "data": {
                "kind": "teacher_student", "input_dim": 10, "output_dim": 10, "samples": 256,
                "test_samples": 256,
            },
            "train": {
                "optimizer": "adam", "lr": 1e-3, "batch_size": 32, "steps": 1_000_000,
                "sampling": "replacement",
            },
            "sweep": {"seed": count},
            "probe": {"num": 2, "detail": 1},
        }
    )  # fmt: skip
    return study.runs()


def measured(runs: list[Run], config: PackConfig, expected: torch.Tensor) -> Measured:
    """Return run-steps a second, and the difference from `expected` after the first steps."""
    engine = make_engine(make_pack(runs, config))
    engine.advance(0, CHECKED)
    off = float((engine.theta_KP[: len(expected)].cpu() - expected).abs().max())
    at, steps, spent = CHECKED, CHECKED, 0.0
    while spent < LEAST_S:
        torch.cuda.synchronize()
        start = time.perf_counter()
        engine.advance(at, steps)
        torch.cuda.synchronize()
        spent = time.perf_counter() - start
        at, steps = at + steps, 2 * steps
    return Measured(len(runs) * steps / 2 / spent, off, engine.name)


def called(runs: list[Run], expected: torch.Tensor) -> Measured:
    """Return what the torch engine takes where no step is recorded."""
    with mock.patch.object(device_steps, "record", return_value=None):
        return measured(runs, TORCH, expected)


def main() -> None:
    """Print the table."""
    if not torch.cuda.is_available():
        sys.exit("bench-gpu must run where torch can use a GPU. Type `symstudy plan STUDY` here.")
    gpu = describe_gpu(GpuFacts(**read_report()["gpus"][0]))
    print(f"  {gpu.name}, torch {torch.__version__}; {gpu.source}")
    if not has_kernel_compiler():
        print("  the fused kernel is left out: pip install 'symstudy[gpu]'")
    for width in WIDTHS:
        for count in RUNS:
            runs = runs_of(width, count)
            if (
                20 * 4 * estimate_cost(runs[0].cell, device=gpu, engine="torch").parameters * count
                > MOST_BYTES
            ):
                continue
            few = make_engine(make_pack(runs[:2], CPU))
            few.advance(0, CHECKED)
            found = {
                "called": called(runs, few.theta_KP),
                "graph": measured(runs, TORCH, few.theta_KP),
            }
            if has_kernel_compiler():
                found["auto"] = measured(runs, AUTO, few.theta_KP)
            for way, (rate, off, name) in found.items():
                engine = "auto" if way == "auto" else "torch"
                cost = estimate_cost(runs[0].cell, device=gpu, engine=engine)
                estimate = count * 1e6 / cost.pack_seconds(count)
                print(
                    f"  width {width:3d}, {count:4d} runs, {way:6s} ({name}): {rate / 1e6:7.2f} M "
                    f"run-steps/s (estimated {estimate / 1e6:.2f}), off by {off:.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
