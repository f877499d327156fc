"""The faults on Ray: each kind as a function that injects one while a driver trains the study.

It returns what it did, or nothing if there was nothing that it could harm.
"""

import json
import random
import signal
import time
from collections.abc import Callable

from faults import flip, truncate
from ray_ground import DONE, PATIENCE_S, POLL_S, REFUSED, STOPPED, Driver, RayGround, send

__all__ = ["BETWEEN", "ENDS", "PASSING", "STARTING", "Fault"]

Fault = Callable[[RayGround, Driver, random.Random], str]


def worker_killed(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Kill a worker: its pack is trained again, from its last state."""
    workers = driver.workers()
    chosen = rng.sample(workers, min(1, len(workers)))
    return f"process {chosen}" if send(chosen, signal.SIGKILL) else ""


def worker_told_to_end(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Tell a worker to end, as on a machine that is about to be taken away."""
    workers = driver.workers()
    chosen = rng.sample(workers, min(1, len(workers)))
    return f"process {chosen}" if send(chosen, signal.SIGTERM) else ""


def second_driver(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Start a second driver: it must be refused."""
    second = ground.drive()
    ended = second.wait()
    if not driver.is_running:
        return ""
    assert ended == REFUSED, f"a second driver must be refused, but it ended {ended}"
    assert "must have one driver at a time" in second.said(), second.said()
    return "refused"


def two_drivers(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Start a second driver with the first: one of them must be refused, and the other go on."""
    second = ground.drive()
    deadline = time.monotonic() + PATIENCE_S
    while driver.is_running and second.is_running:
        assert time.monotonic() < deadline, "of two drivers one must end"
        time.sleep(POLL_S)
    refused, other = (second, driver) if driver.is_running else (driver, second)
    ended = refused.wait()
    assert ended == REFUSED, f"of two drivers one must be refused, but it ended {ended}"
    assert "must have one driver" in refused.said(), refused.said()
    driver.become(other)
    return f"the {'second' if refused is second else 'first'} was refused"


def rows_flipped(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Flip bits in rows of a pack that has ended."""
    tables = ("runs", "history", "layers")
    files = [path for path in ground.files(".parquet") if path.parent.name in tables]
    if not files:
        return ""
    path = rng.choice(files)
    try:
        return f"{path.parent.name}/{path.name}: {flip(rng)(path)}"
    except FileNotFoundError:
        return ""


def compacted(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Merge the small files."""
    done = ground.call("compact", "--grace", "0")
    assert done.returncode == DONE, f"compact must end well: {done}"
    return done.stdout.splitlines()[-1].strip()


def asked_for_status(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Ask how far the study is: no fault, but nothing else may be harmed by it."""
    told = ground.call("status", "--json")
    if told.returncode == REFUSED:
        # Rows that were damaged while the study runs are told as such; nothing else is.
        assert "damaged" in told.stderr, f"status must tell what is wrong: {told}"
        return "damaged rows"
    (row,) = json.loads(told.stdout)
    assert row["planned"] == len(ground.study.runs()), row
    return f"{row['done']} done"


def raylet_killed(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Kill the process of Ray that holds the workers of this machine."""
    return "killed" if send(driver.below("raylet"), signal.SIGKILL) else ""


def store_killed(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Kill the process of Ray that knows who does what."""
    return "killed" if send(driver.below("gcs_server"), signal.SIGKILL) else ""


def ray_killed(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Kill every process of Ray."""
    pids = driver.below()
    return f"{len(pids)} processes" if send(pids, signal.SIGKILL) else ""


def driver_killed(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Kill the driver."""
    return "killed" if send([driver.process.pid], signal.SIGKILL) else ""


def everything_killed(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Kill the driver and every process of Ray, as a power cut would."""
    pids = [driver.process.pid, *driver.below()]
    return f"{len(pids)} processes" if send(pids, signal.SIGKILL) else ""


def driver_told_to_end(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Tell the driver to end: all packs are saved."""
    return "told" if send([driver.process.pid], signal.SIGTERM) else ""


def driver_told_to_save(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Tell the driver to save and end, as Slurm does."""
    return "told" if send([driver.process.pid], signal.SIGUSR1) else ""


def cancelled(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Cancel the study from another process."""
    done = ground.call("cancel")
    assert done.returncode == DONE, f"cancel must end well: {done}"
    return done.stderr.strip()


def checkpoint_damaged(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Cut the state of a pack short, or flip bits of it."""
    files = ground.files(".safetensors")
    if not files:
        return ""
    path = rng.choice(files)
    return f"{path.name}: {rng.choice([truncate, flip])(rng)(path)}"


def plan_damaged(ground: RayGround, driver: Driver, rng: random.Random) -> str:
    """Damage a file of the plan."""
    files = [path for path in ground.files(".parquet") if path.parent.name in ("plan", "packs")]
    if not files:
        return ""
    path = rng.choice(files)
    return f"{path.parent.name}/{path.name}: {rng.choice([truncate, flip])(rng)(path)}"


STARTING: list[Fault] = [two_drivers, asked_for_status, compacted]
"""Faults that hit a driver while it starts."""
PASSING: list[Fault] = [
    worker_killed,
    worker_told_to_end,
    second_driver,
    rows_flipped,
    compacted,
    asked_for_status,
]
"""Faults that a driver lives through while it trains."""
ENDS: dict[Fault, int] = {
    driver_killed: -signal.SIGKILL,
    ray_killed: REFUSED,
    raylet_killed: REFUSED,
    store_killed: REFUSED,
    everything_killed: -signal.SIGKILL,
    driver_told_to_end: STOPPED,
    driver_told_to_save: STOPPED,
    cancelled: STOPPED,
}
"""Faults that a driver ends by, and with which status."""
BETWEEN: list[Fault] = [checkpoint_damaged, plan_damaged]
"""Faults that come while no driver is at work."""
