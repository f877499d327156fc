"""Runs through symstudy against plain Ray Tune, one run a trial, from the command to its end.

Each is a process of its own on the same machine, one after the other: what a user waits for between
the command and the last result, imports and the start of Ray included. Same networks, data, batches
and steps; both may use two cores; plain Ray Tune reuses actors and writes no logs. symstudy chooses
where it trains: 256 runs in its own process, 4,096 through Ray.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from documented import table, tell
from workload import study_of

from symstudy.study import Run, Study

WIDTHS = [16, 32]
RUNS = 256
LARGE = 4096
STEPS = 500
REPEATS = 3


def train_one(config: dict[str, int], runs: list[Run]) -> None:
    """Train one run as a user of plain Ray Tune would: build, loop, report."""
    import torch
    from ray import tune
    from torch import nn

    torch.set_num_threads(1)
    run = runs[config["run"]]
    from symstudy.study import PackConfig
    from symstudy.training.loop import make_pack

    pack = make_pack([run], PackConfig(device="cpu"))
    theta = pack.model.initialise([run.seed], torch.ones(1))[0]
    width = run.cell.model.value("width")  # the benchmark's is fcn
    module = nn.Sequential(
        nn.Linear(10, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10)
    )
    nn.utils.vector_to_parameters(theta, module.parameters())
    optimizer = torch.optim.Adam(
        module.parameters(), run.cell.train.lr, weight_decay=2 * run.cell.train.gamma
    )
    x = torch.from_numpy(pack.data.train.x[0])
    y = torch.from_numpy(pack.data.train.y[0])
    rows = torch.from_numpy(pack.data.block(0, run.cell.train.steps).rows[0]).long()
    for batch in rows:
        optimizer.zero_grad(set_to_none=True)
        loss = (module(x[batch]) - y[batch]).square().sum(dim=1).mean()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        test_x = torch.from_numpy(pack.data.test.x[0])
        test_y = torch.from_numpy(pack.data.test.y[0])
        final = (module(test_x) - test_y).square().sum(dim=1).mean().item()
    tune.report({"run_id": run.run_id, "test_loss": final, "at": time.time()})


class Trained(NamedTuple):
    """What a process has trained.

    Attributes:
        losses: Test loss of each run, by identifier.
        seconds: From the start of the process to its end.
        steady: Runs a second of workers that are up and have everything loaded.
    """

    losses: dict[str, float]
    seconds: float
    steady: float


def study_with(runs: int) -> Study:
    """Return the study of so many runs."""
    return study_of(WIDTHS, runs, STEPS, "adam", f"ray_bench_{runs}")


def train_plainly(count: int, place: Path) -> None:
    """Train as plain Ray Tune does, a run a trial, and write what came out."""
    os.environ.update(
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
        RAY_AIR_NEW_OUTPUT="0",
        RAY_CHDIR_TO_TRIAL_DIR="0",
        RAY_USAGE_STATS_ENABLED="0",
        PYTHONPATH=os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    )
    import logging

    import ray
    from ray import tune

    start: dict[str, object] = {"address": "local", "num_cpus": 2, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **start)  # type: ignore[arg-type]
    for name in ("ray", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    runs = study_with(count).runs()
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train_one, runs=runs), {"cpu": 1}),
        param_space={"run": tune.grid_search(list(range(len(runs))))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=2,
            reuse_actors=True,
            trial_name_creator=lambda trial: f"run{trial.config['run']}",
            trial_dirname_creator=lambda trial: f"run{trial.config['run']}",
        ),
        run_config=tune.RunConfig(storage_path=str(place), verbose=0, callbacks=[]),
    )
    grid = tuner.fit()
    metrics = [grid[i].metrics or {} for i in range(len(grid))]
    ended = sorted(item["at"] for item in metrics)
    # From the second result on both workers are up.
    steady = (len(ended) - 2) / (ended[-1] - ended[1])
    losses = {item["run_id"]: item["test_loss"] for item in metrics}
    (place / "out.json").write_text(json.dumps({"losses": losses, "steady": steady}))
    ray.shutdown()


def train_in_packs(count: int, place: Path) -> None:
    """Train as `symstudy run` does, and write what came out."""
    from symstudy.launch import AutoLauncher, PackEnded, run_study
    from symstudy.store import open_store

    study = study_with(count)
    reports = []
    launcher = AutoLauncher(study.pack)
    run_study(study, str(place), launcher, listeners=[lambda event: (
        reports.append(event.report) if isinstance(event, PackEnded) else None)])  # fmt: skip
    rows = open_store(str(place)).sql("select run_id, test_loss from runs").rows
    # The first pack of each worker loads the kernels.
    workers = launcher.chosen.capacity.workers if count == RUNS else 2
    warm = reports[workers:] or reports
    steady = workers * sum(report.runs for report in warm) / sum(report.seconds for report in warm)
    out = {"losses": {str(run): loss for run, loss in rows}, "steady": steady}
    (place / "out.json").write_text(json.dumps(out))


PARTS = {"plain": train_plainly, "packs": train_in_packs}


def trained(part: str, count: int) -> Trained:
    """Return what a process of its own trains."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        subprocess.run([sys.executable, __file__, part, str(count), place], check=True)
        seconds = time.perf_counter() - start
        out = json.loads((Path(place) / "out.json").read_text())
    return Trained(out["losses"], seconds, out["steady"])


def fastest(part: str, count: int, repeats: int) -> Trained:
    """Return the fastest of several processes: others may share the machine."""
    return min((trained(part, count) for _ in range(repeats)), key=lambda found: found.seconds)


def main() -> None:
    """Tell how long each takes, and the ratios."""
    ours = fastest("packs", RUNS, REPEATS)
    large = fastest("packs", LARGE, 1)
    theirs = fastest("plain", RUNS, 1)
    assert ours.losses.keys() == theirs.losses.keys(), "the same runs"
    worst = max(abs(ours.losses[run] / theirs.losses[run] - 1) for run in ours.losses)
    print(f"largest relative difference of test losses: {worst:.1e}")
    plain = RUNS / theirs.seconds
    rows = [
        [what, f"{seconds}", f"{60 * rate:,.0f}", f"{rate / other:.1f}"]
        for what, seconds, rate, other in (
            (f"{RUNS} runs, plain Ray Tune", f"{theirs.seconds:.1f} s", plain, plain),
            (f"{RUNS} runs", f"{ours.seconds:.1f} s", RUNS / ours.seconds, plain),
            (f"{LARGE:,} runs", f"{large.seconds:.1f} s", LARGE / large.seconds, plain),
            ("without the start of both", "-", large.steady, theirs.steady),
        )
    ]
    head = ["what", "from the command to its end", "runs a minute", "times plain Ray Tune"]
    tell("through_ray", table(head, rows))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        PARTS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
