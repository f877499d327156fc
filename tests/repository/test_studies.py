import itertools
import re
import tomllib
from pathlib import Path

import pytest

from symstudy.errors import StudyFileError
from symstudy.findings.family import read_families
from symstudy.project import find_project, list_claims
from symstudy.study import load_study, plan_packs

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))
ABSENT = "must have its files on this machine"
"""What a study says whose images have not been fetched."""


def load_or_skip(path, **options):
    """Return a study; skip the test, and say why, where its images are not on this machine."""
    try:
        return load_study(path, **options)
    except StudyFileError as error:
        if ABSENT not in str(error):
            raise
        pytest.skip(f"the images of {path.stem} are not on this machine: type `make images`")


def claims_in(path):
    """Return the claims that a study file names, whether or not its data are there."""
    return tomllib.loads(path.read_text()).get("claims", [])


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("preset", ["none", "laptop", "paper"])
def test_every_preset_of_every_study_is_valid(path, preset, root):
    if path.stem in {"smoke", "universal_alignment", "vision_checkpoints"} and preset != "none":
        return
    study = load_or_skip(path, preset=preset)
    assert study.name == path.stem
    assert set(study.claims) <= {item.name for item in list_claims(find_project(root))}
    if preset == "laptop":
        assert len(study.seeds) >= 5
        assert work_of(study) / 2 < 600
    if preset == "paper":
        laptop = load_study(path, preset="laptop")
        assert len(study.seeds) >= len(laptop.seeds)
        if study.is_program:  # what a run costs is not known before one has ended
            assert len(study.runs()) > 2 * len(laptop.runs())
            return
        assert work_of(study) > 2 * work_of(laptop)


def scaled(root):
    """Return the studies of `make paper-scale`, in its order."""
    text = (root / "Makefile").read_text().replace("\\\n", " ")
    (names,) = re.findall(r"^PAPER_SCALE := (.*)$", text, re.MULTILINE)
    return names.split()


def test_each_study_at_the_scale_of_the_paper_is_valid_and_planned(root):
    works = []
    for name in scaled(root):
        study = load_study(root / "studies" / f"{name}.toml", preset="scale")
        assert len(study.seeds) >= 10, name
        works.append(work_of(study))
    assert sum(works) / 2 < 8 * 3600
    # From the shortest to the longest, up to a fifth.
    assert all(one < 1.2 * next_one for one, next_one in itertools.pairwise(works))


def test_the_scale_of_the_paper_is_run_for_whatever_has_a_preset_of_it(root):
    with_preset = {path.stem for path in STUDIES if "[presets.scale]" in path.read_text()}
    assert set(scaled(root)) == with_preset


def test_every_claim_of_every_study_is_in_one_declared_family(root):
    served = {f"{path.stem}/{claim}" for path in STUDIES for claim in claims_in(path)}
    declared = [claim for family in read_families(root / "analysis") for claim in family.claims]
    assert set(declared) == served
    assert len(declared) == len(served)


def work_of(study):
    """Return the seconds of one core that a study is estimated to take."""
    packs = plan_packs(study.expected_runs(), study.pack, workers=2, device="cpu")
    return sum(pack.seconds for pack in packs)


def test_every_study_has_its_line(root):
    text = (root / "studies" / "README.md").read_text()
    for path in STUDIES:
        assert f"({path.name})" in text


def test_every_claim_names_a_study_that_serves_it(root):
    for item in list_claims(find_project(root)):
        assert item.name in claims_in(root / "studies" / f"{item.study}.toml")
        assert (root / "tests" / "claims" / f"test_{item.name}.py").exists()
