"""Known data sets are downloaded, from their publishers or a mirror, here a server of our own."""

import gzip
import hashlib
import shutil
import subprocess
import sys

import pytest

from symstudy.errors import StudyFileError


def test_a_known_set_is_downloaded_once_and_trains(
    kind, small, study_on, trained, tmp_path, monkeypatch
):
    folder = small(kind)
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    study = study_on({"kind": kind})
    assert study.cells[0].data.shape.train == 20
    for file in folder.iterdir():
        file.unlink()
    again = study_on({"kind": kind})
    assert again.cells[0].cell_id == study.cells[0].cell_id
    assert (trained(again)["test_loss"] > 0).all()


def test_a_download_with_another_checksum_is_refused_and_leaves_nothing(
    small, study_on, tmp_path, monkeypatch
):
    served = small("svhn")
    (served / "train_32x32.mat").write_bytes(b"something else")
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    with pytest.raises(StudyFileError, match="must have the MD5"):
        study_on({"kind": "svhn"})
    assert list((tmp_path / "data" / "svhn").iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "times", "what"),
    [
        ("cut", 3, r"broke off after \d+ of \d+ bytes"),
        ("busy", 3, "HTTP Error 503"),
        ("missing", 1, "could not be downloaded: .*HTTP Error 404"),
    ],
)
def test_a_download_that_cannot_be_had_is_refused_after_some_attempts_and_leaves_nothing(
    fault, times, what, small, served, study_on, tmp_path, monkeypatch
):
    small("svhn")
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    if fault == "missing":
        (served.folder / "train_32x32.mat").unlink()
    else:
        monkeypatch.setattr(served.handler, fault, times)
    with pytest.raises(StudyFileError, match=what):
        study_on({"kind": "svhn"})
    assert served.handler.asked == ["/train_32x32.mat"] * times
    assert list((tmp_path / "data" / "svhn").iterdir()) == []


@pytest.mark.parametrize("fault", ["cut", "busy"])
def test_a_download_that_breaks_off_is_begun_again(
    fault, small, served, study_on, tmp_path, monkeypatch, caplog
):
    small("svhn")
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(served.handler, fault, 2)
    assert study_on({"kind": "svhn"}).cells[0].data.shape.train == 20
    assert served.handler.asked == ["/train_32x32.mat"] * 3 + ["/test_32x32.mat"]
    assert caplog.text.count("; again in 0 s") == 2


def test_a_mirror_that_has_what_the_data_folder_is_to_have_is_asked_alone(
    kind, class_of, write_known, small, served, study_on, tmp_path, monkeypatch
):
    cls = class_of(kind)
    folder, address, handler = served
    small(kind)
    publishers = tuple(each._replace(url="http://127.0.0.1:9/none") for each in cls.remotes)
    monkeypatch.setattr(cls, "remotes", publishers)
    for file in folder.iterdir():
        file.unlink()
    write_known(kind, folder / "mirror" / cls.folders[0])
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SYMSTUDY_MIRROR", f"{address}mirror/")
    assert study_on({"kind": kind}).cells[0].data.shape.train == 20
    assert handler.asked == [f"/mirror/{cls.folders[0]}/{each.name}" for each in cls.remotes]
    assert sorted(path.name for path in (tmp_path / "data" / cls.folders[0]).iterdir()) == sorted(
        each.name for each in cls.remotes
    )


def test_a_mirror_with_other_files_is_refused_by_their_checksum(
    small, served, study_on, tmp_path, monkeypatch
):
    folder, address, _ = served
    small("svhn")
    (folder / "svhn").mkdir()
    (folder / "svhn" / "train_32x32.mat").write_bytes(b"<html>log in first</html>")
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SYMSTUDY_MIRROR", address)
    with pytest.raises(StudyFileError, match=r"svhn/train_32x32\.mat must have the MD5"):
        study_on({"kind": "svhn"})
    assert served.handler.asked == ["/svhn/train_32x32.mat"]


def test_a_file_that_a_mirror_has_packed_anew_is_known_by_what_it_holds(
    small, class_of, served, study_on, tmp_path, monkeypatch
):
    folder = small("fashion_mnist")
    held = {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}
    contents = {name: hashlib.md5(each).hexdigest() for name, each in held.items()}
    cls = class_of("fashion_mnist")
    remotes = tuple(each._replace(content_md5=contents[each.name]) for each in cls.remotes)
    monkeypatch.setattr(cls, "remotes", remotes)
    monkeypatch.setattr(
        cls, "contents", {name.removesuffix(".gz"): each for name, each in contents.items()}
    )
    for name, each in held.items():
        (folder / name).write_bytes(gzip.compress(each, compresslevel=1, mtime=1))
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    assert study_on({"kind": "fashion_mnist"}).cells[0].data.shape.train == 20
    name = cls.remotes[0].name
    (folder / name).write_bytes(gzip.compress(b"other", mtime=1))
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(StudyFileError, match=f"{name} must have the MD5"):
        study_on({"kind": "fashion_mnist"})


def test_the_cells_of_a_study_do_not_ask_one_after_another_for_what_cannot_be_had(
    small, served, study_on, tmp_path, monkeypatch
):
    (small("svhn") / "train_32x32.mat").unlink()
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    with pytest.raises(StudyFileError, match="404"):
        study_on({"kind": "svhn"}, sweep={"data.label_noise": [0.0, 0.1, 0.2, 0.3]})
    assert served.handler.asked == ["/train_32x32.mat"]


def test_a_mirror_that_is_no_address_is_a_mistake(small, study_on, tmp_path, monkeypatch):
    small("svhn")
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SYMSTUDY_MIRROR", str(tmp_path))
    with pytest.raises(StudyFileError, match="must be an address that begins with http://"):
        study_on({"kind": "svhn"})


def test_processes_that_download_at_once_leave_one_whole_file(served, tmp_path):
    folder, address, handler = served
    content = bytes(range(256)) * 40_000
    (folder / "big.bin").write_bytes(content)
    remote = ("big.bin", f"{address}big.bin", hashlib.md5(content).hexdigest())
    script = (
        "import sys; from pathlib import Path\n"
        "from symstudy.datasets.readers.download import Remote, download\n"
        "print(flush=True); sys.stdin.readline()\n"
        f"download(Remote(*{remote}), Path({str(tmp_path / 'data')!r}))"
    )
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for program in programs:
        assert program.stdout is not None
        program.stdout.readline()  # all of them have come to where they download
    for program in programs:
        program.communicate("\n")
    assert [program.returncode for program in programs] == [0, 0, 0]
    assert handler.asked == ["/big.bin"] * 3
    (left,) = (tmp_path / "data").iterdir()
    assert left.read_bytes() == content


def test_a_worker_whose_node_has_the_arrays_downloads_nothing(
    small, study_on, tmp_path, monkeypatch
):
    small("mnist")
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "data"))
    data = study_on({"kind": "mnist"}).cells[0].data
    monkeypatch.setenv("SYMSTUDY_DATA", str(tmp_path / "empty"))
    assert data.check_files() == ""
    assert data.own_files() == []
    assert not (tmp_path / "empty").exists()
