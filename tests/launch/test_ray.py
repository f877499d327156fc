"""One real Ray, started once for all of these tests: it takes seconds."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from symstudy.errors import LaunchError, StoreError
from symstudy.launch import (
    Capacity,
    InlineLauncher,
    PackEnded,
    RayLauncher,
    open_study_folder,
    read_lease,
    request_stop,
    run_study,
)
from symstudy.launch.cluster.gpus import FoundGpu
from symstudy.launch.cluster.nodes import Node
from symstudy.store import open_store, verify
from symstudy.study import PackConfig
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

# Longer than a worker takes to hear of a stop, by waiting and not by work.
LONG = {
    "train": {"steps": 800, "lr": 0.001, "stop": "symstudy.testing.launchers:pause"},
    "probe": {"num": 41, "detail": 41, "samples": 16},
}


class KeptUp(RayLauncher):
    """A launcher whose cluster outlives its launches, to be started once."""

    def __enter__(self):
        return self if self.nodes else super().__enter__()

    def __exit__(self, *_):
        pass


@pytest.fixture(scope="module")
def launcher():
    """A launcher whose cluster lives as long as the module."""
    import ray

    with KeptUp(PackConfig(device="cpu"), workers=2) as kept:
        yield kept
    ray.shutdown()
    # Else the socket is closed whenever it is collected, with a warning, in another test.
    if kept.connection is not None:
        kept.connection.close()


def worker_pids():
    """Return the processes that train for this one, by what Ray calls them."""
    listing = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()[1:]]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}

    def is_ours(pid):
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return [int(pid) for pid, _, args in rows if "ray::PackTrial" in args and is_ours(int(pid))]


def test_packs_are_trained_by_ray_tune_as_inline(launcher, study_of, tmp_path, recorder):
    study = study_of(sweep={"train.gamma": [0.0, 0.1], "seed": 4}, pack={"size": 2})
    summary = run_study(study, str(tmp_path / "ray"), launcher, listeners=[recorder])
    run_study(study, str(tmp_path / "inline"), InlineLauncher(device="cpu"))
    assert summary.done == 8
    assert len(recorder.reports) == 4
    by_ray, inline = (
        open_store(tmp_path / name).sql(
            "select run_id, step, train_loss, test_loss, grad_norm from history order by all"
        )
        for name in ("ray", "inline")
    )
    assert by_ray.rows == inline.rows
    assert verify(open_store(tmp_path / "ray").folders[0]).is_proven


class Alive:
    """A listener that counts Tune's trials that are there as each pack ends."""

    def __init__(self):
        self.counts = []

    def __call__(self, event):
        from ray.tune.experiment import Trial

        if isinstance(event, PackEnded):
            gc.collect()
            self.counts.append(sum(type(thing) is Trial for thing in gc.get_objects()))


def test_tune_keeps_no_pack_that_has_ended(launcher, study_of, tmp_path):
    alive = Alive()
    study = study_of(train={"steps": 1}, sweep={"seed": 12}, pack={"size": 1, "certify": 0})
    summary = run_study(study, str(tmp_path), launcher, listeners=[alive])
    assert summary.done == len(alive.counts) == 12
    # Two train, each with one that follows it and one that has just ended.
    assert max(alive.counts[-4:]) <= 6


@pytest.mark.slow
def test_a_killed_worker_costs_no_run(launcher, study_of, tmp_path, recorder):
    study = study_of(**LONG, sweep={"seed": 4}, pack={"size": 2, "certify": 0})

    is_over = threading.Event()

    def kill():
        # Where the driver hears late of what its workers do, a worker may have ended its pack by
        # then: so until one is missed.
        while not recorder.retries and not is_over.is_set():
            if recorder.progress:
                for pid in worker_pids()[:1]:
                    os.kill(pid, signal.SIGKILL)
                is_over.wait(4)
            is_over.wait(0.05)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    summary = run_study(study, str(tmp_path), launcher, listeners=[recorder])
    is_over.set()
    killer.join(timeout=60)
    assert summary.done == 4
    assert recorder.retries
    assert verify(open_store(tmp_path).folders[0]).is_proven


def test_a_worker_that_rays_memory_monitor_kills_costs_no_run(
    launcher, study_of, tmp_path, recorder, monkeypatch
):
    from ray.air.execution._internal.event_manager import RayEventManager
    from ray.exceptions import OutOfMemoryError

    resolve = RayEventManager.resolve_future
    killed: list[object] = []

    def resolve_or_kill(manager, future):
        _, on_error = manager._tracked_futures[future]
        if not killed and on_error.__qualname__.startswith("RayActorManager._schedule_tracked"):
            # So Tune hears of a worker that a node low on memory has lost: as neither a task that
            # raised nor an actor that died.
            del manager._tracked_futures[future]
            killed.append(future)
            on_error(OutOfMemoryError("1 worker(s) were killed, low on memory.\nTop 10 users: ..."))
        else:
            resolve(manager, future)

    monkeypatch.setattr(RayEventManager, "resolve_future", resolve_or_kill)
    study = study_of(sweep={"seed": 4}, pack={"size": 2, "certify": 0})
    summary = run_study(study, str(tmp_path), launcher, listeners=[recorder])
    assert killed
    assert summary.done == 4
    assert len(recorder.retries) == 1
    assert verify(open_store(tmp_path).folders[0]).is_proven
    # The worker that was said to be dead is not: it ends when nobody holds it any more.
    deadline = time.monotonic() + 20
    while worker_pids() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.1)
    assert not worker_pids()


PATIENT = """
import os, time

def main(run):
    saved = run.restore() or {"step": 0}
    for step in range(saved["step"] + 1, 21):
        run.report(step, loss=1.0, begun=saved["step"])
        if step == 10 and run.seed == 1:
            run.save({"step": step})
            with open("pid", "w") as file:
                file.write(str(os.getpid()))
            time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_program_first", [False, True])
def test_a_program_whose_worker_is_killed_goes_on_elsewhere_and_has_not_failed(
    launcher, tmp_path, recorder, is_program_first
):
    from symstudy.study import load_study

    (tmp_path / f"patient_{is_program_first}.py").write_text(PATIENT)
    (tmp_path / "study.toml").write_text(
        f'schema = 1\nname = "own"\n[program]\nentry = "patient_{is_program_first}:main"\n'
        "[sweep]\nseed = 3\n"
    )
    killed = []

    def kill():
        deadline = time.monotonic() + 120
        while not (found := program_pids(tmp_path / "results")) and time.monotonic() < deadline:
            time.sleep(0.05)
        worker = parent_of(found[0])
        assert worker in worker_pids()
        # As Ray does where it ends a worker: first what it has started. By another process, since
        # the threads of this one may be late.
        first = f"kill -9 {found[0]}; sleep 0.5; " if is_program_first else ""
        begun = time.monotonic()
        subprocess.run(["sh", "-c", f"{first}exec kill -9 {worker}"], check=True)
        killed.append(time.monotonic() - begun)

    missed = []

    def try_to_kill():
        try:
            kill()
        except Exception as error:  # noqa: BLE001  # shown by the assertion below
            missed.append(error)

    killer = threading.Thread(target=try_to_kill, daemon=True)
    killer.start()
    study = load_study(tmp_path / "study.toml")
    summary = run_study(study, str(tmp_path / "results"), launcher, listeners=[recorder])
    killer.join(timeout=60)
    assert killed, (missed, summary, recorder.retries)
    assert len(recorder.retries) == 1, killed
    store = open_store(tmp_path / "results")
    reasons = store.sql("select reason from runs").rows
    assert (summary.done, summary.failed) == (3, 0), (killed, reasons)
    asked = "select seed, count(*), max(step), max(begun) from history group by all order by all"
    assert store.sql(asked).rows == [(seed, 20, 20, 10 if seed == 1 else 0) for seed in range(3)]
    assert verify(store.folders[0]).is_proven


def program_pids(results):
    """Return the process that a program has written down."""
    texts = [path.read_text() for path in results.glob("own/work/*/pid")]
    return [int(text) for text in texts if text]


def parent_of(pid):
    """Return the process that has started another."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])


def test_a_store_that_cannot_be_written_ends_the_launch(launcher, study_of, tmp_path):
    study = study_of()
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "runs").write_text("in the way")
    with pytest.raises(StoreError, match="must be writable.*same command again"):
        run_study(study, str(tmp_path), launcher)


def test_a_worker_that_is_told_to_end_saves_its_pack_first(launcher, study_of, tmp_path, recorder):
    study = study_of(**LONG, sweep={"seed": 2}, pack={"size": 2, "certify": 0})
    checkpoints = tmp_path / "small" / "checkpoints"
    seen: list[Path] = []

    def end_worker():
        while not recorder.progress:
            time.sleep(0.05)
        for pid in worker_pids()[:1]:
            os.kill(pid, signal.SIGTERM)
        # It may take a while to its next chunk; the file goes when the pack has ended.
        while not seen and not recorder.reports:
            seen.extend(checkpoints.glob("*.safetensors"))
            time.sleep(0.01)

    ender = threading.Thread(target=end_worker, daemon=True)
    ender.start()
    summary = run_study(study, str(tmp_path), launcher, listeners=[recorder])
    ender.join(timeout=60)
    assert summary.done == 2
    assert seen
    assert not list(checkpoints.glob("*.safetensors"))
    (folder,) = open_store(tmp_path).folders
    assert verify(folder).is_proven


@pytest.mark.slow  # the conformance of launchers stops and goes on by Ctrl-C, on Ray too
def test_a_launch_is_cancelled_from_elsewhere_and_goes_on_from_its_state(
    launcher, study_of, tmp_path, recorder
):
    study = study_of(**LONG, sweep={"seed": 2}, pack={"size": 1, "certify": 0})

    def cancel():
        while not recorder.progress:
            time.sleep(0.05)
        folder = open_study_folder(str(tmp_path), study)
        lease = read_lease(folder)
        assert lease
        request_stop(folder, lease.launch, "cancelled")

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    summary = run_study(study, str(tmp_path), launcher, listeners=[recorder])
    canceller.join(timeout=60)
    assert summary.stopped == "cancelled"
    kept = list((tmp_path / "small" / "checkpoints").glob("*.safetensors"))
    assert kept
    again = run_study(study, str(tmp_path), launcher, listeners=[recorder])
    assert summary.done + again.done == 2
    (folder,) = open_store(tmp_path).folders
    assert verify(folder).is_proven
    run_study(study, str(tmp_path / "undisturbed"), InlineLauncher(device="cpu"))
    query = "select run_id, step, train_loss, test_loss, grad_norm from history order by all"
    assert (
        open_store(tmp_path).sql(query).rows == open_store(tmp_path / "undisturbed").sql(query).rows
    )


def test_ray_tune_trains_a_search(launcher, study_of, tmp_path):
    search = {
        "method": "tpe",
        "objective": "test_loss",
        "space": {"train.gamma": {"log": [1e-3, 0.3]}},
        "trials": 6,
        "batch": 2,
        "halt": {"measure": "test_loss", "reduction": 2, "rungs": 1},
    }
    study = study_of(
        search=search,
        sweep={"seed": 2},
        pack={"size": 2},
        train={"steps": 200},
        probe={"num": 12, "detail": 12},
    )
    summary = run_study(study, str(tmp_path), launcher)
    assert summary.done + summary.early == 12
    assert summary.early > 0
    assert verify(open_store(tmp_path).folders[0]).is_proven


def test_more_cpus_than_there_are_is_refused(launcher):
    greedy = RayLauncher(PackConfig(device="cpu", cpus=10_000))
    greedy.nodes = list(launcher.nodes)
    with pytest.raises(LaunchError, match=r"pack\.cpus must be at most"):
        assert greedy.capacity


def test_a_gpu_that_is_not_there_is_refused(launcher):
    hopeful = RayLauncher(PackConfig(device="cuda"))
    hopeful.nodes = list(launcher.nodes)
    with pytest.raises(LaunchError, match=r"must have a cluster with GPUs.*pack\.device=auto"):
        assert hopeful.device


def test_gpus_of_a_cluster_make_more_workers():
    sharing = RayLauncher(PackConfig(gpus=0.4))
    sharing.nodes = [Node("a", "a", 16.0, 2.0), Node("b", "b", 4.0, 1.0), Node("c", "c", 3.0, 0.0)]
    sharing.found = FoundGpu(find_device("h100"), "")
    # Two of 0.4 a GPU, not seven on three; 12 + 2 + 3 cores are left for packs of the CPU.
    assert sharing.capacity == Capacity(6, "cuda", find_device("h100"), 17)


@pytest.mark.slow
def test_an_interrupted_launch_is_130_and_goes_on(study_of, tmp_path, root):
    command = [
        sys.executable,
        "-m",
        "symstudy",
        "run",
        str(root / "studies" / "smoke.toml"),
        "train.steps=3000000",
        "pack.size=1",
        "seed=3",
        f"--results={tmp_path}",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    runs = tmp_path / "smoke" / "runs"
    while time.monotonic() < deadline and not (runs.is_dir() and len(list(runs.iterdir())) >= 2):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "stopped by SIGINT" in errors
    found = verify(open_store(tmp_path).folders[0])
    assert found.is_consistent
    assert found.account.done >= 2
    assert found.account.missing >= 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_an_unreachable_cluster_is_named_at_once(study_of, tmp_path, address):
    study = study_of()
    with pytest.raises(LaunchError, match="must be the host:port of a running Ray cluster"):
        run_study(study, str(tmp_path), RayLauncher(study.pack, address=address))


def test_programs_run_on_ray_at_the_same_time_and_their_modules_travel(launcher, tmp_path):
    from symstudy.study import load_study

    (tmp_path / "ray_helper.py").write_text("scale = 2.0\n")
    (tmp_path / "ray_program.py").write_text(
        "import time\nfrom ray_helper import scale\n"
        "def main(run):\n"
        "    for step in range(50):\n"
        "        run.report(step, loss=scale * step)\n"
        "        time.sleep(0.02)\n"
        "    if run.seed == 3:\n"
        "        raise ValueError('the third')\n"
    )
    (tmp_path / "study.toml").write_text(
        'schema = 1\nname = "own"\n[program]\nentry = "ray_program:main"\n[sweep]\nseed = 4\n'
    )
    study = load_study(tmp_path / "study.toml")
    summary = run_study(study, str(tmp_path / "results"), launcher)
    ended = open_store(tmp_path / "results").sql("select seed, outcome, reason from runs").rows
    assert (summary.done, summary.failed) == (3, 1), ended
    store = open_store(tmp_path / "results")
    counts = store.sql("select seed, count(*), sum(loss) from history group by all order by all")
    assert counts.rows == [(seed, 50, 2450.0) for seed in range(4)]
    assert verify(store.folders[0]).is_proven
