"""Attention layers found in files of weights, whoever wrote them, and measured as they are."""

import json

import pytest
import torch

from symstudy.errors import ModelError
from symstudy.measures.attention_views import AttentionView
from symstudy.measures.compute import attention_measures, measure_extra
from symstudy.models.pretrained.attention_keys import NAMINGS, find_attention
from symstudy.models.pretrained.config import PretrainedConfig
from symstudy.models.pretrained.network import build_pretrained
from symstudy.symmetry.registry import build_symmetry
from symstudy.testing.weights import NAMINGS as WRITTEN
from symstudy.testing.weights import planted_layers, state_dict_of, write_weights

RANKS = [(8, 8), (5, 3), (2, 7)]


def build(path, **keys):
    return build_pretrained(PretrainedConfig(path=str(path), **{"heads": 4, **keys}), 0, 0)


def measures(model, seeds=(0,), dtype=torch.float64):
    theta_KP = model.initialise(seeds, torch.ones(len(seeds), dtype=dtype))
    return [
        attention_measures(AttentionView(model.layout, layer, theta_KP).weights)
        for layer in model.layout.attention
    ]


def shapes_of(**changes):
    layers = planted_layers(RANKS, heads=4, directions=8)
    shapes = {name: tuple(x.shape) for name, x in state_dict_of(layers, "timm").items()}
    return {name: shape for name, shape in {**shapes, **changes}.items() if shape}


@pytest.mark.parametrize("end", ["safetensors", "pth"])
@pytest.mark.parametrize("naming", WRITTEN)
def test_planted_ranks_are_counted_in_every_naming(tmp_path, naming, end):
    layers = planted_layers(RANKS, heads=4, directions=8, condition=100.0)
    found = measures(build(write_weights(tmp_path / f"w.{end}", state_dict_of(layers, naming))))
    assert [int(m["query_key_breaking"]) for m in found] == [4 * rank for rank, _ in RANKS]
    assert [int(m["value_output_breaking"]) for m in found] == [4 * rank for _, rank in RANKS]
    # All singular values were planted as 1.
    assert [float(m["query_key_effective_rank"]) for m in found] == pytest.approx(
        [4 * rank for rank, _ in RANKS], rel=1e-6
    )


def test_every_naming_gives_the_same_parameters(tmp_path):
    layers = planted_layers(RANKS, heads=4, directions=8)
    rows = [
        build(write_weights(tmp_path / f"{n}.pth", state_dict_of(layers, n))).initialise(
            (0,), torch.ones(1, dtype=torch.float64)
        )
        for n in WRITTEN
    ]
    flat = torch.cat([side.flatten() for layer in layers for side in layer.values()])
    for row in rows:
        assert torch.equal(row[0], flat)


def test_measures_do_not_depend_on_the_gauge_of_the_file(tmp_path):
    found = []
    for condition in (1.0, 100.0):
        layers = planted_layers(RANKS, heads=4, directions=8, condition=condition)
        path = write_weights(tmp_path / f"{condition}.pth", state_dict_of(layers, "timm"))
        found.append(measures(build(path)))
    for first, second in zip(*found, strict=True):
        for name in ("query_key_effective_rank", "value_output_stable_rank", "query_key_largest"):
            assert float(first[name]) == pytest.approx(float(second[name]), rel=1e-9)


def test_single_and_half_precision_count_alike(tmp_path):
    for dtype in (torch.float32, torch.bfloat16):
        layers = planted_layers(RANKS, heads=4, directions=8, condition=2.0, dtype=dtype)
        path = write_weights(tmp_path / "w.safetensors", state_dict_of(layers, "huggingface"))
        found = measures(build(path), dtype=torch.float32)
        assert [int(m["query_key_breaking"]) for m in found] == [32, 20, 8]


def test_heads_come_from_the_width_the_file_beside_or_the_key(tmp_path):
    layers = planted_layers([(4, 4)], heads=12, directions=64)
    path = write_weights(tmp_path / "model.safetensors", state_dict_of(layers, "timm"))
    assert build(path, heads=None).keys.heads == 12
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 6}))
    assert build(tmp_path, heads=None).keys.heads == 6
    assert build(path, heads=3).keys.directions == 256


def test_random_weights_break_all_that_can_be_broken(tmp_path):
    layers = planted_layers(RANKS, heads=4, directions=8)
    path = write_weights(tmp_path / "w.pth", state_dict_of(layers, "timm"))
    model = build(path, weights="random")
    theta_KP = model.initialise((0, 1, 0), torch.ones(3))
    assert torch.equal(theta_KP[0], theta_KP[2])
    assert not torch.equal(theta_KP[0], theta_KP[1])
    assert [m["query_key_breaking"].tolist() for m in measures(model, (0, 1))] == [[32, 32]] * 3


def test_a_head_that_has_shrunk_breaks_nothing_by_the_measure_of_the_layer(tmp_path):
    layers = planted_layers([(5, 3)], heads=4, directions=8)
    layers[0]["query"][1:] *= 1e-3
    model = build(write_weights(tmp_path / "w.pth", state_dict_of(layers, "timm")))
    theta_KP = model.initialise((0,), torch.ones(1, dtype=torch.float64))
    view = AttentionView(model.layout, model.layout.attention[0], theta_KP)
    names = ("query_key_layer_breaking", "value_output_layer_breaking", "value_rank", "key_rank")
    found = {name: int(value) for name, value in measure_extra(view, names).items()}
    assert int(attention_measures(view.weights)["query_key_breaking"]) == 20
    assert found == dict(zip(names, (5, 12, 12, 20), strict=True))


def test_every_head_declares_its_double_rotations(tmp_path):
    layers = planted_layers([(5, 3)], heads=4, directions=8)
    model = build(write_weights(tmp_path / "w.pth", state_dict_of(layers, "timm")))
    theta_KP = model.initialise((0,), torch.ones(1, dtype=torch.float64))
    built = [build_symmetry(model.layout, declared) for declared in model.layout.symmetries]
    assert [int(s.breaking(theta_KP)) for s in built] == [5] * 4 + [3] * 4


def test_a_pretrained_model_meets_no_data(tmp_path):
    layers = planted_layers([(5, 3)], heads=4, directions=8)
    model = build(write_weights(tmp_path / "w.pth", state_dict_of(layers, "timm")))
    with pytest.raises(ModelError, match=r"data\.kind"):
        model.forward(torch.zeros(1, model.layout.size), torch.zeros(1, 3, 2))


def test_a_file_that_has_changed_since_it_was_planned_is_refused(tmp_path):
    layers = planted_layers([(5, 3)], heads=4, directions=8)
    path = write_weights(tmp_path / "w.pth", state_dict_of(layers, "timm"))
    with pytest.raises(ModelError, match="changed since"):
        build(path, content="0" * 64)


@pytest.mark.parametrize(
    ("changes", "heads", "message"),
    [
        ({}, 5, "must divide the width 32"),
        ({}, None, "model.heads must be given for a vision transformer of width 32"),
        ({"blocks.1.attn.qkv.weight": (96, 31)}, 4, "must have the same tensors"),
        ({f"blocks.{n}.attn.proj.weight": (16, 32) for n in range(3)}, 4, r"must be \[32, 32\]"),
        ({f"blocks.{n}.attn.q_norm.weight": (8,) for n in range(3)}, 4, "changes its symmetries"),
        ({f"blocks.{n}.attn.proj.weight": () for n in range(3)}, 4, "must have blocks.0.attn.proj"),
        ({"blocks.7.attn.qkv.weight": (96, 32)}, 4, "must have attention layers 0 to 7"),
        ({"other.blocks.0.attn.qkv.weight": (96, 32)}, 4, "it has two"),
    ],
)
def test_tensors_that_do_not_fit_are_told(changes, heads, message):
    with pytest.raises(ModelError, match=message):
        find_attention(shapes_of(**changes), heads)


def test_unknown_keys_are_shown():
    shapes = {f"conv{i}.weight": (3, 3) for i in range(9)}
    with pytest.raises(ModelError, match=r"9 tensors, .* conv0\.weight, conv1\.weight"):
        find_attention(shapes, None)


@pytest.mark.parametrize(
    ("width", "heads", "layers"), [(768, 12, 12), (1024, 16, 24)], ids=["b16", "l16"]
)
def test_published_shapes_are_recognised(width, heads, layers):
    own = {"in_proj_weight": (3 * width, width), "in_proj_bias": (3 * width,)}
    own |= {"out_proj.weight": (width, width), "out_proj.bias": (width,)}
    head = "encoder.layers.encoder_layer_{}.self_attention."
    shapes = {
        f"{head.format(n)}{name}": shape for n in range(layers) for name, shape in own.items()
    }
    keys = find_attention({"class_token": (1, 1, width), **shapes}, None)
    assert (keys.naming, keys.heads, keys.directions) == ("torchvision", heads, 64)
    assert len(keys.prefixes) == layers
    assert keys.prefixes[10] == head.format(10)
    assert {naming.name for naming in NAMINGS} == {"torchvision", "huggingface", "timm"}
