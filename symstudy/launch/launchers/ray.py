"""The launcher on Ray Tune: a trial is a pack, and actors are used again.

Tune schedules, restarts what dies and nothing else: results go from the workers to the store, so
Tune's own loggers, checkpoints and tables are off, and its experiment state lives in a temporary
folder that is thrown away.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from symstudy.errors import LaunchError
from symstudy.launch.cluster.check import check_cluster
from symstudy.launch.cluster.environment import own_modules, runtime_environment
from symstudy.launch.cluster.reachable import check_reachable
from symstudy.launch.job import Job
from symstudy.launch.launchers.base import AbstractLauncher, Capacity, Observer
from symstudy.launch.launchers.ray_connection import Lifeline, leave_without_ray, run_beside
from symstudy.launch.source import AbstractPackSource
from symstudy.study import Study
from symstudy.study.devices import gpu_of
from symstudy.study.sections import PackConfig

__all__ = ["RayLauncher"]

REFUSED, INTERRUPTED = 2, 130
"""Exit statuses of the program."""

RETRIES = 5
"""How often a pack is trained again after its worker or node died, before the launch gives up."""

REPORT_EVERY_S = 1.0
"""A worker tells of its progress at most so often: each report waits for the driver."""

REPORTS_PER_S = 50.0
"""All workers together tell of their progress at most so often; a driver can hear several hundred
reports a second."""

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Its own state grows with the trials and is of no use: the store is the truth.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


class RayLauncher(AbstractLauncher):
    """Trains packs on a Ray cluster, by default one of this machine's own."""

    def __init__(
        self,
        config: PackConfig,
        *,
        address: str | None = None,
        workers: int | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        """Prepare a launcher.

        Args:
            config: Cores and share of a GPU that a pack reserves, and its device.
            address: A running cluster, `host:port` or `auto`; a local one is started if None.
            workers: Packs at the same time; as many as fit if None.
            callbacks: Further callbacks of Ray Tune, such as loggers.
        """
        self.config = config
        self.address = address
        self.workers = workers
        self.callbacks = list(callbacks)
        self.gpus = 1.0 if config.gpus == "auto" else config.gpus
        self.resources: dict[str, float] = {}
        self.environment: dict[str, Any] = {}
        self.modules: list[str] = []
        self.lifeline: Lifeline | None = None

    def prepare(self, study: Study) -> None:
        """Find what travels to the workers with `study`.

        Raises:
            LaunchError: If a module of the study is not found.
        """
        super().prepare(study)
        self.environment = runtime_environment(study, is_remote=self.address is not None)
        self.modules = [module.name for module in own_modules(study)]

    def check(self, location: str) -> None:
        """Ask every node of a cluster that was there before whether it can take part.

        Raises:
            LaunchError: If one cannot.
            StoreError: If the results cannot be written.
        """
        if self.address:
            check_cluster(location, self.modules)

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
                runtime_env=self.environment or None,
            )
        except Exception as error:  # a node that does not start in time is nothing more special
            if self.address is None:
                raise LaunchError(
                    f"Ray must start on this machine, but it says: {' '.join(str(error).split())} "
                    "Run the same command again, or do without Ray: --launcher inline"
                ) from error
            raise LaunchError(
                f"--address must be a reachable Ray cluster, but got {self.address!r}: {error}. "
                "Start one with `ray start --head`, or leave --address out to use this machine. If "
                "it asks for a token, type RAY_AUTH_MODE=token before the command."
            ) from error
        cluster: Any = ray
        self.resources = dict(cluster.cluster_resources())
        self.lifeline = Lifeline.of_ray(is_own=self.address is None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the cluster; one that was started here ends with its workers."""
        import ray

        assert self.lifeline is not None, "entered"
        if self.lifeline.lost():
            leave_without_ray(INTERRUPTED if kind is KeyboardInterrupt else REFUSED)
        else:
            ray.shutdown()
        self.lifeline.close()

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
            fit = min(fit, int(self.resources["GPU"] / self.gpus))
        if fit < 1 and not (self.address and self.workers):
            raise LaunchError(
                f"pack.cpus must be at most the cluster's {self.resources.get('CPU', 0):g} CPUs, "
                f"but got {self.config.cpus}. If the cluster grows with its work, say how far: "
                "--workers 16"
            )
        # A cluster may grow with its work: more workers than fit now are taken at their word.
        wanted = self.workers or fit
        workers = wanted if self.address else min(fit, wanted)
        return Capacity(workers, self.device, gpu_of(self.resources).name)

    def reserve(self, gpus: float) -> Capacity:
        """Have each pack reserve `gpus` of a GPU."""
        self.gpus = gpus
        return self.capacity

    def launch(self, job: Job, source: AbstractPackSource, observer: Observer) -> None:
        """Have the packs of `source` trained as trials of one Tune experiment."""
        from ray import tune

        from symstudy.launch.launchers.ray_search import PackSearcher, Relay
        from symstudy.launch.launchers.ray_trial import PackTrial

        resources: dict[str, float] = {"CPU": self.config.cpus}
        if self.device == "cuda":
            resources["GPU"] = self.gpus
        workers = self.capacity.workers
        relay = Relay(source, observer)
        trainable: Any = tune.with_parameters(
            PackTrial, job=job, report_s=max(REPORT_EVERY_S, workers / REPORTS_PER_S)
        )
        # What Ray calls the processes: `symstudy.launch.cluster.preemption` knows them by it.
        trainable.__qualname__ = PackTrial.__qualname__
        storage = tempfile.mkdtemp(prefix="symstudy-tune-")
        try:
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(source, observer, resources),
                    num_samples=-1,
                    max_concurrent_trials=workers,
                    reuse_actors=True,
                    trial_name_creator=name_trial,
                    trial_dirname_creator=name_trial,
                ),
                run_config=tune.RunConfig(
                    name=job.launch,
                    storage_path=storage,
                    verbose=0,
                    callbacks=[relay, *self.callbacks],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                    # The default saves class trainables at their end, and drops an actor that
                    # cannot.
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            assert self.lifeline is not None, "entered"
            run_beside(self.lifeline, tuner.fit, relay.abandon)
        finally:
            shutil.rmtree(storage, ignore_errors=True)
        if relay.errors:
            raise LaunchError(
                f"every pack must be accounted for, but {len(relay.errors)} were lost "
                f"{RETRIES + 1} times: {relay.errors[0]}. Run the same command again to go on."
            )


def name_trial(trial: Any) -> str:
    """Return the pack's identifier as the trial's name."""
    return str(trial.config["pack"])
