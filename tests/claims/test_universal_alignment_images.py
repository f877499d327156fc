from tests.claims.planted_pairs import MiddleLayers


class TestImages(MiddleLayers):
    name = "universal_alignment_images"
    parts = 4
