"""Convolutional networks: like other models in packs, and the networks that they are named for."""

from typing import Any

import pytest
import torch

from symstudy.components import DataShape
from symstudy.errors import StudyFileError
from symstudy.models import build_model
from symstudy.models.cnn.config import CnnConfig
from symstudy.models.own.network import OwnModel
from symstudy.models.resnet.config import ResNetConfig
from symstudy.models.resnet.network import ResNet
from symstudy.study import make_study

IMAGES = DataShape(3 * 8 * 8, 4, 20, 10, is_classification=True, input_shape=(3, 8, 8))
SMALL: dict[str, Any] = {"width": 4, "stages": 2, "blocks": 1}


CONFIGS = [
    CnnConfig(width=4, layers=3, pool_every=1),
    CnnConfig(width=4, layers=2, norm="none", pool_every=0),
    ResNetConfig(**SMALL, norm="none"),
    ResNetConfig(width=4, stages=1, blocks=1, norm="group", groups=2, stem="large"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_plan_counts_what_is_there(config):
    told, model = config.size(IMAGES), build_model(config, IMAGES)
    assert isinstance(model, OwnModel)
    counted = model.size
    assert told.parameters == model.layout.size
    assert told.products == counted.products
    assert told.calls == counted.calls


def test_channels_are_neurons_and_a_residual_stream_is_made_by_several_layers():
    layout = build_model(ResNetConfig(**{**SMALL, "blocks": 2}), IMAGES).layout
    groups = {group.name: group for group in layout.groups}
    assert {name: group.size for name, group in groups.items()} == {
        "conv1": 4,
        "layer1.0.conv1": 4,
        "layer1.1.conv1": 4,
        "layer2.0.conv1": 8,
        "layer2.0.conv2": 8,
        "layer2.1.conv1": 8,
    }
    makers = {block.name for block in layout.incoming(groups["conv1"])}
    assert makers >= {"conv1.weight", "layer1.0.conv2.weight", "layer1.1.conv2.weight"}
    readers = {block.name for block in layout.outgoing(groups["conv1"])}
    assert readers == {
        "layer1.0.conv1.weight",
        "layer1.1.conv1.weight",
        "layer2.0.conv1.weight",
        "layer2.0.downsample.0.weight",
    }


def test_weights_before_a_norm_are_scale_invariant():
    def scaled(norm):
        layout = build_model(CnnConfig(width=4, layers=2, norm=norm), IMAGES).layout
        return {
            name for each in layout.symmetries if each.kind == "scaling" for name in each.blocks
        }

    assert scaled("batch") >= {"stack.0.weight", "stack.3.weight"}
    assert scaled("none") == set()


def test_weights_start_with_the_scale_of_their_fan_in_and_gains_at_1():
    scale = 2.0
    config = CnnConfig(width=64, layers=2, init_scale=scale)
    model = build_model(config, IMAGES)
    (row,) = model.initialise((0,), torch.ones(1, dtype=torch.float64))
    blocks = {block.name: row[block.offset : block.stop] for block in model.layout.blocks}
    assert float(blocks["stack.3.weight"].std()) == pytest.approx(scale / 576**0.5, rel=0.02)
    assert torch.equal(blocks["stack.1.weight"], torch.ones(64, dtype=torch.float64))
    assert not blocks["readout.bias"].any()


def test_the_defaults_with_a_large_stem_are_resnet_18():
    network = ResNet(ResNetConfig(stem="large"), 3, 1000)
    assert sum(each.numel() for each in network.parameters()) == 11_689_512


def test_it_computes_what_that_of_torchvision_does():
    try:
        from torchvision.models import resnet18
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported here: {error}")
    theirs, ours = resnet18(num_classes=10), ResNet(ResNetConfig(stem="large"), 3, 10)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    for training in (True, False):
        theirs.train(training)
        ours.train(training)
        assert torch.equal(ours(x), theirs(x))


def study(**model):
    return make_study(
        name="images",
        model={"width": 4, **model},
        data={"kind": "digits"},
        train={"lr": 0.1, "loss": "cross_entropy"},
        sweep={"seed": 2},
    )


def test_data_that_do_not_tell_their_axes_are_refused_with_the_key_to_type():
    with pytest.raises(StudyFileError, match=r"input_shape.*\[1, 8, 8\] for digits"):
        study(kind="cnn")
    assert len(study(kind="cnn", input_shape=[1, 8, 8]).runs()) == 2
    with pytest.raises(StudyFileError, match=r"are \[\]|is \[1, 9, 8\]"):
        study(kind="resnet", input_shape=[1, 9, 8])


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(StudyFileError, match="must divide model.width"):
        study(kind="cnn", norm="group", groups=3, input_shape=[1, 8, 8])
