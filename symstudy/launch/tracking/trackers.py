"""TensorBoard, MLflow and Weights & Biases as Ray Tune loggers, one logged trial per run.

A pack is one trial for Tune, but what users want to see is runs: so each run is passed to the
loggers as if it were a trial of its own, with its hyperparameters and one result per probe.

TensorBoard's is Tune's own. Tune's for MLflow sends every number by itself, and its for Weights &
Biases starts two actors a trial; runs come by the thousand and end in packs, so those two are
written here on the same base class: MLflow gets a run in one batch, W&B in this process. Any other
logger of Tune, or of a user's own, is named by its import path.
"""

import importlib
import importlib.util
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.errors import LaunchError, choices

__all__ = ["TRACKERS", "LoggedRun", "Tracked", "check_tracker", "make_tracker"]

TRACKERS = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
"""Names that `--log` takes, and the package that each needs."""
MOST_METRICS = 1000
"""Numbers that MLflow takes in a batch."""
STEP = "training_iteration"
"""What Tune's loggers take the step of a result from."""


class Tracked(NamedTuple):
    """A run that has ended, with what a tracker shows of it.

    Attributes:
        run_id: Identifier of the run.
        name: Display name: swept values, seed, and the head of the identifier.
        parameters: Hyperparameters and seed.
        rows: Measures of each probe by name, with the step under `training_iteration`.
        failed: Whether the run failed.
    """

    run_id: str
    name: str
    parameters: dict[str, Any]
    rows: list[dict[str, float]]
    failed: bool


class LoggedRun:
    """A run with the attributes that Tune's loggers read of a trial.

    Attributes:
        trial_id: Identifier of the run.
        config: Hyperparameters and seed.
        evaluated_params: Hyperparameters and seed.
        local_path: Path of the run's folder, for loggers that write files.
        experiment_dir_name: Name of the study.
        checkpoint: None, since runs have no checkpoint to log.
    """

    def __init__(self, run: Tracked, study: str, place: Path) -> None:
        """Show `run` of `study`; loggers that write files write below `place`."""
        self.name = run.name
        self.trial_id = run.run_id
        self.config = dict(run.parameters)
        self.evaluated_params = self.config
        self.local_path = str(place / run.name)
        self.experiment_dir_name = study
        self.checkpoint = None

    def __str__(self) -> str:
        """Return the name that is shown."""
        return self.name

    def init_local_path(self) -> None:
        """Make the folder."""
        Path(self.local_path).mkdir(parents=True, exist_ok=True)


def check_tracker(name: str) -> None:
    """Check that a tracker called `name` is known and its package is installed.

    Raises:
        LaunchError: If not.
    """
    if ":" in name:
        return
    if name not in TRACKERS:
        raise LaunchError(
            f"--log must be a known tracker or module:Class of a Tune logger, but got {name!r}. "
            f"{choices(name, list(TRACKERS))}"
        )
    package = TRACKERS[name]
    if importlib.util.find_spec(package) is None:
        raise LaunchError(
            f"--log {name} must have the package {package}, which is not installed. "
            f"Type: pip install {package}"
        )


def make_tracker(name: str, study: str, place: Path) -> Any:
    """Return the logger called `name`, set up.

    Args:
        name: One of `TRACKERS`, or `module:Class` of a `ray.tune.logger.LoggerCallback`.
        study: Name of the study: MLflow's experiment, and W&B's group.
        place: Local folder for what the logger writes.

    Raises:
        LaunchError: If it cannot be made, with what to type.
    """
    check_tracker(name)
    try:
        logger = own_tracker(name) if ":" in name else MAKERS[name](study, place)
        logger.setup()
    except LaunchError:
        raise
    except Exception as error:
        raise LaunchError(
            f"--log {name} must be able to start, but {type(error).__name__}: {error}"
        ) from error
    return logger


def own_tracker(name: str) -> Any:
    """Return a logger by its import path."""
    module, _, attribute = name.partition(":")
    from ray.tune.logger import LoggerCallback

    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise LaunchError(
            f"--log must be module:Class of a Tune logger, but got {name!r}: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, LoggerCallback)):
        raise LaunchError(
            f"--log must name a subclass of ray.tune.logger.LoggerCallback, but {name!r} is none."
        )
    return found()


def make_tensorboard(study: str, place: Path) -> Any:
    """Return Tune's logger for TensorBoard; a run's folder is that of its `LoggedRun`."""
    from ray.tune.logger import TBXLoggerCallback

    del study, place
    logger: Any = TBXLoggerCallback
    return logger()


def make_mlflow(study: str, place: Path) -> Any:
    """Return a logger that sends each run to MLflow in batches, when it has ended."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from ray.tune.logger import LoggerCallback

    class MlflowRuns(LoggerCallback):
        """Logs each trial as an MLflow run, in an experiment named after the study."""

        def setup(self, *args: Any, **kwargs: Any) -> None:
            """Connect to MLflow, and find or make the experiment."""
            del args, kwargs
            place.mkdir(parents=True, exist_ok=True)
            uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{place / 'mlflow.db'}"
            self.client = MlflowClient(uri)
            found = self.client.get_experiment_by_name(study)
            self.experiment = found.experiment_id if found else self.client.create_experiment(study)
            self.metrics: dict[Any, list[Any]] = {}

        def log_trial_start(self, trial: Any) -> None:
            """Start to collect the metrics of a run."""
            self.metrics[trial] = []

        def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
            """Collect the metrics of a probe."""
            del iteration
            step = result[STEP]
            self.metrics[trial] += [
                Metric(key, value, 0, step) for key, value in numbers(result).items()
            ]

        def log_trial_end(self, trial: Any, failed: bool = False) -> None:  # noqa: FBT001, FBT002
            """Send the run to MLflow in batches."""
            run = self.client.create_run(
                self.experiment, run_name=str(trial), tags={"run_id": trial.trial_id}
            )
            metrics = self.metrics.pop(trial)
            params = [Param(key, str(value)) for key, value in trial.config.items()]
            self.client.log_batch(run.info.run_id, params=params)
            for start in range(0, len(metrics), MOST_METRICS):
                self.client.log_batch(run.info.run_id, metrics[start : start + MOST_METRICS])
            self.client.set_terminated(run.info.run_id, "FAILED" if failed else "FINISHED")

    return MlflowRuns()


def make_wandb(study: str, place: Path) -> Any:
    """Return a logger that logs each run as a run of Weights & Biases."""
    import wandb
    from ray.tune.logger import LoggerCallback

    class WandbRuns(LoggerCallback):
        """Logs each trial as a W&B run, in a group named after the study."""

        def setup(self, *args: Any, **kwargs: Any) -> None:
            """Check that there is an account, where one is needed."""
            del args, kwargs
            place.mkdir(parents=True, exist_ok=True)
            self.runs: dict[Any, Any] = {}
            if os.environ.get("WANDB_MODE", "online") == "online" and not wandb.login(prompt=False):
                raise LaunchError(
                    "--log wandb must have an account of Weights & Biases. Type `wandb login`, or "
                    "WANDB_MODE=offline before the command."
                )

        def log_trial_start(self, trial: Any) -> None:
            """Start a W&B run."""
            self.runs[trial] = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "symstudy"),
                group=study,
                id=trial.trial_id,
                name=str(trial),
                config=trial.config,
                dir=str(place),
                reinit="create_new",
                settings=wandb.Settings(console="off", silent=True, x_disable_stats=True),
            )

        def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
            """Log the metrics of a probe."""
            del iteration
            self.runs[trial].log(numbers(result), step=result[STEP])

        def log_trial_end(self, trial: Any, failed: bool = False) -> None:  # noqa: FBT001, FBT002
            """Finish the W&B run."""
            self.runs.pop(trial).finish(exit_code=int(failed))

    return WandbRuns()


def numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of a result but its step."""
    return {
        key: float(value)
        for key, value in result.items()
        if key != STEP and isinstance(value, int | float) and math.isfinite(value)
    }


MAKERS = {"tensorboard": make_tensorboard, "mlflow": make_mlflow, "wandb": make_wandb}
