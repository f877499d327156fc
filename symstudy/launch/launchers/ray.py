"""The Ray launcher: packs train as the trials of a Ray Tune experiment, on reused actors.

Tune only schedules trials and restarts those that die: results go from the workers to the store, so
Tune's own loggers, checkpoints and tables are off, and its experiment state lives in a temporary
folder that is deleted at the end.
"""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from symstudy.errors import LaunchError
from symstudy.launch.cluster.check import check_cluster
from symstudy.launch.cluster.environment import own_modules, runtime_environment
from symstudy.launch.cluster.gpus import FoundGpu, ask_nodes, choose_gpu
from symstudy.launch.cluster.local_start import check_local_start, temporary_folder
from symstudy.launch.cluster.nodes import Node, count_room, read_node
from symstudy.launch.cluster.reachable import check_reachable
from symstudy.launch.events import Listener
from symstudy.launch.launchers.base import AbstractLauncher, Capacity
from symstudy.launch.messages import LaunchConfig
from symstudy.launch.source import AbstractPackSource
from symstudy.launch.tune.connection import RayConnection, exit_without_ray, run_while_connected
from symstudy.study import Study
from symstudy.study.sections import PackConfig

__all__ = ["RayLauncher"]

REFUSED, INTERRUPTED = 2, 130
"""Exit statuses of the program."""

RETRIES = 5
"""How often a pack is trained again after its worker or node died, before the launch gives up."""

REPORT_EVERY_S = 1.0
"""Least seconds between two progress reports of a worker: each report waits for the driver."""

REPORTS_PER_S = 50.0
"""Most progress reports of all workers together; a driver can take several hundred a second."""

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
    """Trains packs on a Ray cluster; without an address on one started on this machine.

    Where this process is connected to Ray already, `address="auto"` trains on that session and
    leaves it running.

    Examples:
        >>> from symstudy.launch import RayLauncher
        >>> from symstudy.study import PackConfig
        >>> RayLauncher(PackConfig(cpus=2), address="auto").address
        'auto'
    """

    def __init__(
        self,
        config: PackConfig,
        *,
        address: str | None = None,
        workers: int | None = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        """Prepare to train; nothing is started before the `with` block.

        Args:
            config: The study's [pack] table: cores, device and share of a GPU of a pack.
            address: Address of a running cluster, `host:port` or `auto`; None starts a local one.
            workers: Number of packs that train at the same time; None for as many as fit.
            callbacks: Further callbacks of Ray Tune, such as loggers.
        """
        self.config = config
        self.address = address
        self.workers = workers
        self.callbacks = list(callbacks)
        self.gpus = 1.0 if config.gpus == "auto" else config.gpus
        self.nodes: list[Node] = []
        self.found: FoundGpu | None = None
        self.environment: dict[str, Any] = {}
        self.modules: list[str] = []
        self.is_shared = False
        self.connection: RayConnection | None = None

    @classmethod
    def from_options(
        cls, config: PackConfig, *, address: str | None = None, workers: int | None = None
    ) -> Self:
        """Make a launcher from the options of `symstudy run`."""
        return cls(config, address=address, workers=workers)

    def prepare(self, study: Study) -> None:
        """Find the modules and settings that the workers of `study` need.

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
            check_cluster(location, self.modules, is_shared=self.is_shared)

    def __enter__(self) -> Self:
        """Start or join the cluster.

        Raises:
            LaunchError: If it cannot be started or reached, or another is in use in this process.
        """
        os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
        session = current_session()
        self.is_shared = bool(session) and self.address in ("auto", session)
        if not self.is_shared:
            if self.address:
                check_reachable(self.address)
            check_no_session(self.address, session)
            if not self.address:
                check_local_start()
        import ray

        for name in ("ray", "ray.tune", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        cluster: Any = ray
        if not self.is_shared:
            self.connect()
        self.nodes = [read_node(node) for node in cluster.nodes() if node["Alive"]]
        self.found = None
        self.connection = RayConnection.of_ray(is_own=self.address is None)
        return self

    def connect(self) -> None:
        """Connect this process to Ray; without an address start it first.

        Raises:
            LaunchError: If that fails.
        """
        import ray

        try:
            ray.init(
                address=self.address or "local",
                include_dashboard=None if self.address else False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                runtime_env=self.environment or None,
                _temp_dir=None if self.address else str(temporary_folder() / "ray"),
            )
        except Exception as error:  # a node that does not start in time is nothing more special
            ray.shutdown()
            raise start_error(error, self.address, self.environment) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect from the cluster; one that was started here ends with its workers."""
        import ray

        assert self.connection is not None, "entered"
        if self.connection.lost():
            exit_without_ray(INTERRUPTED if kind is KeyboardInterrupt else REFUSED)
        elif not self.is_shared:
            ray.shutdown()
        self.connection.close()

    @property
    def gpu(self) -> FoundGpu:
        """The GPU that packs are planned for, asked once of every node that has one.

        Raises:
            LaunchError: If the study asks for a GPU that is not there or cannot be used, or nodes
                of a cluster have GPUs that cannot be used.
        """
        if self.found is None:
            self.found = self.find_gpu()
        return self.found

    def find_gpu(self) -> FoundGpu:
        """Ask the nodes that have GPUs for them.

        Raises:
            LaunchError: As `gpu`.
        """
        names = {node.node_id: node.host for node in self.nodes if node.gpus >= 1}
        if self.config.device == "cuda" and not names:
            raise LaunchError(
                "pack.device = 'cuda' must have a cluster with GPUs, but this one has none. "
                "Type pack.device=auto, or name another --address."
            )
        if self.config.device == "cpu" or not names:
            return FoundGpu(None, "")
        # A desktop's GPU may be for the screen alone; a cluster has GPUs to train on them.
        may_use_cpu = self.config.device == "auto" and self.address is None
        return choose_gpu(ask_nodes(names), may_use_cpu=may_use_cpu)

    @property
    def device(self) -> str:
        """`cuda` where the cluster has GPUs and the study does not refuse them."""
        return "cpu" if self.gpu.device is None else "cuda"

    @property
    def capacity(self) -> Capacity:
        """Number of packs that fit the cluster at the same time, and their device."""
        has_gpu = self.device == "cuda"
        room = count_room(self.nodes, cpus=self.config.cpus, gpus=self.gpus if has_gpu else 0.0)
        if room.packs < 1 and not (self.address and self.workers):
            most = max((node.cpus for node in self.nodes), default=0)
            raise LaunchError(
                f"pack.cpus must be at most the {most:g} CPUs of a node of the cluster, "
                f"but got {self.config.cpus}. If the cluster grows with its work, say how far: "
                "--workers 16"
            )
        # A cluster may grow with its work: more workers than fit now are taken at their word.
        wanted = self.workers or room.packs
        workers = wanted if self.address else min(room.packs, wanted)
        left = room.left if has_gpu and self.config.device == "auto" else 0
        beside = min(left, self.workers) if self.workers else left
        return Capacity(workers, self.device, self.gpu.device, beside, self.gpu.note)

    def reserve(self, gpus: float) -> Capacity:
        """Reserve `gpus` of a GPU for each pack; return the capacity that this leaves."""
        self.gpus = gpus
        return self.capacity

    def launch(self, config: LaunchConfig, source: AbstractPackSource, tell: Listener) -> None:
        """Train the packs of `source` as the trials of one Tune experiment."""
        from ray import tune

        from symstudy.launch.tune.callback import NoProgress, TrialEvents
        from symstudy.launch.tune.scheduler import PackScheduler
        from symstudy.launch.tune.searcher import PackSearcher
        from symstudy.launch.tune.trial import PackTrial

        on_cpu: dict[str, float] = {"CPU": self.config.cpus}
        resources = {"cpu": on_cpu, "cuda": {**on_cpu, "GPU": self.gpus}}
        capacity = self.capacity
        workers = self.workers or capacity.workers + capacity.cpu_workers
        events = TrialEvents(source, tell)
        trainable: Any = tune.with_parameters(
            PackTrial, launch=config, report_s=max(REPORT_EVERY_S, workers / REPORTS_PER_S)
        )
        # What Ray calls the processes: `symstudy.launch.cluster.preemption` finds them by it.
        trainable.__qualname__ = PackTrial.__qualname__
        storage = tempfile.mkdtemp(prefix="symstudy-tune-")
        try:
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(source, tell, resources),
                    scheduler=PackScheduler(),  # type: ignore[no-untyped-call]  # its base is not typed
                    num_samples=-1,
                    max_concurrent_trials=workers,
                    reuse_actors=True,
                    trial_name_creator=name_trial,
                    trial_dirname_creator=name_trial,
                ),
                run_config=tune.RunConfig(
                    name=config.launch,
                    storage_path=storage,
                    verbose=0,
                    callbacks=[events, NoProgress(), *self.callbacks],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                    # The default saves class trainables at their end, and drops an actor that
                    # cannot.
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            assert self.connection is not None, "entered"
            run_while_connected(self.connection, tuner.fit, events.abandon)
        finally:
            shutil.rmtree(storage, ignore_errors=True)
        if events.errors:
            raise LaunchError(
                f"every pack must be accounted for, but {len(events.errors)} were lost "
                f"{RETRIES + 1} times: {events.errors[0].rstrip('.')}. Run the same "
                "command again to go on."
            )


def name_trial(trial: Any) -> str:
    """Return the pack's identifier as the trial's name."""
    return str(trial.config["pack"])


def current_session() -> str:
    """Return the address of the Ray that this process is connected to; empty if it is to none."""
    ray: Any = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return ""
    return str(ray.get_runtime_context().gcs_address)


def check_no_session(address: str | None, session: str) -> None:
    """Check that this process is not connected to a Ray session yet.

    Args:
        address: Address that the launcher was given.
        session: Address of the session that this process is connected to; empty if it is to none.

    Raises:
        LaunchError: If it is connected to one.
    """
    if session:
        asked = "start Ray on this machine" if address is None else f"connect to {address}"
        raise LaunchError(
            "a process must use one Ray session at a time, but it is connected to the one at "
            f"{session} and the launcher was asked to {asked}. Type address='auto' to train on "
            "that session, or ray.shutdown() before the launch."
        )


def start_error(error: Exception, address: str | None, environment: dict[str, Any]) -> LaunchError:
    """Return the error to raise where Ray did not start or could not be joined.

    Args:
        error: Error of Ray.
        address: Address of the cluster; None if it was to start on this machine.
        environment: Runtime environment that was asked for.
    """
    said = " ".join(str(error).split())
    if "exceeds the maximum size" in said:
        paths = [Path(path) for path in environment.get("py_modules", ())]
        largest = largest_file(paths)
        return LaunchError(
            f"the modules that travel to the workers must be below Ray's limit, but "
            f"{', '.join(map(str, paths))} are not: {said.partition('. ')[0]}. The largest file is "
            f"{largest}. Move data out of the package, or name it in a .rayignore file there."
        )
    if address is None:
        return LaunchError(
            f"Ray must start on this machine, but it says: {said} Run the same command again, or "
            "do without Ray: --launcher inline"
        )
    return LaunchError(
        f"--address must be a reachable Ray cluster, but got {address!r}: {error}. Start one with "
        "`ray start --head`, or leave --address out to use this machine. If it asks for a token, "
        "type RAY_AUTH_MODE=token before the command."
    )


def largest_file(paths: Sequence[Path]) -> Path | None:
    """Return the largest file among `paths` and below them; None if there is none."""
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size, default=None)
