from symstudy.findings import Verdict
from symstudy.testing.claims import judge_store
from tests.claims.planted_pairs import MiddleLayers


class TestWidths(MiddleLayers):
    name = "universal_alignment_widths"
    parts = 8

    def test_tanh_networks_alone_can_refute_the_claim(self, claims, plant_middles):
        finding = judge_store(claims[self.name], plant_middles(ends={"tanh": 0.7}))
        assert finding.verdict is Verdict.REFUTED
        assert [part.verdict.label for part in finding.parts[:4]] == ["supported"] * 4
