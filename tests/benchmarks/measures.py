"""What the measures of symmetry cost: python tests/benchmarks/measures.py.

Tells, on one core: microseconds a run and layer of what every study records and of each extra
measure named alone, for two widths; a pack of 256 runs of width 256, as a share of its training;
and the exact count of distinct neurons of one layer of width 4096.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from documented import table, tell
from workload import BATCH, DIM, median_seconds, study_of

from symstudy.measures import EXTRA_MEASURES
from symstudy.measures.compute import measure_extra, measure_layer
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn
from symstudy.study import PackConfig
from symstudy.study.sections import ProbeConfig
from symstudy.symmetry.neurons import cluster_neurons
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.probes import measure_layers

RUNS, REPEATS = 100, 5
PACK, WIDTH, STEPS = 256, 256, 10_000
NEURONS = 4096


def microseconds(call: Callable[[], object]) -> float:
    """Return the shortest time of `call`, as microseconds a run."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) / RUNS * 1e6


def time_layers() -> list[list[str]]:
    """Return what is always recorded of one layer, and what each extra measure adds at most."""
    always_us: dict[int, float] = {}
    extra_us = 0.0
    for width in (32, 128):
        for activation in ("relu", "linear"):
            model = Fcn([20, width, 10], activation)
            theta = torch.randn(RUNS, model.layout.size)
            hidden = torch.randn(RUNS, 256, width)

            def view(
                model: Fcn = model, theta: torch.Tensor = theta, hidden: torch.Tensor = hidden
            ) -> LayerView:
                return LayerView(model.layout, model.layout.groups[0], theta, hidden)

            always = microseconds(lambda view=view: measure_layer(view()))  # type: ignore[misc]  # lambdas have no annotations
            print(f"{activation}, width {width}: always recorded {always:.0f} us")
            always_us[width] = max(always, always_us.get(width, 0.0))
            for name in (item.name for item in EXTRA_MEASURES if item.on != "attention"):
                (value,) = measure_extra(view(), [name]).values()
                if not (torch.isnan(value.double()) | (value == -1)).all():
                    taken = microseconds(
                        lambda view=view, name=name: measure_extra(view(), [name])  # type: ignore[misc]  # lambdas have no annotations
                    )
                    print(f"  {name:34} {taken:6.0f} us")
                    extra_us = max(extra_us, taken)
    return [
        ["always recorded, a run and layer of width 32", f"{always_us[32] / 1e6:.2g}"],
        ["the same at width 128", f"{always_us[128] / 1e6:.2g}"],
        ["the most costly extra measure named alone, at width 128", f"{extra_us / 1e6:.2g}"],
    ]


def tell_pack() -> float:
    """Tell the measures of a pack beside its training; return the seconds of one detailed probe."""
    probes, told = {}, {}
    detail = ProbeConfig().detail
    print(
        f"a pack of {PACK} runs of width {WIDTH}, 2 hidden layers, tanh, {DIM} inputs, batch "
        f"{BATCH}, {STEPS:,} steps; {detail} detailed probes"
    )
    for engine in ("compiled", "torch"):
        runs = study_of([WIDTH], PACK, STEPS, "adam", "measures").runs()[:PACK]
        pack = make_pack(runs, PackConfig(device="cpu", engine=engine))
        trained = make_engine(pack)
        lanes = np.arange(PACK)
        trained.advance(0, 2)
        measured, stepped = [], []
        # In turn: a drifting machine hits both alike.
        for _ in range(REPEATS):
            start = time.perf_counter()
            trained.advance(2, 5)
            stepped.append((time.perf_counter() - start) / 5)
            start = time.perf_counter()
            measure_layers(trained, pack, lanes, ProbeConfig().samples)
            measured.append(time.perf_counter() - start)
        probe, step = statistics.median(measured), statistics.median(stepped)
        share = detail * probe / (STEPS * step)
        probes[engine] = probe
        told[engine] = f"{STEPS * step:,.0f} s", f"{share:.1%}"
    (fast, fast_share), (slow, slow_share) = told["compiled"], told["torch"]
    tell(
        "measures.share",
        f"That pack, trained with Adam for {STEPS:,} steps of batch {BATCH} on {DIM} inputs, takes "
        f"{fast} in the compiled kernels and {slow} in the torch engine. The {detail} detailed "
        f"probes of the default schedule are {fast_share} and {slow_share} of that",
    )
    return probes["compiled"]


def time_counts() -> list[list[str]]:
    """Return the time of the spanning tree of many neurons."""
    rows: list[list[str]] = []
    for inputs, outputs in ((10, 10), (64, 10), (512, 512), (NEURONS, NEURONS)):
        dims = inputs + 1 + outputs
        points = torch.randn(1, NEURONS, dims, dtype=torch.float64)
        threshold = torch.tensor([0.02], dtype=torch.float64)
        seconds = median_seconds(
            lambda points=points, threshold=threshold: cluster_neurons(  # type: ignore[misc]  # lambdas have no annotations
                points, threshold, reversible=points.shape[2]
            ),
            3,
        )
        what = f"between {inputs} inputs and {outputs} outputs"
        first = f"exact count of distinct neurons, one layer of {NEURONS} "
        rows.append([what if rows else first + what, f"{seconds:.2g}"])
    return rows


def main() -> None:
    """Tell the tables."""
    torch.set_num_threads(1)
    rows = time_layers()
    probe = tell_pack()
    what = f"a pack of {PACK} runs of width {WIDTH} with two hidden layers, one detailed probe"
    rows.append([what, f"{probe:.2g}"])
    tell("measures", table(["what", "seconds"], [*rows, *time_counts()]))


if __name__ == "__main__":
    main()
