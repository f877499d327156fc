import gzip

import numpy as np
import pytest

from symstudy.datasets import cifar10, fashion_mnist, known, mnist, mnist_5k
from symstudy.datasets.readers.download import Remote
from symstudy.errors import LaunchError, StudyFileError
from symstudy.launch import InlineLauncher, run_study
from symstudy.store import open_store
from symstudy.study import load_study, plan_packs
from symstudy.testing.images import Images, draw_images, write_pair


@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw", "."])
def test_files_are_found_in_the_usual_folders(
    folder, small, write_known, study_on, tmp_path, monkeypatch
):
    small("mnist")
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(known, "download", None)
    write_known("mnist", tmp_path / "data" / folder)
    assert study_on({"kind": "mnist"}).cells[0].data.shape.input_shape == (1, 28, 28)


def test_unpacked_files_as_torchvision_leaves_them_are_the_same_data(
    small, write_known, study_on, tmp_path
):
    small("mnist")
    write_known("mnist", tmp_path / "data" / "mnist")
    packed = study_on({"kind": "mnist"}).cells[0]
    contents = {}
    for file in (tmp_path / "data" / "mnist").iterdir():
        contents[file.name] = gzip.decompress(file.read_bytes())
        file.unlink()
    (tmp_path / "data" / "MNIST" / "raw").mkdir(parents=True)
    for name, content in contents.items():
        (tmp_path / "data" / "MNIST" / "raw" / name.removesuffix(".gz")).write_bytes(content)
    assert study_on({"kind": "mnist"}).cells[0].cell_id == packed.cell_id


def test_without_files_and_internet_it_is_said_what_to_put_where(
    small, study_on, tmp_path, monkeypatch
):
    small("cifar10")
    assert "export SYMSTUDY_DATA=~/data" in told_of("cifar10", study_on)
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    unreachable = Remote("cifar-10-python.tar.gz", "http://127.0.0.1:9/none", "abc")
    monkeypatch.setattr(cifar10.Cifar10Config, "remotes", (unreachable,))
    with pytest.raises(StudyFileError, match=r"put http.*MD5 abc.*data/cifar10.*SYMSTUDY_MIRROR"):
        study_on({"kind": "cifar10"})


def test_all_files_that_are_missing_are_told_at_once(small, write_known, study_on, tmp_path):
    small("mnist")
    write_known("mnist", tmp_path / "data" / "mnist")
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (tmp_path / "data" / "mnist" / name).unlink()
    told = told_of("mnist", study_on)
    assert "lacks 't10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz', and" in told
    assert told.count("(MD5 ") == 2


def test_without_files_it_is_said_which_package_has_them(study_on):
    assert "Type `python -m symstudy.datasets.fetch`" in told_of("mnist_5k", study_on)


def told_of(kind, study_on):
    """Return what is told of a study whose files are nowhere."""
    (note,) = [each for each in study_on({"kind": kind}).notes if each.startswith("data.kind")]
    return note


def test_a_study_without_its_files_is_planned_and_not_run(kind, class_of, study_on, tmp_path):
    cls = class_of(kind)
    study = study_on({"kind": kind, "samples": 30})
    shape = study.cells[0].data.shape
    assert shape.train == 30
    assert shape.test == sum(cls.counts[1])
    assert shape.input_shape == cls.axes_of_image
    assert sum(pack.seconds for pack in plan_packs(study.runs(), study.pack, device="cpu")) > 0
    with pytest.raises(LaunchError, match="must have its files on this machine"):
        run_study(study, str(tmp_path), InlineLauncher())
    assert not list(tmp_path.iterdir())


def test_what_is_known_without_the_files_is_what_the_files_hold(
    kind, small, study_on, tmp_path, monkeypatch
):
    small(kind)
    without = study_on({"kind": kind}).cells[0].data
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    found = study_on({"kind": kind}).cells[0].data
    assert without.shape == found.shape
    assert not found.to_fetch
    assert "read the study again" in without.to_fetch


def test_more_samples_than_there_are_is_a_mistake_without_the_files_too(study_on):
    with pytest.raises(StudyFileError, match="at most the 4000 samples"):
        study_on({"kind": "mnist_5k", "samples": 4001})


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda rows: rows[:-1], "as many images each"),
        (lambda rows: [rows[0].replace("0", "999", 1), *rows[1:]], "from 0 to 255"),
        (lambda rows: [row + ",1" for row in rows], "784 pixels and a class"),
    ],
)
def test_a_damaged_table_of_images_is_refused(
    damage, what, small, write_known, study_on, tmp_path, monkeypatch
):
    small("mnist_5k")
    monkeypatch.setattr(mnist_5k.Mnist5kConfig, "remotes", (Remote("mnist_5k.csv.gz", "", ""),))
    folder = tmp_path / "data" / "mnist-5k"
    write_known("mnist_5k", folder)
    rows = gzip.decompress((folder / "mnist_5k.csv.gz").read_bytes()).decode().split()
    (folder / "mnist_5k.csv.gz").unlink()
    (folder / "mnist_5k.csv").write_text("\n".join(damage(rows)))
    with pytest.raises(StudyFileError, match=what):
        study_on({"kind": "mnist_5k"})


def test_files_of_a_systems_package_are_found(small, write_known, study_on, tmp_path, monkeypatch):
    small("fashion_mnist")
    monkeypatch.setattr(known, "download", None)
    write_known("mnist", tmp_path / "usr" / "share")
    system = (str(tmp_path / "usr" / "share"),)
    monkeypatch.setattr(fashion_mnist.FashionMnistConfig, "system", system)
    assert study_on({"kind": "fashion_mnist"}).cells[0].data.shape.input_shape == (1, 28, 28)


def test_a_local_file_with_another_checksum_is_refused(small, write_known, study_on, tmp_path):
    small("svhn")
    write_known("svhn", tmp_path / "data" / "svhn")
    (tmp_path / "data" / "svhn" / "test_32x32.mat").write_bytes(b"something else")
    with pytest.raises(StudyFileError, match="Delete it and download it again"):
        study_on({"kind": "svhn"})


def test_files_of_another_set_are_refused_by_the_number_of_each_class(
    small, study_on, tmp_path, monkeypatch
):
    small("mnist")
    monkeypatch.setattr(mnist.MnistConfig, "counts", ((1, *(2,) * 9), (1,) * 10))
    other = draw_images(20, (28, 28), classes=10, seed=1)
    write_pair(tmp_path / "data" / "mnist", other, "train")
    write_pair(tmp_path / "data" / "mnist", Images(other.x[:10], other.y[:10]), "t10k")
    with pytest.raises(StudyFileError, match="of each class, but"):
        study_on({"kind": "mnist"})


RESNET = (
    "model.width=8",
    "data.samples=20",
    "train.batch_size=10",
    "train.gamma=5e-4",
    "train.syre=[0.0,0.1]",
    "probe.samples=20",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kinds", "changes", "measures"),
    [
        ("neural_collapse_resnet", ("cifar10",), RESNET, ("nc1_trace", "feature_eigengap")),
        (
            "layer_hierarchy",
            ("cifar10", "svhn"),
            ("data.kind=['cifar10','svhn']", "train.gamma=3e-3", "train.batch_size=10"),
            ("mean_breaking_sorted_absolute", "mean_effective_rank"),
        ),
    ],
)
def test_the_papers_networks_train_on_the_papers_files(
    name, kinds, changes, measures, small, root, tmp_path, monkeypatch
):
    for kind in kinds:
        small(kind)
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    shorter = ("seed=1", "train.steps=2", "probe.num=2", "probe.detail=1", *changes)
    path = root / "studies" / f"{name}.toml"
    study = load_study(path, preset="paper", overrides=shorter)
    assert len(study.cells) == 2
    results = str(tmp_path / "results")
    run_study(study, results, InlineLauncher(device="cpu"))
    rows = open_store(results).df(f"select outcome, {', '.join(measures)} from runs")
    assert rows["outcome"].tolist() == ["done", "done"]
    assert np.isfinite(rows[list(measures)].to_numpy(float)).all()
