import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import judge_store
from tests.claims.planted_pairs import middle, middle_pairs, planted

NAME = "universal_alignment_images"


@pytest.fixture
def plant_middles(tmp_path, request):
    def plant(**options):
        return planted(tmp_path, request.config.rootpath, NAME, middle, middle_pairs, **options)

    return plant


def test_middle_layers_that_align_support(claims, plant_middles):
    finding = judge_store(claims[NAME], plant_middles())
    assert finding.verdict is Verdict.SUPPORTED
    assert len(finding.parts) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"ends": {"linear": 0.8}},
        {"start": 0.97, "ends": {"tanh": 0.99}},
        {"inputs": 0.93, "ends": {"tanh": 0.99}},
        {"chance": 0.2},
    ],
)
def test_what_does_not_align_beyond_start_inputs_or_chance_refutes(claims, plant_middles, options):
    assert judge_store(claims[NAME], plant_middles(**options)).verdict is Verdict.REFUTED
