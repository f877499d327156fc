import math
from typing import Any

import numpy as np
import pytest
import torch

from symstudy.programs.run import ProgramRun
from symstudy.programs.states import StateError


def test_a_state_comes_back_as_it_was_saved(run):
    state: dict[Any, Any] = {
        "step": 3,
        "ratio": 0.5,
        "name": "x",
        "nothing": None,
        "betas": (0.9, 0.999),
        "list": [1, [2.5, True]],
        5: {"a": -math.inf},
        "array": np.arange(6.0).reshape(2, 3),
        "empty": np.zeros((0, 2), np.int32),
    }
    run.save(state)
    found = run.restore()
    assert list(found) == list(state)
    for key in ("step", "ratio", "name", "nothing", "betas", "list", 5):
        assert found[key] == state[key]
        assert type(found[key]) is type(state[key])
    assert np.array_equal(found["array"], state["array"])
    assert found["empty"].shape == (0, 2)


def test_an_optimizer_of_torch_comes_back_with_its_types(run):
    model = torch.nn.Linear(2, 1).to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2, dtype=torch.bfloat16)).sum().backward()
    optimizer.step()
    run.save({"optimizer": optimizer.state_dict(), "tied": [model.weight, model.weight]})
    found = run.restore()
    again = torch.optim.AdamW(model.parameters())
    again.load_state_dict(found["optimizer"])
    assert found["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert torch.equal(
        again.state[model.weight]["exp_avg"], optimizer.state[model.weight]["exp_avg"]
    )
    assert found["tied"][1].dtype == torch.bfloat16


def test_what_is_no_array_and_no_plain_value_is_refused_by_its_place(run):
    with pytest.raises(TypeError, match=r"state\['model'\]\[0\] is a Linear"):
        run.save({"model": [torch.nn.Linear(1, 1)]})
    assert list(run.folder.glob("*.tmp")) == []


def test_a_failed_save_leaves_the_state_before(run):
    run.save({"step": 1})
    with pytest.raises(TypeError):
        run.save({"step": object()})
    assert run.restore() == {"step": 1}


def test_a_damaged_state_is_refused(run):
    run.save({"step": 1, "w": np.ones(100)})
    path = run.folder / "saved.state"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateError, match="must be as it was saved"):
        run.restore()


def test_the_state_of_another_run_is_refused(run, job_of):
    run.save({"step": 1})
    with pytest.raises(StateError, match="must be of run r2, but is of 'r1'"):
        ProgramRun(job_of(run_id="r2")).restore()
