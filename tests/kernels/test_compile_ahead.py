import dataclasses
import json
import subprocess
import sys

import numba.core.event as events
import pytest

from symstudy.kernels.ahead import compile_kernels
from symstudy.optimizers.adaptive import adam_in_kernels
from symstudy.optimizers.sgd import descend
from symstudy.study import make_study
from symstudy.training import train_pack
from symstudy.training.compile_ahead import compile_all


class Compilations(events.Listener):
    """Collects the names of kernels as they are compiled."""

    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(event.data["dispatcher"].__name__)

    def on_end(self, event):
        pass


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("data", [{"kind": "digits"}, {"fresh": True, "label_noise": 0.1}])
def test_nothing_is_left_to_compile_after_compile_all(study_of, optimizer, data):
    compile_all()
    study = study_of(data=data, train={"optimizer": optimizer}, sweep={"seed": 2})
    listener = Compilations()
    with events.install_listener("numba:compile", listener):
        train_pack(study.runs(), dataclasses.replace(study.pack, engine="compiled"))
    assert listener.names == []


def test_a_transformer_needs_nothing_that_is_not_compiled_ahead():
    compile_all()
    model = {"kind": "transformer", "mlp_width": 3, "positions": True, "pool": "mean"}
    data = {"kind": "in_context", "length": 3, "token_dim": 2}
    train = {"lr": 0.01, "optimizer": "lion", "batch_size": 4, "steps": 2}
    values = {"schema": 1, "name": "t", "model": model, "data": data, "train": train}
    study = make_study({**values, "sweep": {"seed": 2}, "probe": {"num": 2, "detail": 1}})
    listener = Compilations()
    with events.install_listener("numba:compile", listener):
        train_pack(study.runs(), dataclasses.replace(study.pack, engine="compiled"))
    assert listener.names == []


SECOND_PROCESS = """
import json

import numba.core.event as events

from symstudy.kernels import ahead, lanes
from symstudy.optimizers.adaptive import adam_in_kernels
from symstudy.optimizers.sgd import descend

recorder = events.RecordingListener()
steps = [descend, adam_in_kernels]
with events.install_listener("numba:compile", recorder):
    ahead.compile_kernels(steps)
print(json.dumps({
    "compiled": [event.data["dispatcher"].__name__ for _, event in recorder.buffer],
    "read": [step.compiled(kind).is_from_disk for step in steps for kind in ("f4", "f8")],
    "trainers": [len(lanes.train_lanes.signatures), len(lanes.update_lanes.signatures)],
}))
"""


def test_a_second_process_compiles_nothing_and_one_trainer_serves_all_steps():
    steps = [descend, adam_in_kernels]
    compile_kernels(steps)
    for step in steps:
        for kind in ("f4", "f8"):
            step.compiled(kind)
    done = subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"compiled": [], "read": [True] * 4, "trainers": [4, 2]}
