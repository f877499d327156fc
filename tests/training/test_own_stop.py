"""Runs that a function of the user's own ends before their last step."""

import sys
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.components import looking_in
from symstudy.errors import LaunchError, ModelError, StudyFileError
from symstudy.launch.cluster.environment import own_modules
from symstudy.study import PackConfig, make_study
from symstudy.testing.checkpointers import PausesOnce
from symstudy.training import Paused, train_pack

CPU = PackConfig(device="cpu")
TORCH = PackConfig(device="cpu", engine="torch")
CODE = '''
import numpy as np

SEEN = []


def good_enough(run):
    """End a run once its test loss has fallen below half of its first."""
    SEEN.append((run.seed, run.steps.copy(), dict(run.history)))
    losses = run.history["test_loss"]
    if losses[-1] < 0.5 * losses[0]:
        return f"the loss fell to half \u2013 {len(losses)} probes"
    return False


def at_once(run):
    return np.True_


def numberless(run):
    return None


def broken(run):
    return run.history["no_such_column"][-1] > 0
'''


@pytest.fixture
def own(tmp_path, request):
    """The name of a module beside the study, which no other test has."""
    name = f"stops_{abs(hash(request.node.nodeid)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(CODE, encoding="utf-8")
    with looking_in(tmp_path):
        yield name


def runs_of(stop=None, sweep=None, **train):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "stopped",
        "title": "Stopped by a rule of one's own",
        "model": {"kind": "fcn", "depth": 2, "width": 6},
        "data": {"kind": "teacher_student", "samples": 20, "test_samples": 10},
        "train": {
            "optimizer": "sgd", "lr": 0.05, "batch_size": 8, "steps": 60, "stop": stop, **train,
        },
        "sweep": sweep or {"train.lr": [0.001, 0.05], "seed": 2},
        "probe": {"num": 10, "detail": 5, "samples": 8},
    }  # fmt: skip
    if "train.lr" in values["sweep"]:
        del values["train"]["lr"]
    return make_study(values).runs()


@pytest.mark.parametrize("config", [CPU, TORCH], ids=["compiled", "torch"])
def test_a_run_ends_where_the_rule_says_and_tells_why(own, config):
    runs = runs_of(f"{own}:good_enough")
    result, plain = train_pack(runs, config), train_pack(runs_of(), config)
    assert result.runs["outcome"] == ["done", "done", "stopped", "stopped"]
    for place in (2, 3):
        step = int(result.runs["steps_done"][place])
        rows = result.history["run_id"] == runs[place].run_id
        losses = result.history["test_loss"][rows]
        assert 0 < step < 60
        assert result.history["step"][rows][-1] == step
        assert losses[-1] < 0.5 * losses[0]
        assert result.runs["test_loss"][place] == losses[-1]
        reason = f"train.stop = '{own}:good_enough' ended the run at step {step}: the loss fell"
        assert result.runs["reason"][place].startswith(reason)
        assert result.runs["reason"][place].endswith(f"\u2013 {len(losses)} probes")
    for place in (0, 1):
        assert result.runs["test_loss"][place] == plain.runs["test_loss"][place]


def test_the_rule_gets_plain_arrays_of_one_run_at_detailed_probes(own):
    runs = runs_of(f"{own}:good_enough")
    result = train_pack(runs, CPU)
    seen = sys.modules[own].SEEN
    detailed = np.unique(result.layers["step"])
    assert {int(steps[-1]) for _, steps, _ in seen} == set(detailed[:-1].tolist())
    seed, steps, history = seen[-1]
    assert seed in {run.seed for run in runs}
    assert all(len(column) == len(steps) for column in history.values())
    assert {"test_loss", "train_loss", "grad_norm", "learning_rate"} <= set(history)


def test_where_a_run_ends_does_not_depend_on_its_mates(own):
    runs = runs_of(f"{own}:good_enough", sweep={"model.width": [3, 6], "seed": 2})
    for config in (CPU, TORCH):
        part = runs if config is TORCH else runs[:2]
        together = train_pack(part, config).runs
        for place, run in enumerate(part):
            alone = train_pack([run], config).runs
            assert together["steps_done"][place] == alone["steps_done"][0]
            assert together["reason"][place] == alone["reason"][0]


def test_the_reason_survives_a_checkpoint(own, monkeypatch):
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    runs = runs_of(f"{own}:good_enough")
    whole = train_pack(runs, CPU).runs
    pausing = PausesOnce(40)
    with pytest.raises(Paused):
        train_pack(runs, CPU, checkpointer=pausing)
    assert pausing.state is not None
    assert pausing.state["ends.is_stopped"].any()
    resumed = train_pack(runs, CPU, checkpointer=pausing).runs
    assert resumed["reason"] == whole["reason"]
    np.testing.assert_array_equal(resumed["steps_done"], whole["steps_done"])


def test_a_rule_that_is_true_at_once_ends_a_run_at_its_start(own):
    result = train_pack(runs_of(f"{own}:at_once"), CPU).runs
    assert set(result["steps_done"]) == {0}
    assert result["reason"][0] == f"train.stop = '{own}:at_once' ended the run at step 0"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("numberless", "must return True, False or a reason in words, but .* a NoneType at step 0"),
        ("broken", "raised KeyError at step 0: 'no_such_column'"),
    ],
)
def test_a_rule_that_says_neither_is_refused_by_name(own, function, message):
    with pytest.raises(ModelError, match=message):
        train_pack(runs_of(f"{own}:{function}"), CPU)


def test_the_source_of_a_rule_counts_in_identity_and_no_rule_does_not(own, tmp_path):
    plain, none, first = (runs_of(stop)[0] for stop in (None, "", f"{own}:good_enough"))
    assert plain.run_id == none.run_id != first.run_id
    file = tmp_path / f"{own}.py"
    file.write_text(file.read_text(encoding="utf-8").replace("0.5 *", "0.4 *"), encoding="utf-8")
    assert runs_of(f"{own}:good_enough")[0].run_id != first.run_id


def test_the_module_of_a_rule_travels_and_may_not_change(own, tmp_path):
    runs = runs_of(f"{own}:at_once")
    study = make_study(
        {
            "schema": 1, "name": "travels", "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.1, "stop": f"{own}:at_once"},
        }
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert [module.name for module in own_modules(study)] == [own]
    file = tmp_path / f"{own}.py"
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(LaunchError, match=r"train.stop must be as it was.*has changed since"):
        train_pack(runs, CPU)


def test_the_program_says_how_many_runs_a_rule_has_ended(own, tmp_path):
    text = """
        schema = 1
        name = "told"
        model = { kind = "fcn", width = 4 }
        data = { kind = "teacher_student", samples = 20 }
        train = { lr = 0.01, batch_size = 8, steps = 20, stop = "OWN:at_once" }
        sweep = { seed = 2 }
    """
    (tmp_path / "told.toml").write_text(text.replace("OWN", own), encoding="utf-8")
    words = ["run", str(tmp_path / "told.toml"), "--launcher", "inline"]
    said = CliRunner().invoke(app, [*words, "--results", str(tmp_path / "results")])
    assert said.exit_code == 0, said.output
    assert "told: 0 runs done, 2 stopped early, 0 failed in" in said.stderr


def test_a_training_without_steps_cannot_be_stopped(own):
    with pytest.raises(StudyFileError, match=r"train.stop: must be left out for none"):
        runs_of(f"{own}:at_once", sweep={"seed": 1}, optimizer="none", lr=None)
