"""Files of weights: read where they are whole, refused where they are not, never executed."""

import json
import os
import pickle

import pytest
import torch

from symstudy.errors import ModelError
from symstudy.models.pretrained.weight_files import open_weights
from symstudy.models.pretrained.weight_paths import content_of, find_weights, size_of
from symstudy.testing.weights import write_weights

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.5, -2.0])}


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.bin"])
def test_tensors_come_back_as_they_were_written(tmp_path, name):
    tensors = open_weights(find_weights(str(write_weights(tmp_path / name, TENSORS))).files)
    assert tensors.shapes == {"a.weight": (2, 3), "b": (2,)}
    assert all(torch.equal(tensors.read(key), value) for key, value in TENSORS.items())


def test_a_format_is_known_by_how_the_file_begins_and_not_by_its_name(tmp_path):
    path = write_weights(tmp_path / "w.safetensors", TENSORS).rename(tmp_path / "w.pth")
    assert torch.equal(open_weights([path]).read("b"), TENSORS["b"])


def test_the_old_format_of_torch_is_read(tmp_path):
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(open_weights([tmp_path / "old.pth"]).read("b"), TENSORS["b"])


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_weights_beside_other_things_are_found(tmp_path, wrapper):
    torch.save({wrapper: TENSORS, "epoch": 3}, tmp_path / "w.pth")
    assert set(open_weights([tmp_path / "w.pth"]).shapes) == set(TENSORS)


class Evil:
    """What a pickle may do when it is loaded."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_file_that_would_run_code_is_refused_and_not_run(tmp_path, monkeypatch, is_zip):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, "evil.pth", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(ModelError, match="could run code .* was not read"):
        open_weights([tmp_path / "evil.pth"])
    assert not (tmp_path / "executed").exists()


def test_a_plain_pickle_is_refused(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ModelError, match=r"could run code|cannot be read"):
        open_weights([tmp_path / "w.pkl"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "neither: it begins with b'version"),
        (b"<!doctype html><title>Not found</title>", "incomplete download"),
        (b"", "neither"),
        (b"\x40\0\0\0\0\0\0\0{broken", "broken"),
        (b"PK\x03\x04 and no more", "cannot be read"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path, content, message):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        open_weights([tmp_path / "w"])


def test_a_truncated_file_is_refused(tmp_path):
    whole = write_weights(tmp_path / "w.safetensors", TENSORS).read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-4])
    with pytest.raises(ModelError, match="Download it again"):
        open_weights([tmp_path / "w.safetensors"])


def test_something_else_than_tensors_by_name_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="holds a list"):
        open_weights([tmp_path / "list.pth"])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ModelError, match="there is none at"):
        find_weights(str(tmp_path / "none.pth"))
    assert size_of(str(tmp_path / "none.pth")) == 0


def test_a_folder_and_an_index_stand_for_their_files(tmp_path):
    for key, name in (("a.weight", "1.safetensors"), ("b", "2.safetensors")):
        write_weights(tmp_path / name, {key: TENSORS[key]})
    index = {"weight_map": {"a.weight": "1.safetensors", "b": "2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    paths = find_weights(str(tmp_path))
    assert [file.name for file in paths.files] == ["1.safetensors", "2.safetensors"]
    tensors = open_weights(paths.files)
    assert all(torch.equal(tensors.read(key), value) for key, value in TENSORS.items())
    (tmp_path / "2.safetensors").unlink()
    with pytest.raises(ModelError, match=r"1 of 2 do not, 2\.safetensors among them"):
        find_weights(str(tmp_path))


def test_an_index_reaches_no_file_outside_its_folder(tmp_path):
    write_weights(tmp_path / "out.safetensors", TENSORS)
    (tmp_path / "in").mkdir()
    index = tmp_path / "in" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../out.safetensors"}}))
    with pytest.raises(ModelError, match="must lie beside it"):
        find_weights(str(index))


def test_a_folder_without_weights_is_told(tmp_path):
    with pytest.raises(ModelError, match="holds none"):
        find_weights(str(tmp_path))


def test_content_is_that_of_the_bytes_and_not_of_the_place(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    write_weights(first, TENSORS)
    write_weights(second, TENSORS)
    before = content_of(str(first))
    assert before == content_of(str(second))
    write_weights(second, {**TENSORS, "b": torch.tensor([1.5, -2.5])})
    assert before == content_of(str(first)) != content_of(str(second))
    assert len(before) == 64
