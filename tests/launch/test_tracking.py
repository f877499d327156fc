"""Runs shown to trackers: each once, with its curve, and never at the price of a run."""

import struct
import sys
import types
from typing import Any
from unittest.mock import ANY

import pytest
from ray.tune.logger import LoggerCallback

from symstudy.errors import LaunchError
from symstudy.launch import open_study_folder
from symstudy.launch.tracking.listener import RunTracking, log_runs
from symstudy.launch.tracking.trackers import STEP, make_tracker
from symstudy.study import load_study

HERE = f"{__name__.rsplit('.', 1)[-1]}_recording"


class Recording(LoggerCallback):
    """A logger of someone's own, that keeps what it is told."""

    def __init__(self):
        self.started: list[Any] = []
        self.results: dict[str, list[dict[str, Any]]] = {}
        self.ended: list[tuple[str, bool]] = []

    def log_trial_start(self, trial):
        self.started.append(trial)

    def log_trial_result(self, iteration, trial, result):
        assert iteration == result[STEP]
        self.results.setdefault(str(trial), []).append(result)

    def log_trial_end(self, trial, failed=False):
        self.ended.append((str(trial), failed))


@pytest.fixture
def recording(monkeypatch):
    """A tracker, named by the import path of its class; the one that was made last."""
    made: list[Recording] = []

    class Made(Recording):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setitem(sys.modules, HERE, types.SimpleNamespace(Made=Made, other=3))
    return made


NAME = f"{HERE}:Made"


def folder_of(store):
    (folder,) = store.folders
    return folder


def test_each_run_is_shown_once_with_its_curve(study_of, run_inline, recording):
    study = study_of(sweep={"train.gamma": [0.0, 0.1], "model.width": [4, 8], "seed": 2})
    with RunTracking([NAME]) as tracking:
        _, store = run_inline(study, listeners=[tracking])
    (tracker,) = recording
    assert len(tracker.started) == len(tracker.results) == len(tracker.ended) == 8
    assert not any(failed for _, failed in tracker.ended)
    trial = tracker.started[0]
    gamma, width, seed, name = str(trial).split(",")
    assert gamma == f"gamma={trial.config['gamma']:g}"
    assert width == f"width={trial.config['width']}"
    assert seed == f"seed={trial.config['seed']}"
    assert trial.trial_id.startswith(name)
    expected = store.sql(
        "select step, test_loss from history where run_id = ? order by step", [trial.trial_id]
    ).rows
    shown = [(row[STEP], row["test_loss"]) for row in tracker.results[str(trial)]]
    assert shown == expected
    assert "mean_distinct_neurons" in tracker.results[str(trial)][-1]
    assert all(None not in row.values() for row in tracker.results[str(trial)])


def test_other_listeners_are_told_as_well(study_of, run_inline, recorder, recording):
    with RunTracking([NAME]) as tracking:
        run_inline(study_of(sweep={"seed": 2}), listeners=[tracking, recorder])
    assert len(recorder.launches) == 1
    assert sum(report.runs for report in recorder.reports) == 2


def test_without_trackers_no_thread_is_started(study_of, run_inline):
    with RunTracking([]) as tracking:
        run_inline(study_of(), listeners=[tracking])
        assert tracking.thread is None


def test_what_ended_before_is_logged_later_and_nothing_twice(study_of, run_inline, recording):
    run_inline(study_of(sweep={"seed": 2}))
    with RunTracking([NAME]) as tracking:
        run_inline(study_of(sweep={"seed": 3}), listeners=[tracking])
    with RunTracking([NAME]) as tracking:
        run_inline(study_of(sweep={"seed": 3}), listeners=[tracking])
    first, second = recording
    assert len(first.started) == 3
    assert second.started == []


def test_failed_runs_are_shown_as_failed(study_of, run_inline, recording):
    study = study_of(train={"lr": 1e6, "optimizer": "sgd", "steps": 60}, sweep={"seed": 2})
    with RunTracking([NAME]) as tracking:
        summary, _ = run_inline(study, listeners=[tracking])
    assert summary.failed == 2
    assert [failed for _, failed in recording[0].ended] == [True, True]


def test_a_tracker_that_fails_costs_no_run_and_is_told_of(
    study_of, run_inline, recording, monkeypatch
):
    def gone(*_, **__):
        raise ConnectionError("the server is gone")

    monkeypatch.setattr(Recording, "log_trial_end", gone)
    said: list[str] = []
    with RunTracking([NAME], say=said.append) as tracking:
        summary, store = run_inline(study_of(sweep={"seed": 3}), listeners=[tracking])
    assert summary.done == 3
    assert len(said) == 1
    assert "ConnectionError: the server is gone" in said[0]
    monkeypatch.undo()
    again = Recording()
    assert log_runs(folder_of(store), NAME, again, store_place(store)) == 3


def store_place(store):
    from symstudy.launch.tracking.listener import place_of

    return place_of(folder_of(store))


def test_an_interrupt_does_not_wait_for_the_rest(study_of, run_inline, recording):
    _, store = run_inline(study_of(sweep={"seed": 5}))
    folder = folder_of(store)
    tracker = Recording()
    asked = iter([True, True, False, False])
    assert log_runs(folder, NAME, tracker, store_place(store), is_wanted=lambda: next(asked)) == 2
    assert log_runs(folder, NAME, tracker, store_place(store)) == 3
    assert len({name for name, _ in tracker.ended}) == 5
    tracking = RunTracking([NAME])
    tracking.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert tracking.is_aborted.is_set()


def scalars_of(path):
    """Return the scalars of a TensorBoard file: (tag, step, value)."""
    from tensorboardX.proto.event_pb2 import Event

    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        found += [
            (value.tag, event.step, value.simple_value)
            for value in event.summary.value
            if value.HasField("simple_value")
        ]
        content = content[12 + length + 4 :]
    return found


def test_tensorboard_gets_a_folder_a_run(study_of, run_inline, tmp_path):
    study = study_of(sweep={"train.gamma": [0.0, 0.1]})
    with RunTracking(["tensorboard"]) as tracking:
        _, store = run_inline(study, listeners=[tracking])
    files = sorted((tmp_path / "small" / "tracking" / "tensorboard").glob("*/events*"))
    assert [file.parent.name.rsplit(",", 1)[0] for file in files] == [
        "gamma=0,seed=0", "gamma=0.1,seed=0",
    ]  # fmt: skip
    losses = [(step, value) for tag, step, value in scalars_of(files[0]) if "test_loss" in tag]
    expected = store.sql("select step, test_loss from history where gamma = 0 order by step").rows
    assert [step for step, _ in losses[: len(expected)]] == [step for step, _ in expected]
    assert [value for _, value in losses[: len(expected)]] == pytest.approx(
        [value for _, value in expected]
    )


class Client:
    """Stands for `mlflow.MlflowClient`: keeps what is sent, and how often."""

    def __init__(self, uri):
        self.uri = uri
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.batches = 0

    def get_experiment_by_name(self, name):
        known = self.experiments.get(name)
        return types.SimpleNamespace(experiment_id=known) if known else None

    def create_experiment(self, name):
        return self.experiments.setdefault(name, f"id of {name}")

    def create_run(self, experiment, run_name, tags):
        run = f"run {len(self.runs)}"
        self.runs[run] = {"experiment": experiment, "name": run_name, "tags": tags,
                          "metrics": [], "params": {}}  # fmt: skip
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=run))

    def log_batch(self, run_id, metrics=(), params=()):
        assert len(metrics) <= 1000
        self.batches += 1
        self.runs[run_id]["metrics"] += list(metrics)
        self.runs[run_id]["params"].update(params)

    def set_terminated(self, run_id, status):
        self.runs[run_id]["status"] = status


def test_mlflow_gets_a_run_in_few_batches(study_of, run_inline, tmp_path, monkeypatch):
    entities = types.SimpleNamespace(
        Metric=lambda key, value, timestamp, step: (key, step, value),
        Param=lambda key, value: (key, value),
    )
    monkeypatch.setitem(sys.modules, "mlflow", types.SimpleNamespace(MlflowClient=Client))
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setattr("symstudy.launch.tracking.trackers.check_tracker", lambda name: None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _, store = run_inline(study_of(sweep={"seed": 2}))
    tracker = make_tracker("mlflow", "small", tmp_path)
    assert tracker.client.uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert log_runs(folder_of(store), "mlflow", tracker, tmp_path) == 2
    assert len(tracker.client.runs) == 2
    assert tracker.client.batches == 4
    run = tracker.client.runs["run 0"]
    assert (run["experiment"], run["status"]) == ("id of small", "FINISHED")
    assert run["params"]["width"] == "8"
    expected = store.sql(
        "select step, test_loss from history where run_id = ? order by step",
        [run["tags"]["run_id"]],
    ).rows
    assert [(step, value) for key, step, value in run["metrics"] if key == "test_loss"] == expected


class Run:
    """Stands for a run of `wandb`."""

    def __init__(self, **options):
        self.options = options
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.exit_code: int | None = None

    def log(self, row, step):
        self.rows.append((step, row))

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def wandb(monkeypatch):
    """Stands for the package `wandb`, where nobody is logged in."""
    runs: list[Run] = []

    def init(**options):
        runs.append(Run(**options))
        return runs[-1]

    fake = types.SimpleNamespace(
        init=init, runs=runs, login=lambda prompt: prompt, Settings=lambda **options: options
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr("symstudy.launch.tracking.trackers.check_tracker", lambda name: None)
    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_wandb_gets_a_run_of_each_run(study_of, run_inline, tmp_path, monkeypatch, wandb):
    monkeypatch.setenv("WANDB_MODE", "offline")
    _, store = run_inline(study_of(sweep={"seed": 2}))
    tracker = make_tracker("wandb", "small", tmp_path)
    assert log_runs(folder_of(store), "wandb", tracker, tmp_path) == 2
    ids = [run.options["id"] for run in wandb.runs]
    assert sorted(ids) == [row[0] for row in store.sql("select run_id from runs order by 1").rows]
    options = wandb.runs[0].options
    assert (options["project"], options["group"]) == ("symstudy", "small")
    assert options["config"]["width"] == 8
    assert [step for step, _ in wandb.runs[0].rows][-1] == 20
    assert wandb.runs[0].exit_code == 0


def test_wandb_without_an_account_says_what_to_type(tmp_path, wandb):
    with pytest.raises(LaunchError, match="Type `wandb login`, or WANDB_MODE=offline"):
        make_tracker("wandb", "small", tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorbord", "Did you mean 'tensorboard'"),
        ("nowhere.at.all:Logger", "module:Class of a Tune logger"),
        (f"{HERE}:other", "subclass of ray.tune.logger.LoggerCallback"),
        (f"{HERE}:missing", "module:Class of a Tune logger"),
    ],
)
def test_what_is_no_tracker_is_refused(name, message, tmp_path, recording):
    with pytest.raises(LaunchError, match=message):
        make_tracker(name, "small", tmp_path)


@pytest.mark.parametrize(("name", "package"), [("wandb", "wandb"), ("mlflow", "mlflow")])
def test_a_missing_package_says_what_to_type(name, package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LaunchError, match=f"pip install {package}"):
        RunTracking([name])


def test_a_tracker_that_cannot_start_is_an_error_before_training(monkeypatch, tmp_path, recording):
    def broken(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(Recording, "setup", broken)
    with pytest.raises(LaunchError, match="must be able to start, but OSError: no route to host"):
        make_tracker(NAME, "small", tmp_path)


def test_results_elsewhere_are_tracked_here(study_of, tmp_path, monkeypatch):
    from symstudy.launch.tracking.listener import place_of

    monkeypatch.chdir(tmp_path)
    folder = open_study_folder(str(tmp_path / "results"), study_of())
    assert place_of(folder) == tmp_path / "results" / "small" / "tracking"
    monkeypatch.setattr(type(folder), "is_local", False)
    assert place_of(folder) == tmp_path / "tracking" / "small"


def test_names_tell_whatever_is_swept(study_of, run_inline, recording):
    study = study_of(
        train={"optimizer": "adam"},
        sweep={"train.epsilon": [1e-8, 1e-6], "model.kind": ["fcn", "deep_linear"], "seed": 1},
    )
    with RunTracking([NAME]) as tracking:
        run_inline(study, listeners=[tracking])
    heads = {name.rsplit(",", 1)[0] for name, _ in recording[0].ended}
    assert heads == {
        f"epsilon={epsilon:g},model={model},seed=0"
        for epsilon in (1e-8, 1e-6)
        for model in ("fcn", "deep_linear")
    }


def test_metrics_of_programs_are_shown(run_inline, recording, tmp_path):
    (tmp_path / "tracked.py").write_text("def main(run): run.report(2, loss=0.5, hits=3)\n")
    (tmp_path / "own.toml").write_text(
        'schema = 1\nname = "own"\n[program]\nentry = "tracked:main"\n[config]\nlr = 0.1\n'
    )
    with RunTracking([NAME]) as tracking:
        run_inline(load_study(tmp_path / "own.toml"), listeners=[tracking])
    (tracker,) = recording
    assert list(tracker.results.values()) == [[{STEP: 2, "loss": 0.5, "hits": 3, "elapsed": ANY}]]
    assert tracker.started[0].config["lr"] == 0.1
