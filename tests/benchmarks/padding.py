"""One padded pack against one pack a width, torch engine, one thread.

Prints `together over apart`, the median over rounds of the ratio of both times, each round timing
them one after the other, and what the planner makes of the runs with `pack.pad` = "auto".
"""

import statistics
import time

from documented import table, tell
from workload import study_of

from symstudy.study import PackConfig, Run, plan_packs
from symstudy.training.loop import make_engine, make_pack

CONFIG = PackConfig(device="cpu", engine="torch")
WIDTHS = [
    [8, 10, 12, 16],
    [8, 16, 32],
    [16, 32, 64],
    [48, 64],
    [64, 96, 128],
    [64, 128, 256],
    [192, 256],
]
RUNS = (1, 4, 16, 64)
"""Runs of each width."""
ROUNDS = 9
ROUND_S = 0.1
"""Time of a round, about."""


def step_seconds(engine: object, steps: int) -> float:
    """Return the time of a step, over `steps` of them."""
    start = time.perf_counter()
    engine.advance(0, steps)  # type: ignore[attr-defined]  # an engine
    return (time.perf_counter() - start) / steps


def compare(runs: list[Run]) -> tuple[float, float, float]:
    """Return the time of a step apart and together, in seconds, and the median ratio."""
    widths = sorted({width_of(run) for run in runs})
    alone = [
        make_engine(make_pack([run for run in runs if width_of(run) == width], CONFIG))
        for width in widths
    ]
    together = make_engine(make_pack(runs, CONFIG))
    first = sum(step_seconds(engine, 3) for engine in [*alone, together])
    steps = max(2, int(ROUND_S / first))
    apart_s, together_s = [], []
    for _ in range(ROUNDS):
        apart_s.append(sum(step_seconds(engine, steps) for engine in alone))
        together_s.append(step_seconds(together, steps))
    ratios = [wide / narrow for wide, narrow in zip(together_s, apart_s, strict=True)]
    return statistics.median(apart_s), statistics.median(together_s), statistics.median(ratios)


def width_of(run: Run) -> int:
    """Return the width of a run."""
    return int(run.cell.model.value("width"))


def main() -> None:
    """Tell the table."""
    rows = []
    for widths in WIDTHS:
        runs = study_of(widths, 64 * 8, 1000, "adam", "padding").runs()
        for count in RUNS:
            chosen = [
                run
                for width in widths
                for run in [run for run in runs if width_of(run) == width][:count]
            ]
            if count * max(widths) > 64 * 128:
                continue
            apart, together, ratio = compare(chosen)
            config = PackConfig(device="cpu", engine="torch", size=len(chosen))
            packs = plan_packs(chosen, config)
            rows.append(
                [
                    ", ".join(map(str, widths)),
                    count,
                    f"{apart * 1e6:,.0f}",
                    f"{together * 1e6:,.0f}",
                    f"{ratio:.2f}",
                    len(packs),
                ]
            )
    head = ["widths", "runs of each", "apart", "together", "together over apart", "packs planned"]
    tell("padding", table(head, rows))


if __name__ == "__main__":
    main()
