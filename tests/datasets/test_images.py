import pickle
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy.io import savemat

from symstudy.datasets.readers.cifar import read_plain
from symstudy.errors import StudyFileError
from symstudy.testing.images import (
    Images,
    cifar_batch,
    cifar_batch_of_python_2,
    draw_images,
    png,
    write_pair,
    write_tar,
)

GREY = draw_images()
COLOURED = draw_images(shape=(3, 32, 32))
HALVES = [Images(COLOURED.x[part], COLOURED.y[part]) for part in (slice(16), slice(16, None))]


def write_idx_files(place):
    return write_pair(place, GREY).name, GREY


def write_packed_idx(place):
    return write_pair(place, GREY, end=".gz").name, GREY


def write_cifar_folder(place):
    folder = place / "cifar-10-batches-py"
    folder.mkdir()
    for i, half in enumerate(HALVES):
        (folder / f"data_batch_{i + 1}").write_bytes(cifar_batch(half))
    (folder / "readme.html").write_text("no batch")
    return folder.name, COLOURED


def write_cifar_tar(place):
    batches = {f"data_batch_{i + 1}": cifar_batch(half) for i, half in enumerate(HALVES)}
    write_tar(place / "cifar.tar.gz", batches)
    return "cifar.tar.gz", COLOURED


def write_cifar_bytes(place):
    rows = COLOURED.x.reshape(len(COLOURED.x), -1)
    content = np.hstack([COLOURED.y[:, None].astype(np.uint8), rows])
    (place / "data_batch_1.bin").write_bytes(content.tobytes())
    return "data_batch_1.bin", COLOURED


def write_svhn(place):
    labels = np.where(COLOURED.y == 0, 10, COLOURED.y)
    savemat(place / "a.mat", {"X": COLOURED.x.transpose(2, 3, 1, 0), "y": labels[:, None]})
    return "a.mat", COLOURED


def write_parquet(place):
    pictures = [{"bytes": png(each.transpose(1, 2, 0)), "path": None} for each in COLOURED.x]
    table = pa.table({"img": pictures, "label": COLOURED.y})
    (place / "shards").mkdir()
    for i, rows in enumerate((table[:20], table[20:])):
        parquet.write_table(rows, place / "shards" / f"train-{i}.parquet")
    return "shards", COLOURED


def write_folders(place):
    order = np.argsort(GREY.y, kind="stable")
    for i in order:
        folder = place / "pictures" / f"class {GREY.y[i]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:03}.png").write_bytes(png(GREY.x[i]))
    return "pictures", Images(GREY.x[order], GREY.y[order])


WRITERS = [
    write_idx_files,
    write_packed_idx,
    write_cifar_folder,
    write_cifar_tar,
    write_cifar_bytes,
    write_svhn,
    write_parquet,
    write_folders,
]


def names(writers):
    return [writer.__name__.removeprefix("write_") for writer in writers]


@pytest.mark.parametrize("write", WRITERS, ids=names(WRITERS))
def test_every_format_holds_the_pixels_that_were_written(write, place, study_on, trained):
    path, images = write(place)
    study = study_on({"kind": "images", "train": path, "test": path, "standardise": "none"})
    data = study.cells[0].data
    grey = images.x[:, None] if images.x.ndim == 3 else images.x
    assert data.shape.input_shape == grey.shape[1:]
    task = data.build(0)
    np.testing.assert_allclose(task.x_train.reshape(grey.shape) * 255, grey, atol=1e-4)
    np.testing.assert_array_equal(task.y_train.argmax(axis=1), images.y)
    assert np.isfinite(trained(study)["test_loss"]).all()


@pytest.mark.parametrize(
    "writers", [(write_idx_files, write_packed_idx), (write_cifar_folder, write_cifar_tar)],
    ids=["idx", "cifar"],
)  # fmt: skip
def test_packing_files_makes_no_other_data(writers, place, study_on):
    cells = []
    for i, write in enumerate(writers):
        (place / str(i)).mkdir()
        path, _ = write(place / str(i))
        cells += study_on({"kind": "images", "train": f"{i}/{path}"}).cells
    assert cells[0].cell_id == cells[1].cell_id


def test_batches_of_the_test_in_the_same_folder_are_for_the_test(place, task_of):
    train, test = HALVES
    files = {"data_batch_1": cifar_batch(train), "test_batch": cifar_batch(test)}
    write_tar(place / "cifar.tar.gz", files)
    task = task_of({"kind": "images", "train": "cifar.tar.gz"})
    assert (len(task.x_train), len(task.x_test)) == (16, 14)


def test_channels_are_standardised_on_the_training_images(place, task_of):
    path, _ = write_cifar_bytes(place)
    x = task_of({"kind": "images", "train": path}).x_train.reshape(24, 3, -1)
    np.testing.assert_allclose(x.mean(axis=(0, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=(0, 2)), 1, atol=1e-5)
    pixels = task_of({"kind": "images", "train": path, "standardise": "inputs"}).x_train
    np.testing.assert_allclose(pixels.std(axis=0), 1, atol=1e-5)


def test_pictures_of_several_sizes_are_refused_or_brought_to_one(place, study_on):
    path, _ = write_folders(place)
    (place / path / "class 0" / "large.png").write_bytes(png(draw_images(1, (9, 9)).x[0]))
    with pytest.raises(StudyFileError, match="Type size = 32"):
        study_on({"kind": "images", "train": path})
    study = study_on({"kind": "images", "train": path, "size": 4})
    assert study.cells[0].data.shape.input_shape == (1, 4, 4)


def test_a_coloured_picture_makes_all_of_them_coloured(place, study_on):
    path, _ = write_folders(place)
    coloured = draw_images(1, (8, 8, 3)).x[0]
    (place / path / "class 0" / "colour.png").write_bytes(png(coloured))
    shape = study_on({"kind": "images", "train": path}).cells[0].data.shape
    assert shape.input_shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda f: (f / "class 0" / "bad.png").write_bytes(b"no"), "'class 0/bad.png' must be a"),
        (lambda f: (f / "loose.png").write_bytes(png(GREY.x[0])), "but 'loose.png' is not"),
    ],
)
def test_a_folder_that_is_none_of_classes_is_refused(place, study_on, spoil, what):
    path, _ = write_folders(place)
    spoil(place / path)
    with pytest.raises(StudyFileError, match=what):
        study_on({"kind": "images", "train": path})


def test_classes_may_have_the_names_of_batches(place, study_on):
    path, images = write_folders(place)
    before = study_on({"kind": "images", "train": path}).cells[0].data
    for old, new in (("class 0", "data_batch_1"), ("class 1", "test"), ("class 2", "train")):
        if (place / path / old).exists():
            (place / path / old).rename(place / path / new)
    data = study_on({"kind": "images", "train": path}).cells[0].data
    assert data.shape.outputs == before.shape.outputs
    assert data.shape.train + data.shape.test == len(images.x)


def test_folders_of_parts_are_not_taken_for_classes(place, study_on):
    path, _ = write_folders(place)
    (place / "all").mkdir()
    for part in ("train", "test"):
        shutil.copytree(place / path, place / "all" / part)
    with pytest.raises(StudyFileError, match=r"each part of the data: test, train\. Type train = "):
        study_on({"kind": "images", "train": "all"})
    study_on({"kind": "images", "train": "all/train", "test": "all/test"})


def test_a_class_that_only_the_test_folder_has_is_refused(place, study_on):
    path, _ = write_folders(place)
    (place / "test" / "class 7").mkdir(parents=True)
    (place / "test" / "class 7" / "a.png").write_bytes(png(GREY.x[0]))
    with pytest.raises(StudyFileError, match="is 'class 7'"):
        study_on({"kind": "images", "train": path, "test": "test"})


def test_a_file_cut_short_and_one_without_labels_are_refused(place, study_on):
    path = write_pair(place, GREY)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StudyFileError, match="must have 1936 bytes"):
        study_on({"kind": "images", "train": path.name})
    (place / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(StudyFileError, match="data.train_labels: must be given"):
        study_on({"kind": "images", "train": path.name})


@pytest.mark.parametrize("keys", [{"size": 4}, {"inputs": "img"}])
def test_a_key_that_the_format_does_not_have_is_refused(place, study_on, keys):
    (key,) = keys
    with pytest.raises(StudyFileError, match=f"data.{key}: must be left out for images of idx"):
        study_on({"kind": "images", "train": write_pair(place, GREY).name, **keys})


def test_what_is_no_images_is_told_the_formats(place, study_on):
    (place / "notes.txt").write_text("no image")
    with pytest.raises(StudyFileError, match="batches of CIFAR"):
        study_on({"kind": "images", "train": "notes.txt"})


class Evil:
    """What a pickle can run."""

    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({b"data": Evil()}),
        pickle.dumps({b"data": np.array([Evil()], dtype=object)}),
        b"cposix\nsystem\n(S'true'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.",
    ],
)
def test_a_batch_that_names_code_is_not_run(content, capsys):
    with pytest.raises(ValueError, match="names"):
        read_plain(content)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", range(6))
def test_batches_of_every_protocol_are_read(protocol):
    found = read_plain(cifar_batch(HALVES[0], protocol))
    np.testing.assert_array_equal(found["data"].reshape(-1, 3, 32, 32), HALVES[0].x)


@pytest.mark.parametrize("labels", ["labels", "fine_labels"])
def test_batches_as_the_authors_of_cifar_have_pickled_them_are_read(labels, place, study_on):
    folder = place / "cifar-10-batches-py"
    folder.mkdir()
    for name, half in zip(("data_batch_1", "test_batch"), HALVES, strict=True):
        content = cifar_batch_of_python_2(
            {
                "batch_label": "training batch 1 of 5",
                "data": half.x.reshape(len(half.x), -1),
                labels: half.y.tolist(),
                "filenames": [f"{i}.png" for i in range(len(half.x))],
            }
        )
        assert pickle.loads(content, encoding="bytes")[labels.encode()] == half.y.tolist()
        (folder / name).write_bytes(content)
    data = {"kind": "images", "train": folder.name, "standardise": "none"}
    task = study_on(data).cells[0].data.build(0)
    for x, half in zip((task.x_train, task.x_test), HALVES, strict=True):
        np.testing.assert_array_equal(np.rint(255 * x).reshape(half.x.shape), half.x)
    np.testing.assert_array_equal(task.y_test.argmax(axis=1), HALVES[1].y)
