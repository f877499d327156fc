"""At which scale a verdict was given is told with it."""

import pytest

from symstudy.findings.evaluate import evaluate_claim
from symstudy.findings.scale import told_scale


def launched(preset, *overrides, new_runs=1):
    return {"preset": preset, "overrides": list(overrides), "new_runs": new_runs}


@pytest.mark.parametrize(
    ("launches", "told"),
    [
        ([], ""),
        ([launched(None)], ""),
        ([launched("scale")], "preset scale"),
        ([launched("scale", "seed=5", "name=x", "pack.size=2", "sweep.seed=3")], "preset scale"),
        ([launched("paper", "model.width=8")], "preset paper with model.width=8"),
        ([launched(None, "model.width=8")], "no preset, with model.width=8"),
        ([launched("laptop"), launched("paper")], "preset laptop and preset paper"),
        ([launched(None), launched("paper")], "no preset and preset paper"),
        ([launched("laptop"), launched("laptop", new_runs=0)], "preset laptop"),
        ([launched("laptop"), launched("paper", new_runs=0)], "preset laptop"),
        ([launched("laptop", *(f"train.key{i}={i}" for i in range(9)))],
         "preset laptop with 9 settings changed"),
    ],
)  # fmt: skip
def test_the_scale_is_that_of_all_launches_that_planned_runs(launches, told):
    assert told_scale({"launches": launches}) == told


def test_a_launch_that_does_not_say_what_was_changed_leaves_the_scale_open():
    older = {"preset": "paper", "new_runs": 3}
    assert told_scale({"preset": "paper", "launches": [older, launched("paper")]}) == ""


def test_a_verdict_names_its_scale(small_claim, plant_small):
    folder = plant_small()
    record = folder.read_study()
    folder.write_study({**record, "launches": [launched("paper", "model.width=8")]})
    evaluated = evaluate_claim(small_claim, folder)
    assert evaluated.place.endswith(" (preset paper with model.width=8)")
    assert evaluated.to_json()["scale"] == "preset paper with model.width=8"
