import pytest
import torch

from symstudy.study import PackConfig
from symstudy.training.loop import make_engine, make_pack


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_torch_uses_the_cores_of_a_pack_and_no_more(study_of, threads, engine):
    make_engine(make_pack(study_of().runs(), PackConfig(engine=engine, cpus=1, device="cpu")))
    assert torch.get_num_threads() == 1
