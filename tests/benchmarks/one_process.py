"""One process, one thread: packed training against a plain torch loop and against JAX.

Prints for each width and optimiser the run-steps a second of each, the ratios, and the share of
this machine's own matrix-product rate. Competitors take turns: a drifting machine hits all alike.
"""

import statistics
import time

from competitors import jax_pack, matrix_rate, packed, plain_run
from workload import Sizes, study_of

RUNS = {16: 64, 32: 64, 64: 32, 128: 16, 256: 8, 512: 8, 1024: 8}
STEPS = {16: 400, 32: 300, 64: 200, 128: 60, 256: 30, 512: 10, 1024: 4}
ROUNDS = 7


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


def main() -> None:
    """Print the table."""
    try:
        import jax  # noqa: F401

        with_jax = True
    except ImportError:
        with_jax = False
        print("jax is not installed; install the dependency group `bench` to compare with it")
    peak = matrix_rate()
    print(f"torch's product of 1024 x 1024 matrices: {peak / 1e9:.0f} Gflop/s on one thread")
    print("run-steps a second; in brackets: packed over each; last: packed over the matrix product")
    for width in RUNS:
        for optimizer in ("sgd", "adam"):
            rates = measure(width, optimizer, with_jax=with_jax)
            ours = rates["packed"]
            others = "  ".join(
                f"{name} {rate:9,.0f} ({ours / rate:5.1f}x)"
                for name, rate in rates.items()
                if name != "packed"
            )
            share = ours * Sizes(width).flops() / peak
            print(f"  width {width:4d} {optimizer:4s}  packed {ours:9,.0f}  {others}  {share:.2f}")


if __name__ == "__main__":
    main()
