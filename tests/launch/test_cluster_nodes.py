"""Several nodes of Ray on this machine, with results in a shared folder and on an S3 server.

Each node is a raylet of its own with one core, so packs that train at the same time train on
different nodes. All tests share one cluster and one server: both take seconds to start.
"""

import importlib
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from symstudy.components import looking_in
from symstudy.errors import LaunchError
from symstudy.launch import InlineLauncher, RayLauncher, open_study_folder, run_study
from symstudy.launch.cluster.gpus import FoundGpu
from symstudy.launch.control import request_stop
from symstudy.launch.launchers.ray import ENVIRONMENT
from symstudy.store import Store, open_store, verify
from symstudy.study.devices import find_device

pytestmark = [
    pytest.mark.ray,
    pytest.mark.xdist_group("ray"),
    # Ray's own warnings, in its own process management.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CPU = {"device": "cpu", "certify": 0}
LONG = {"steps": 400_000, "batch_size": 16, "optimizer": "sgd", "lr": 0.001}
slow = pytest.mark.slow  # each starts a node or trains for seconds, on top of a cluster's start


@pytest.fixture(scope="module")
def cluster(storage):
    """Three nodes of a core each, with token authentication where the process can still take it."""
    os.environ.update(ENVIRONMENT)
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    raylet: Any = importlib.import_module("ray._raylet")  # compiled, and without types

    # A process reads it once: where an earlier test has had Ray loaded, it is too late for a token.
    is_token = raylet.get_authentication_mode() == raylet.AuthenticationMode.TOKEN
    os.environ["RAY_AUTH_MODE"] = "token" if is_token else "disabled"
    from ray._private.authentication.authentication_token_setup import (
        ensure_token_if_auth_enabled,
    )
    from ray.cluster_utils import Cluster

    ensure_token_if_auth_enabled(None, create_token_if_missing=True)
    small: Any = {"num_cpus": 1, "object_store_memory": 80_000_000}
    found = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    for _ in range(2):
        found.add_node(**small)
    yield found
    found.shutdown()


@pytest.fixture
def launcher_of(cluster):
    """Make a launcher that joins the cluster."""

    def make(study, **options):
        return RayLauncher(study.pack, address=cluster.address, **options)

    return make


@pytest.fixture
def extra_node(cluster):
    """Add a node for the time of a test."""
    added = []

    def add(**options):
        added.append(cluster.add_node(object_store_memory=80_000_000, **options))
        return added[-1]

    yield add
    for node in added:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)


def wait_for(condition, seconds=120):
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)


def in_background(work):
    """Run `work` in a thread; it must not outlive its test."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def nodes_of_workers():
    """Return the nodes that have a worker which trains."""
    import ray
    from ray._private.state import actors

    found: Any = actors() if ray.is_initialized() else {}
    return {
        actor["Address"]["NodeID"]
        for actor in found.values()
        if actor["State"] == "ALIVE" and "PackTrial" in actor["ActorClassName"]
    }


def history_of(folder):
    """Return all curves of a study, in order."""
    sql = "select run_id, step, train_loss, test_loss, grad_norm from history order by all"
    return Store([folder]).sql(sql).rows


@slow
def test_a_study_is_trained_on_all_nodes_at_once(launcher_of, study_of, tmp_path, recorder):
    study = study_of(sweep={"train.gamma": [0.0, 0.1], "seed": 3}, pack={"size": 1, **CPU})
    summary = run_study(study, str(tmp_path / "ray"), launcher_of(study), listeners=[recorder])
    run_study(study, str(tmp_path / "inline"), InlineLauncher(device="cpu"))
    assert summary.done == 6
    assert recorder.launches[0].workers == 3
    folders = [open_study_folder(str(tmp_path / name), study) for name in ("ray", "inline")]
    assert history_of(folders[0]) == history_of(folders[1])
    assert verify(folders[0]).is_proven


@slow
def test_a_node_that_dies_costs_no_run(
    cluster, extra_node, launcher_of, study_of, tmp_path, recorder
):
    study = study_of(train=LONG, sweep={"seed": 4}, pack={"size": 1, **CPU})
    node = extra_node(num_cpus=1)

    def kill():
        # Not before a pack has got a worker there.
        wait_for(lambda: node.node_id in nodes_of_workers())
        cluster.remove_node(node, allow_graceful=False)

    thread = in_background(kill)
    summary = run_study(study, str(tmp_path), launcher_of(study), listeners=[recorder])
    thread.join(timeout=60)
    assert recorder.launches[0].workers == 4
    assert recorder.retries
    assert summary.done == 4
    assert verify(open_store(tmp_path).folders[0]).is_proven


@slow
@pytest.mark.skipif(torch.version.cuda is not None, reason="torch here is a build with CUDA")
def test_a_node_with_a_gpu_and_a_torch_for_the_cpu_is_refused(
    extra_node, launcher_of, study_of, tmp_path
):
    # The GPU is Ray's idea alone, as it would be on a node whose torch cannot use it.
    extra_node(num_cpus=4, num_gpus=1)
    study = study_of(sweep={"seed": 4})
    with pytest.raises(LaunchError, match=r"torch 2\.\S+, a build for the CPU.*pack.device=cpu"):
        run_study(study, str(tmp_path), launcher_of(study))
    assert not (tmp_path / "small" / "study.json").exists()


@slow
def test_packs_of_the_cpu_train_beside_a_gpu_without_it(
    extra_node, launcher_of, study_of, tmp_path, recorder, monkeypatch
):
    extra_node(num_cpus=4, num_gpus=1)
    found = FoundGpu(find_device("a100"), "")
    monkeypatch.setattr(RayLauncher, "find_gpu", lambda launcher: found)
    study = study_of(sweep={"seed": 4}, pack={"size": 1, "certify": 0})
    summary = run_study(study, str(tmp_path), launcher_of(study), listeners=[recorder])
    assert {each.pack.device for each in recorder.assignments} == {"cpu"}
    assert recorder.launches[0].device == "cpu"
    assert "packs train on the CPU, where one core" in recorder.launches[0].notes[-1]
    assert summary.done == 4


@slow
def test_a_model_of_the_user_travels_to_the_nodes(launcher_of, study_of, tmp_path, recorder):
    (tmp_path / "travelling_nets_71.py").write_text(
        "from torch import nn\n\n\n"
        "class Line(nn.Linear):\n"
        "    def __init__(self, input_dim: int, output_dim: int):\n"
        "        super().__init__(input_dim, output_dim)\n"
    )
    (tmp_path / "own.toml").write_text("")
    with looking_in(tmp_path):
        own = study_of(model={"kind": "travelling_nets_71:Line"}, pack=CPU)
    study = replace(own, source=str(tmp_path / "own.toml"))
    summary = run_study(study, str(tmp_path / "results"), launcher_of(study), listeners=[recorder])
    assert (summary.done, summary.failed) == (1, 0)
    with (tmp_path / "travelling_nets_71.py").open("a") as module:
        module.write("# Changed since the study was planned.\n")
    stale = replace(study, name="stale")
    with pytest.raises(LaunchError, match="the source of 'travelling_nets_71:Line' has changed"):
        run_study(stale, str(tmp_path / "results"), launcher_of(stale))


@slow
def test_a_node_with_another_torch_is_refused(extra_node, launcher_of, study_of, tmp_path):
    metadata = tmp_path / "other" / "torch-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    extra_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path / "other")})
    study = study_of(pack=CPU)
    with pytest.raises(LaunchError, match=r"torch 1\.0 for 2\..*pip install -c constraints.txt"):
        run_study(study, str(tmp_path / "results"), launcher_of(study))
    assert not (tmp_path / "results" / "small" / "study.json").exists()


def can_unshare():
    """Return whether a node can be given folders of its own here."""
    program = shutil.which("unshare")
    words = [program or "unshare", "--mount", "true"]
    return bool(program) and subprocess.run(words, check=False, capture_output=True).returncode == 0


@slow
@pytest.mark.skipif(not can_unshare(), reason="a node with a folder of its own needs root")
def test_results_that_not_all_nodes_see_are_refused(cluster, launcher_of, study_of, tmp_path):
    hidden = tmp_path / "results"
    hidden.mkdir()
    (tmp_path / "ray").mkdir()
    start = (
        f"mount -t tmpfs none {hidden} && exec {Path(sys.executable).parent}/ray start --block "
        f"--address={cluster.address} --num-cpus=1 --object-store-memory=80000000"
    )
    words = ["unshare", "--mount", "bash", "-c", start]
    before = len(alive(cluster))
    node = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(alive(cluster)) > before, 60)
        study = study_of(pack=CPU)
        with pytest.raises(LaunchError, match="must be a folder that all nodes see"):
            run_study(study, str(hidden), launcher_of(study))
    finally:
        node.terminate()
        node.wait(timeout=60)
        wait_for(lambda: len(alive(cluster)) == before, 60)


def alive(cluster):
    """Return the nodes that the cluster takes for alive."""
    return [node for node in cluster.global_state.node_table() if node["Alive"]]


def test_results_on_an_object_store_are_those_of_a_disk(
    storage, launcher_of, study_of, tmp_path, recorder
):
    study = study_of(sweep={"train.gamma": [0.0, 0.1], "seed": 2}, pack={"size": 1, **CPU})
    results = f"{storage}/like-a-disk"
    summary = run_study(study, results, launcher_of(study), listeners=[recorder])
    run_study(study, str(tmp_path), InlineLauncher(device="cpu"))
    assert summary.done == 4
    assert recorder.launches[0].workers == 3
    stored = open_study_folder(results, study)
    assert history_of(stored) == history_of(open_study_folder(str(tmp_path), study))
    assert verify(stored).is_proven
    assert run_study(study, results, launcher_of(study)).done == 0


@slow
def test_a_study_on_an_object_store_is_interrupted_and_goes_on(
    storage, launcher_of, study_of, recorder
):
    study = study_of(train={**LONG, "steps": 4_000_000}, sweep={"seed": 2}, pack={"size": 1, **CPU})
    results = f"{storage}/interrupted"
    folder = open_study_folder(results, study)

    def interrupt():
        wait_for(lambda: recorder.progress)
        (launch,) = folder.read_json("study.json")["launches"]
        request_stop(folder, launch["launch"], "a test")

    thread = in_background(interrupt)
    summary = run_study(study, results, launcher_of(study), listeners=[recorder])
    thread.join(timeout=60)
    assert summary.stopped == "a test"
    assert folder.list_files("checkpoints", "")
    found = verify(folder)
    assert found.is_consistent
    missing = found.account.missing
    assert missing >= 1
    assert run_study(study, results, launcher_of(study)).done == missing
    assert verify(folder).is_proven
    assert not folder.list_files("checkpoints", "")


@slow
def test_a_node_without_credentials_is_refused(storage, extra_node, launcher_of, study_of):
    extra_node(num_cpus=1, env_vars={"AWS_SECRET_ACCESS_KEY": "wrong"})
    study = study_of(pack=CPU)
    with pytest.raises(LaunchError, match=r"reachable from all nodes.*AWS_ACCESS_KEY_ID"):
        run_study(study, f"{storage}/half", launcher_of(study))
