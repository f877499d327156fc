"""256 runs through symstudy against the same runs as plain Ray Tune, one run a trial.

Same machine, one after the other, same networks, data, batches and steps; both use two workers,
reuse actors and write no Tune logs. Prints runs a minute of each, with and without the start of
workers.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self

from workload import study_of

from symstudy.launch import RayLauncher, run_study
from symstudy.launch.cluster.nodes import Node
from symstudy.launch.tune.connection import RayConnection
from symstudy.store import open_store
from symstudy.study import PackConfig, Run, Study

WIDTHS = [16, 32]
RUNS = 256
LARGE = 4096
STEPS = 500


def train_one(config: dict[str, int], runs: list[Run]) -> None:
    """Train one run as a user of plain Ray Tune would: build, loop, report."""
    import torch
    from ray import tune
    from torch import nn

    torch.set_num_threads(1)
    run = runs[config["run"]]
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


class Rates(NamedTuple):
    """How fast runs were trained.

    Attributes:
        test_loss: Of each run, by identifier.
        with_start: Runs a minute from the call to the last result.
        without_start: Runs a minute of workers that are up and have everything loaded.
    """

    test_loss: dict[str, float]
    with_start: float
    without_start: float


def plain_tune(runs: list[Run]) -> Rates:
    """Train `runs` as plain Ray Tune does: a run is a trial."""
    from ray import tune

    start = time.time()
    with tempfile.TemporaryDirectory() as storage:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(train_one, runs=runs), {"cpu": 1}),
            param_space={"run": tune.grid_search(list(range(len(runs))))},
            tune_config=tune.TuneConfig(
                max_concurrent_trials=2,
                reuse_actors=True,
                trial_name_creator=lambda trial: f"run{trial.config['run']}",
                trial_dirname_creator=lambda trial: f"run{trial.config['run']}",
            ),
            run_config=tune.RunConfig(storage_path=storage, verbose=0, callbacks=[]),
        )
        grid = tuner.fit()
        seconds = time.time() - start
        metrics = [grid[i].metrics or {} for i in range(len(grid))]
    ended = sorted(item["at"] for item in metrics)
    # From the second result on both workers are up.
    steady = (len(ended) - 2) / (ended[-1] - ended[1])
    losses = {item["run_id"]: item["test_loss"] for item in metrics}
    return Rates(losses, 60 * len(runs) / seconds, 60 * steady)


class KeptUp(RayLauncher):
    """Uses the Ray that is up, as plain Ray Tune does here."""

    def __enter__(self) -> Self:
        self.nodes = [Node("a", "a", 2.0, 0.0)]
        self.connection = RayConnection.of_ray(is_own=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.connection is not None:
            self.connection.close()


def through_symstudy(study: Study) -> Rates:
    """Train the runs of `study` in packs."""
    with tempfile.TemporaryDirectory() as results:
        start = time.time()
        summary = run_study(study, results, KeptUp(study.pack, workers=2))
        seconds = time.time() - start
        rows = open_store(results).sql("select run_id, test_loss from runs").rows
    # The first pack of each of the two workers loads the kernels.
    warm = summary.reports[2:] or summary.reports
    steady = 2 * sum(report.runs for report in warm) / sum(report.seconds for report in warm)
    return Rates(dict(rows), 60 * len(rows) / seconds, 60 * steady)


def main() -> None:
    """Print runs a minute of both and the ratios."""
    os.environ.update(
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
        RAY_AIR_NEW_OUTPUT="0",
        RAY_CHDIR_TO_TRIAL_DIR="0",
        RAY_USAGE_STATS_ENABLED="0",
        PYTHONPATH=os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    )
    import logging

    import ray

    study = study_of(WIDTHS, RUNS, STEPS, "adam", "ray_bench")
    runs = study.runs()
    assert len(runs) == RUNS, len(runs)
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )
    for name in ("ray", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ours = through_symstudy(study)
    large = through_symstudy(study_of(WIDTHS, LARGE, STEPS, "adam", "ray_bench_large"))
    theirs = plain_tune(runs)
    ray.shutdown()
    worst = max(abs(ours.test_loss[run] / theirs.test_loss[run] - 1) for run in ours.test_loss)
    print(f"widths {WIDTHS}, 3 weight layers, {STEPS} Adam steps, 2 workers; runs a minute")
    print(f"largest relative difference of test losses: {worst:.1e}")
    for label, mine, other in (
        (f"{RUNS} runs, with the start of workers", ours.with_start, theirs.with_start),
        (f"{LARGE} runs against {RUNS}, with the start", large.with_start, theirs.with_start),
        ("without the start of workers", large.without_start, theirs.without_start),
    ):
        ratio = mine / other
        print(f"  {label:40s} symstudy {mine:7,.0f}  plain Ray Tune {other:5,.0f}  {ratio:6.1f}x")


if __name__ == "__main__":
    main()
