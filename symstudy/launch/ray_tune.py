"""The launcher on Ray Tune: a trial is a pack, and actors are used again.

Tune schedules, restarts what dies and nothing else: results go from the workers to the store, so
Tune's own loggers, checkpoints and tables are off, and its experiment state lives in a temporary
folder that is thrown away.
"""

import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from symstudy.errors import LaunchError
from symstudy.launch.job import Job, PackReport
from symstudy.launch.launcher import AbstractLauncher, Capacity, Observer
from symstudy.launch.worker import work_on
from symstudy.study.packs import Pack
from symstudy.study.sections import PackConfig

__all__ = ["RayLauncher"]

RETRIES = 5
"""How often a pack is trained again after its worker or node died, before the launch gives up."""

CONNECT_S = 10.0
"""How long a cluster may take to answer."""

REPORT_EVERY_S = 1.0
"""A worker tells of its progress at most so often: each report waits for the driver."""

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


class RayLauncher(AbstractLauncher):
    """Trains packs on a Ray cluster, by default one of this machine's own."""

    def __init__(
        self, config: PackConfig, *, address: str | None = None, workers: int | None = None
    ) -> None:
        """Prepare a launcher.

        Args:
            config: Cores and share of a GPU that a pack reserves, and its device.
            address: A running cluster, `host:port` or `auto`; a local one is started if None.
            workers: Packs at the same time; as many as fit if None.
        """
        self.config = config
        self.address = address
        self.workers = workers
        self.resources: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Start or join the cluster."""
        os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
        if self.address:
            check_reachable(self.address)
        import ray

        for name in ("ray", "ray.tune", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            ray.init(
                address=self.address or "local",
                include_dashboard=None if self.address else False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise LaunchError(
                f"--address must be a reachable Ray cluster, but got {self.address!r}: {error}. "
                "Start one with `ray start --head`, or leave --address out to use this machine. If "
                "it asks for a token, type RAY_AUTH_MODE=token before the command."
            ) from error
        cluster: Any = ray
        self.resources = dict(cluster.cluster_resources())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the cluster; one that was started here ends with its workers."""
        import ray

        ray.shutdown()

    @property
    def device(self) -> str:
        """`cuda` where the cluster has GPUs and the study does not refuse them."""
        has_gpus = self.resources.get("GPU", 0) > 0
        if self.config.device == "cuda" and not has_gpus:
            raise LaunchError(
                "pack.device = 'cuda' must have a cluster with GPUs, but this one has none. "
                "Type pack.device=auto, or name another --address."
            )
        return "cuda" if has_gpus and self.config.device != "cpu" else "cpu"

    @property
    def capacity(self) -> Capacity:
        """Packs that fit the cluster at the same time."""
        fit = int(self.resources.get("CPU", 1) // self.config.cpus)
        if self.device == "cuda":
            fit = min(fit, int(self.resources["GPU"] / self.config.gpus))
        if fit < 1:
            raise LaunchError(
                f"pack.cpus must be at most the cluster's {self.resources.get('CPU', 0):g} CPUs, "
                f"but got {self.config.cpus}."
            )
        return Capacity(min(fit, self.workers or fit), self.device)

    def launch(self, job: Job, packs: Sequence[Pack], observer: Observer) -> None:
        """Have all `packs` trained as trials of one Tune experiment."""
        from ray import tune

        resources: dict[str, float] = {"cpu": self.config.cpus}
        if self.device == "cuda":
            resources["gpu"] = self.config.gpus
        storage = tempfile.mkdtemp(prefix="symstudy-tune-")
        try:
            tuner = tune.Tuner(
                tune.with_resources(tune.with_parameters(train_trial, job=job), resources),
                param_space={"pack": tune.grid_search([pack.pack_id for pack in packs])},
                tune_config=tune.TuneConfig(
                    max_concurrent_trials=self.capacity.workers,
                    reuse_actors=True,
                    trial_name_creator=name_trial,
                    trial_dirname_creator=name_trial,
                ),
                run_config=tune.RunConfig(
                    name=job.launch,
                    storage_path=storage,
                    verbose=0,
                    callbacks=[make_callback(observer)],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                ),
            )
            # The grid of results warns of every trial without files; the store has the rows.
            grid = tuner.fit()
            errors = [error for error in grid.errors if error is not None]
        finally:
            shutil.rmtree(storage, ignore_errors=True)
        if errors:
            raise LaunchError(
                f"every pack must be accounted for, but {len(errors)} of {len(packs)} were lost "
                f"{RETRIES + 1} times: {last_line(errors[0])}. Run the same command again to go on."
            )


def check_reachable(address: str) -> None:
    """Raise at once if nothing listens at `address`: Ray itself would try for many minutes.

    Raises:
        LaunchError: If nothing answers, or `address` is no host and port.
    """
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise LaunchError(
            f"--address must be the host:port of a running Ray cluster, but got {address!r}: "
            f"{error}. Start one with `ray start --head`, or leave --address out for this machine."
        ) from error


def name_trial(trial: Any) -> str:
    """Return the pack's identifier as the trial's name."""
    return str(trial.config["pack"])


def train_trial(config: dict[str, str], job: Job) -> None:
    """Train the pack of a trial, in a worker process of Ray."""
    from ray import tune

    if job.config.device == "auto" and not has_gpu():
        # A task without a GPU still sees those of its node.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    told = time.monotonic()

    def tell(run_steps: int) -> None:
        nonlocal told
        if time.monotonic() - told >= REPORT_EVERY_S:
            told = time.monotonic()
            tune.report({"run_steps": run_steps})

    report = work_on(job, config["pack"], tell)
    tune.report({"run_steps": report.run_steps, "report": vars(report)})


def has_gpu() -> bool:
    """Return whether Ray has given this worker a GPU."""
    import ray

    return bool(ray.get_gpu_ids())


def make_callback(observer: Observer) -> Any:
    """Return the Tune callback that passes on to `observer` what trials report."""
    from ray import tune

    class Relay(tune.Callback):
        """Passes reports on to `self.observer`."""

        def __init__(self, told: Observer) -> None:
            """Tell `told`."""
            self.observer = told

        def __getstate__(self) -> dict[str, Any]:
            """Return nothing: Tune writes its callbacks to its state, and an observer is alive."""
            return {}

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            """Tell of progress, or of the end of a pack."""
            del iteration, trials
            if "report" in result:
                self.observer.ended(PackReport(**result["report"]))
            elif "run_steps" in result:
                self.observer.progressed(trial.config["pack"], result["run_steps"])

        def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            """Tell of a worker that died."""
            del iteration, trials
            self.observer.retried(trial.config["pack"])

    return Relay(observer)


def last_line(error: BaseException) -> str:
    """Return the last line of what a worker raised."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
