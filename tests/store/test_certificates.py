"""The verdict on packs: runs alone against the same runs in packs."""

import pytest

from symstudy.store import Store, read_certificate, verify
from symstudy.store.tables.writer import write_pack
from symstudy.testing.stores import PLANTED, plant_store


def certified(place, study, engine, packed, alone):
    """A store whose first pack has a certificate of one measure."""
    store = plant_store(place, study, lambda run: {"test_loss": 1.0, "engine": engine})
    run = study.runs()[0]
    steps = [run.cell.train.steps]
    write_pack(
        store.folders[0],
        study.name,
        "certified",
        [run],
        PLANTED,
        run_columns={"outcome": ["done"], "steps_done": steps, "engine": [engine]},
        history={"run_id": [run.run_id], "step": steps},
        layers={},
        certificates={
            "run_id": [run.run_id],
            "pack_size": [8],
            "measure": ["test_loss"],
            "packed": [packed],
            "alone": [alone],
        },
    )
    return Store(store.folders)


@pytest.mark.parametrize(
    ("engine", "packed", "alone", "holds"),
    [
        ("compiled", 1.0, 1.0, True),
        ("compiled", 1.0, 1.0 + 1e-15, False),
        ("lbfgs-compiled", 1.0, 1.1, False),
        ("torch-cpu", 1.0, 1.0 + 1e-5, True),
        ("torch-cuda", 1e-14, 3e-14, True),
        ("torch-cuda", 1.57, 1.0, False),
        ("torch-cuda", 1.0, None, False),
    ],
)
def test_a_certificate_holds_where_rounding_explains_it(
    tmp_path, study, engine, packed, alone, holds
):
    store = certified(tmp_path, study, engine, packed, alone)
    found = read_certificate(store)
    assert found.holds == holds
    deviation = "coalesce(relative_deviation, 'infinity'::double)"
    assert store.sql(f"select {deviation} from certificates").rows == [(found.relative,)]
    assert (found.runs, found.largest, found.measure) == (1, 8, "test_loss")


def test_w11_verify_has_the_verdict_with_its_worst_measure(tmp_path, study):
    store = certified(tmp_path, study, "torch-cuda", 1.57, 1.0)
    found = verify(store.folders[0]).certificate
    assert found is not None
    assert found.relative == pytest.approx(0.57)
    assert (found.tolerance, found.outside) == (1e-3, 1)


def test_the_verdict_on_several_studies_counts_the_certificates_of_each(tmp_path, study):
    places = [tmp_path / name for name in "ab"]
    stores = [certified(place, study, "torch-cpu", 1.0, 1.0 + 1e-5) for place in places]
    found = read_certificate(Store([store.folders[0] for store in stores]))
    assert (found.runs, found.measures, found.outside) == (1, 1, 0)


def test_without_a_certificate_nothing_deviates(store):
    found = read_certificate(store)
    assert (found.runs, found.holds, found.relative) == (0, True, None)
