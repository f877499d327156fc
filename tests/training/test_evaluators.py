"""Samples that are many numbers go through a network piece by piece."""

import numpy as np
import pytest
import torch

from symstudy.study import PackConfig
from symstudy.training.engines import evaluators
from symstudy.training.loop import make_engine, make_pack

TORCH = PackConfig(device="cpu", engine="torch")


@pytest.mark.parametrize("data", [{}, {"kind": "digits", "samples": 50}])
def test_pieces_give_the_loss_and_the_gradient_of_the_whole(study_of, monkeypatch, data):
    study = study_of(data=data, train={"dtype": "float64"}, sweep={"seed": 3})
    pack = make_pack(study.runs(), TORCH)
    engine, split = make_engine(pack), pack.data.train
    whole, gradient = engine.evaluate(split), engine.gradient(split)
    numbers = split.x.shape[1] * split.x.shape[2]
    monkeypatch.setattr(evaluators, "EVALUATED", numbers // 3)
    evaluator = evaluators.TorchEvaluator(pack, torch.device("cpu"))
    assert len(list(evaluator.parts(split, np.arange(3)))) in (3, 4)
    cut = engine.evaluate(split)
    np.testing.assert_allclose(cut.loss_K, whole.loss_K, rtol=1e-12)
    np.testing.assert_allclose(cut.accuracy_K, whole.accuracy_K, rtol=1e-12)
    np.testing.assert_allclose(engine.gradient(split), gradient, rtol=1e-9, atol=1e-12)
