"""The alignments of layers are columns of a study that names them."""

import numpy as np
import pytest

from symstudy.measures import EXTRA_MEASURES
from symstudy.training import train_pack

NAMES = [item.name for item in EXTRA_MEASURES if item.source.endswith("arXiv:2410.03006")]
PROBE = {"num": 2, "detail": 1, "samples": 24, "measures": NAMES}


def layers_of(study, runs=slice(None)):
    return train_pack(study.runs()[runs], study.pack).layers


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_both_sides_of_a_dense_layer_are_measured(study_of, engine):
    study = study_of(probe=PROBE, pack={"engine": engine}, sweep={"seed": 2})
    columns = layers_of(study)
    assert len(NAMES) == 12
    for name in NAMES:
        values = np.asarray(columns[name], float)
        assert np.isfinite(values).all(), name
        if name.endswith("alignment"):
            assert (np.abs(values) <= 1).all(), name


def test_a_run_has_the_same_alignments_alone(study_of):
    study = study_of(probe=PROBE, sweep={"seed": 3})
    together, alone = layers_of(study), layers_of(study, slice(1, 2))
    chosen = np.asarray(together["run_id"]) == alone["run_id"][0]
    for name in NAMES:
        np.testing.assert_allclose(
            np.asarray(together[name])[chosen], alone[name], rtol=1e-9, err_msg=name
        )


def test_the_mlps_of_a_transformer_are_measured_and_its_heads_are_not(study_of):
    study = study_of(
        model={"kind": "transformer", "width": 8, "head_dim": 4, "heads": 2, "mlp_width": 12},
        data={"kind": "in_context", "samples": 20, "test_samples": 20},
        probe=PROBE,
        sweep={"seed": 1},
    )
    columns = layers_of(study)
    is_mlp = np.isfinite(np.asarray(columns["distinct_neurons"], float))
    for name in NAMES:
        assert (np.isfinite(np.asarray(columns[name], float)) == is_mlp).all(), name
    assert is_mlp.any()
    assert not is_mlp.all()
