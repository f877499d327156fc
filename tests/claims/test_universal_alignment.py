import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store
from tests.claims.planted_pairs import TRUTH, exact, exact_pairs, planted

NAME = "universal_alignment"


@pytest.fixture
def plant_arms(tmp_path, request):
    def plant(**options):
        return planted(tmp_path, request.config.rootpath, NAME, exact, exact_pairs, **options)

    return plant


def test_the_theorem_as_planted_is_supported(claims, plant_arms):
    finding = judge_store(claims[NAME], plant_arms())
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 10
    # The least of both rows, and of those of ten seeds the median.
    assert finding.effect == pytest.approx(0.97, abs=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"truth": TRUTH | {"noise": 0.9}},
        {"truth": TRUTH | {"little": 0.97}},
        {"truth": TRUTH | {"decay": 0.97}},
        {"truth": TRUTH | {"singular": 0.97}},
        {"universal": 0.9},
        {"inputs": 0.97},
    ],
)
def test_each_part_of_the_theorem_can_be_refuted(claims, plant_arms, options):
    finding = judge_store(claims[NAME], plant_arms(**options))
    assert finding.verdict is Verdict.REFUTED
    assert sum(part.verdict is Verdict.REFUTED for part in finding.parts) == 1


@pytest.mark.slow  # `make test-rules` measures the level of the claim
def test_an_alignment_at_the_edge_is_seldom_supported(claims, plant_arms):
    def at_edge(repeat):
        return plant_arms(truth=TRUTH | {"noise": 0.95}, repeat=repeat)

    assert count_verdicts(claims[NAME], at_edge, 8)[Verdict.SUPPORTED] <= 1


def test_runs_without_pairs_leave_the_claim_untested(claims, plant):
    store = plant(NAME, lambda run, rng: {"test_loss": 0.1})
    assert judge_store(claims[NAME], store).verdict is Verdict.UNTESTED
