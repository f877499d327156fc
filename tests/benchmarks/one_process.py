"""One process, one thread: packed training against a plain torch loop and against JAX.

Tells for each width and optimiser the run-steps a second of each, the ratio to JAX, and the share
of the fused multiply-adds that this core can do. Competitors take turns: a drifting machine hits
all alike.
"""

import importlib.util
import statistics
import sys
import time
from collections.abc import Mapping

from competitors import jax_pack, matrix_rate, packed, plain_run
from documented import table, tell
from peak import multiply_add_peak
from workload import Sizes, study_of

RUNS = {16: 64, 32: 64, 64: 32, 128: 16, 256: 8, 512: 8, 1024: 8}
STEPS = {16: 400, 32: 300, 64: 200, 128: 60, 256: 30, 512: 10, 1024: 4}
ROUNDS = 7
NAMES = {"sgd": "SGD", "adam": "Adam"}


def measure(width: int, optimizer: str, *, with_jax: bool) -> dict[str, float]:
    """Return run-steps a second of every competitor: the median over rounds in turn."""
    steps = STEPS[width]
    study = study_of([width], RUNS[width], steps, optimizer, "bench")
    runs = study.runs()[: RUNS[width]]
    calls = {
        "packed": (packed(runs, steps, "compiled"), len(runs)),
        "packed (torch)": (packed(runs, steps, "torch"), len(runs)),
        "plain torch": (plain_run(runs[0], steps), 1),
    }
    if with_jax:
        calls["jax"] = (jax_pack(runs, steps), len(runs))
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for call, _ in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, (call, count) in calls.items():
            start = time.perf_counter()
            call()
            rates[name].append(count * steps / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in rates.items()}


def has_jax() -> bool:
    """Return whether JAX is installed; the dependency group `bench` has it."""
    return importlib.util.find_spec("jax") is not None


def main() -> None:
    """Tell the table and the ratios."""
    with_jax = has_jax()
    if not with_jax:
        print("jax is not installed; install the dependency group `bench` to compare with it")
    peak, product = multiply_add_peak(), matrix_rate()
    if peak < product:
        sys.exit(f"the peak, {peak:.3g}, is below a product's rate, {product:.3g}: measure anew")
    found = {
        (width, optimizer): measure(width, optimizer, with_jax=with_jax)
        for width in RUNS
        for optimizer in ("sgd", "adam")
    }
    tell(
        "one_process.peak",
        f"{peak / 1e9:.0f} Gflop/s; torch's own product of 1024 x 1024 matrices reaches "
        f"{product / 1e9:.0f}",
    )
    tell("one_process.rates", rates_table(found, peak))
    plain = {width: found[width, "sgd"]["packed"] / found[width, "sgd"]["plain torch"]
             for width in RUNS}  # fmt: skip
    tell(
        "one_process.plain",
        f"one core trains {plain[16]:.0f} times as many runs as a plain torch loop at width 16, "
        f"{plain[256]:.1f} times at width 256",
    )
    if with_jax:
        ratios = [rates["packed"] / rates["jax"] for (width, _), rates in found.items()
                  if width <= 512]  # fmt: skip
        tell("one_process.jax", f"{min(ratios):.1f} to {max(ratios):.1f} times as fast as JAX")


def rates_table(found: Mapping[tuple[int, str], Mapping[str, float]], peak: float) -> str:
    """Return the table of run-steps a second."""
    others = [name for name in next(iter(found.values())) if name != "packed"]
    rows = []
    for (width, optimizer), rates in found.items():
        ours = rates["packed"]
        ratio = [f"{ours / rates['jax']:.2f}"] if "jax" in rates else []
        rows.append(
            [
                f"{width} {NAMES[optimizer]}",
                f"{ours:,.0f}",
                *(f"{rates[name]:,.0f}" for name in others),
                *ratio,
                f"{ours * Sizes(width).flops() / peak:.2f}",
            ]
        )
    ratio = ["packed / jax"] if "jax" in others else []
    return table(["width, optimiser", "packed", *others, *ratio, "share of peak"], rows)


if __name__ == "__main__":
    main()
