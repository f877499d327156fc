import dataclasses

import numba.core.event as events
import pytest

from symstudy.kernels.__main__ import compile_all
from symstudy.training import train_pack


class Compilations(events.Listener):
    """Collects the names of kernels as they are compiled."""

    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(event.data["dispatcher"].__name__)

    def on_end(self, event):
        pass


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("data", [{"kind": "digits"}, {"fresh": True, "label_noise": 0.1}])
def test_nothing_is_left_to_compile_after_compile_all(study_of, optimizer, data):
    compile_all()
    study = study_of(data=data, train={"optimizer": optimizer}, sweep={"seed": 2})
    listener = Compilations()
    with events.install_listener("numba:compile", listener):
        train_pack(study.runs(), dataclasses.replace(study.pack, engine="compiled"))
    assert listener.names == []
