"""Studies on small files in an empty folder."""

import functools
import gzip
import hashlib
import http.server
import threading
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from scipy.io import savemat

from symstudy.datasets import cifar10, fashion_mnist, mnist, mnist_5k, svhn
from symstudy.datasets.readers import download as downloading
from symstudy.datasets.readers.download import Remote
from symstudy.study import make_study
from symstudy.testing.images import Images, cifar_batch, draw_images, write_pair, write_tar
from symstudy.training import train_pack

ROWS = 30
GREY = draw_images(20, (28, 28), classes=10)
COLOURED = draw_images(20, (3, 32, 32), classes=10)
COUNTS = (2,) * 10, (1,) * 10


@pytest.fixture
def table():
    """Numbers x `[30, 2]` and y = x1 - 2 x2."""
    x = np.random.default_rng(1).normal(3.0, 2.0, (ROWS, 2))
    return x, x[:, :1] - 2.0 * x[:, 1:]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Be in an empty folder, which is also the place of a study made in Python."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def study_on():
    """Make a study on a data table; keywords win over its other tables."""

    def make(data, **tables):
        values = {
            "schema": 1,
            "name": "own_data",
            "title": "Data of one's own",
            "model": {"kind": "fcn", "width": 6},
            "train": {"lr": 0.01, "batch_size": 6, "steps": 8},
            "probe": {"num": 2, "detail": 1, "samples": 6},
            "data": data,
        }
        return make_study({**values, **tables})

    return make


@pytest.fixture
def task_of(study_on):
    """Return the task of a data table, for seed 0."""
    train = {"lr": 0.01, "batch_size": "full"}
    return lambda data: study_on(data, train=train).cells[0].data.build(0)


@pytest.fixture
def trained():
    """Train all runs of a study in one pack and return their final columns."""
    return lambda study: train_pack(study.runs(), study.pack).runs


def half(images):
    return Images(images.x[:10], images.y[:10])


def write_mnist(folder):
    write_pair(folder, GREY, "train", ".gz")
    write_pair(folder, half(GREY), "t10k", ".gz")


def write_cifar(folder):
    batches = {"data_batch_1": cifar_batch(COLOURED), "test_batch": cifar_batch(half(COLOURED))}
    write_tar(folder / "cifar-10-python.tar.gz", batches)


def write_svhn(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for side, images in (("train", COLOURED), ("test", half(COLOURED))):
        table = {
            "X": images.x.transpose(2, 3, 1, 0),
            "y": images.y[:, None] + 10 * (images.y == 0)[:, None],
        }
        savemat(folder / f"{side}_32x32.mat", table)


def write_mnist_5k(folder):
    folder.mkdir(parents=True, exist_ok=True)
    both = [*zip(GREY.x, GREY.y, strict=True), *zip(GREY.x[:10], GREY.y[:10], strict=True)]
    rows = [",".join(map(str, [*x.reshape(-1), y])) for x, y in both]
    packed = gzip.compress(("\n".join(rows) + "\n").encode(), mtime=0)
    (folder / "mnist_5k.csv.gz").write_bytes(packed)


KINDS: dict[str, Any] = {
    "mnist": (mnist.MnistConfig, write_mnist),
    "mnist_5k": (mnist_5k.Mnist5kConfig, write_mnist_5k),
    "fashion_mnist": (fashion_mnist.FashionMnistConfig, write_mnist),
    "cifar10": (cifar10.Cifar10Config, write_cifar),
    "svhn": (svhn.SvhnConfig, write_svhn),
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word, and keeps what it was asked for.

    Attributes:
        cut: How many answers are still to break off in the middle.
        busy: How many are still to say that the server is busy.
        asked: The paths asked for.
    """

    cut: ClassVar[int] = 0
    busy: ClassVar[int] = 0
    asked: ClassVar[list[str]] = []

    def log_message(self, *arguments):
        """Say nothing."""

    def do_GET(self):  # the name that http.server calls
        """Answer, or say that there is no time for it."""
        self.asked.append(self.path)
        if self.busy:
            type(self).busy -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def copyfile(self, source, outputfile):
        """Send a file, whole or half of it."""
        body = source.read()
        outputfile.write(body[: len(body) // 2] if self.cut else body)
        type(self).cut = max(0, self.cut - 1)


class Served(NamedTuple):
    """Files that are served.

    Attributes:
        folder: Where they are.
        address: Address of the folder.
        handler: What serves them; see `Quiet`.
    """

    folder: Path
    address: str
    handler: type[Quiet]


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, the address at which it is served, and the handler that serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, value in (("cut", 0), ("busy", 0), ("asked", [])):
        monkeypatch.setattr(Quiet, name, value)
    monkeypatch.setattr(downloading, "PAUSES_S", (0.0, 0.0))
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(folder, f"http://127.0.0.1:{server.server_address[1]}/", Quiet)
        server.shutdown()


@pytest.fixture
def small(monkeypatch, served):
    """Let a kind consist of small files that are served."""

    def make(kind):
        cls, write = KINDS[kind]
        write(served.folder)
        remotes = tuple(
            Remote(
                each.name,
                served.address + each.name,
                hashlib.md5((served.folder / each.name).read_bytes()).hexdigest(),
            )
            for each in cls.remotes
        )
        for name, value in (("remotes", remotes), ("counts", COUNTS), ("contents", {})):
            monkeypatch.setattr(cls, name, value)
        monkeypatch.setattr(mnist_5k, "TRAIN", COUNTS[0][0])
        return served.folder

    return make


@pytest.fixture(params=KINDS)
def kind(request):
    """Each known data set."""
    return request.param


@pytest.fixture(scope="session")
def write_known():
    """Write small files in the formats of a known data set into a folder."""
    return lambda kind, folder: KINDS[kind][1](folder)


@pytest.fixture(scope="session")
def class_of():
    """Return the configuration of a known data set."""
    return lambda kind: KINDS[kind][0]
