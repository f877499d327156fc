"""Planted results and an explorer of them, without a browser or a port."""

import shutil

import pytest
from starlette.testclient import TestClient

from symstudy.explore.app import create_app
from symstudy.explore.session import Session
from symstudy.store.files.kept_texts import keep_text
from symstudy.study import make_study
from symstudy.testing.stores import plant_store

TOKEN = "token-of-these-tests"
HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202e"


def measures_of(run):
    """Return 16 / width + gamma, apart by seed; one run fails, two have no finite loss."""
    width, gamma, seed = run.cell.model.width, run.cell.train.gamma, run.seed
    loss = 16 / width + gamma + 0.01 * seed
    if (width, gamma, seed) == (16, 0.1, 2):
        return {"outcome": "diverged", "reason": HOSTILE, "test_loss": None, "train_loss": None}
    if (width, gamma) == (32, 0.0) and seed < 2:
        loss = float("nan") if seed else float("inf")
    return {"test_loss": loss, "train_loss": loss - 20.0, "distinct_neurons": width}


def make(name="planted", **sweep):
    """Return a study of 3 widths, 2 gammas and 3 seeds."""
    axes = {"model.width": [8, 16, 32], "train.gamma": [0.0, 0.1], "seed": 3, **sweep}
    tables = {"model": {"kind": "fcn"}, "data": {"kind": "identity"}, "train": {"lr": 0.01}}
    return make_study({"schema": 1, "name": name, "title": HOSTILE, **tables, "sweep": axes})


@pytest.fixture(scope="session")
def growing_study():
    """A study of two runs of its own, to be planted while a page is open."""
    return make("growing", **{"model.width": [4], "train.gamma": [0.0], "seed": 2})


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """A folder of one study, of which a pack is missing."""
    place = tmp_path_factory.mktemp("explored results")
    plant_store(place, make(), measures_of, pack_size=4)
    for file in (place / "planted").glob("*/pack0004.parquet"):
        file.unlink()
    return place


@pytest.fixture
def copied(planted, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(planted, tmp_path / "copied")


@pytest.fixture(scope="session")
def session(planted):
    session = Session([str(planted)])
    session.box.timeout_s = 60.0  # tests may share two cores with many others
    yield session
    session.end()


@pytest.fixture(scope="session")
def client(session):
    """What asks with the token, and gives answers as values."""
    return TestClient(
        create_app(session, token=TOKEN, port=80),
        base_url="http://127.0.0.1",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )


@pytest.fixture(scope="session")
def panel(client):
    """Ask for one panel."""

    def ask(name, filters=None, **asked):
        body = {"filters": filters or {}, "want": [{"panel": name, **asked}]}
        answer = client.post("/panels", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["panels"][0]

    return ask


def record_launch_of(folder, **more):
    """Put a launch with kept texts into `study.json`."""
    study = folder.read_study()
    ran = {
        "launch": "20250101T000000-abcdef",
        "at": "2025-01-01T00:00:00+00:00",
        "new_runs": 18,
        "git_sha": "ab" * 20,
        "git_dirty": True,
        "torch_version": "2.13.0",
        "host": HOSTILE,
        "packages": keep_text(folder, b"numpy==2.4.0\n"),
        "changes": keep_text(folder, HOSTILE.encode()),
        "sources": {"net.py": keep_text(folder, b"import torch\n")},
        **more,
    }
    folder.write_study({**study, "launches": [ran]})
