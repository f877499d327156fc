"""The faults: each kind as a function that injects one into a study, and returns what it did.

A fault may find nothing to harm, as when a launch ends before the write that it waits for: it is
one only if the study's ground was marked.
"""

import errno
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ground import Ground

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder

__all__ = ["KINDS", "Fault"]

Fault = Callable[[Ground, random.Random], str]
WRITES = 40
"""A launch of the small study writes about so often."""


def hook_writes(act: Callable[[int, Callable[..., None], tuple[Any, ...]], None]) -> None:
    """Have `act(count, write, arguments)` called in place of each write of results."""
    write = StudyFolder.write_bytes
    count = 0

    def hooked(folder: StudyFolder, content: Any, *parts: str) -> None:
        nonlocal count
        if parts[0] == "control":
            # The driver's own heartbeat: another thread, at its own times.
            write(folder, content, *parts)
            return
        count += 1
        act(count, write, (folder, content, *parts))

    StudyFolder.write_bytes = hooked  # type: ignore[method-assign,assignment]


def die(ground: Ground) -> None:
    """End this process as a power cut would."""
    ground.mark()
    os.kill(os.getpid(), signal.SIGKILL)


def killed_before_a_write(ground: Ground, rng: random.Random) -> str:
    """Kill a launch just before it writes a file."""
    at = rng.randint(1, WRITES)

    def act(count: int, write: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if count == at:
            die(ground)
        write(*arguments)

    return f"write {at}: ended {ground.run(lambda: hook_writes(act))}"


def killed_after_a_write(ground: Ground, rng: random.Random) -> str:
    """Kill a launch just after it has written a file."""
    at = rng.randint(1, WRITES)

    def act(count: int, write: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        write(*arguments)
        if count == at:
            die(ground)

    return f"write {at}: ended {ground.run(lambda: hook_writes(act))}"


def killed_before_a_rename(ground: Ground, rng: random.Random) -> str:
    """Kill a launch between the writing of a temporary file and its renaming."""
    at = rng.randint(1, WRITES)

    def setup() -> None:
        replace = Path.replace
        count = 0

        def hooked(path: Path, target: Any) -> Path:
            nonlocal count
            if Path(target).parent.name != "control":
                count += 1
                if count == at:
                    die(ground)
            return replace(path, target)

        Path.replace = hooked  # type: ignore[method-assign,assignment]

    return f"rename {at}: ended {ground.run(setup)}"


def killed_at_any_time(ground: Ground, rng: random.Random) -> str:
    """Kill a launch after a random time."""
    seconds = rng.uniform(0.0, 2.5)
    return f"after {seconds:.2f} s: ended {ground.run_and_kill(seconds)}"


def killed_again_and_again(ground: Ground, rng: random.Random) -> str:
    """Kill three launches, one after another."""
    ends = [ground.run_and_kill(rng.uniform(0.2, 1.2)) for _ in range(3)]
    return f"ended {ends}"


def refuse_writes(ground: Ground, at: int, number: int, *, times: int) -> Callable[[], None]:
    """Return a setup whose writes fail `times` times from write `at` on."""

    def act(count: int, write: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if at <= count < at + times:
            ground.mark()
            folder, _, *parts = arguments
            raise StoreError(
                f"the results must be writable, but {folder.join(*parts)!r} is not: "
                f"{os.strerror(number)}."
            )
        write(*arguments)

    return lambda: hook_writes(act)


def disk_full(ground: Ground, rng: random.Random) -> str:
    """Let the disk be full from some write on."""
    at = rng.randint(1, WRITES)
    return f"write {at}: ended {ground.run(refuse_writes(ground, at, errno.ENOSPC, times=10**9))}"


def disk_full_for_a_moment(ground: Ground, rng: random.Random) -> str:
    """Let a few writes find the disk full."""
    at, times = rng.randint(1, WRITES), rng.randint(1, 4)
    ended = ground.run(refuse_writes(ground, at, errno.ENOSPC, times=times))
    return f"writes {at} to {at + times - 1}: ended {ended}"


def read_only(ground: Ground, rng: random.Random) -> str:
    """Make the results read-only from some write on."""
    at = rng.randint(1, WRITES)
    return f"write {at}: ended {ground.run(refuse_writes(ground, at, errno.EROFS, times=10**9))}"


def half_trained(ground: Ground, rng: random.Random) -> None:
    """Leave the study half trained, as often as not with checkpoints, or trained to its end."""
    if rng.random() < 0.3:
        ground.run()
    else:
        killed_before_a_write(ground, rng)


def damage(ground: Ground, rng: random.Random, harm: Callable[[Path], str], *suffixes: str) -> str:
    """Damage one file of a half trained study."""
    half_trained(ground, rng)
    ground.has_happened()
    files = ground.files(*suffixes)
    if not files:
        return "there was no file yet"
    path = rng.choice(files)
    ground.mark()
    return f"{path.parent.name}/{path.name}: {harm(path)}"


def truncate(rng: random.Random) -> Callable[[Path], str]:
    """Return a harm that cuts a file short."""

    def harm(path: Path) -> str:
        size = path.stat().st_size
        kept = rng.randrange(size) if size else 0
        os.truncate(path, kept)
        return f"{kept} of {size} bytes kept"

    return harm


def flip(rng: random.Random) -> Callable[[Path], str]:
    """Return a harm that changes some bits of a file."""

    def harm(path: Path) -> str:
        content = bytearray(path.read_bytes())
        if not content:
            return "it was empty"
        places = [rng.randrange(len(content)) for _ in range(rng.randint(1, 8))]
        for place in places:
            content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(content))
        return f"bits flipped at {sorted(places)} of {len(content)} bytes"

    return harm


def parquet_truncated(ground: Ground, rng: random.Random) -> str:
    """Cut a Parquet file short: rows, plan or packs."""
    return damage(ground, rng, truncate(rng), ".parquet")


def parquet_flipped(ground: Ground, rng: random.Random) -> str:
    """Flip bits of a Parquet file: rows, plan or packs."""
    return damage(ground, rng, flip(rng), ".parquet")


def ledger_damaged(ground: Ground, rng: random.Random) -> str:
    """Damage a file of the plan."""
    half_trained(ground, rng)
    ground.has_happened()
    plans = [path for path in ground.files(".parquet") if path.parent.name == "plan"]
    if not plans:
        return "there was no plan yet"
    harm = rng.choice([truncate, flip])(rng)
    ground.mark()
    return f"plan: {harm(rng.choice(plans))}"


def study_file_damaged(ground: Ground, rng: random.Random) -> str:
    """Damage a JSON file."""
    return damage(ground, rng, rng.choice([truncate, flip])(rng), ".json")


def checkpoint_damaged(ground: Ground, rng: random.Random) -> str:
    """Damage a checkpoint."""
    return damage(ground, rng, rng.choice([truncate, flip])(rng), ".safetensors")


def two_drivers(ground: Ground, rng: random.Random) -> str:
    """Start two drivers at the same time, or one a little later."""
    first = ground.start()
    time.sleep(rng.choice([0.0, 0.0, 0.05, 0.35, 0.8]))
    second = ground.start()
    ground.mark()
    return f"ended {ground.wait(first)} and {ground.wait(second)}"


def lane_of_nan(ground: Ground, rng: random.Random) -> str:
    """Let lanes become NaN: they diverge, their mates do not, and a retry mends them."""
    after = rng.randint(1, 12)

    def setup() -> None:
        from symstudy.training.engines.compiled import CompiledEngine

        advance = CompiledEngine.advance
        count = 0

        def hooked(engine: Any, first: int, steps: int) -> None:
            nonlocal count
            count += 1
            if count == after:
                ground.mark()
                engine.theta[0] = float("nan")
            advance(engine, first, steps)

        CompiledEngine.advance = hooked  # type: ignore[method-assign,assignment]

    return f"advance {after}: ended {ground.run(setup)}"


def out_of_memory(ground: Ground, rng: random.Random) -> str:
    """Let packs of several runs not fit the memory."""
    largest, times = rng.randint(1, 3), rng.randint(1, 5)

    def setup() -> None:
        import symstudy.training

        train = symstudy.training.train_pack
        count = 0

        def hooked(runs: Any, *arguments: Any) -> Any:
            nonlocal count
            if len(runs) > largest and count < times:
                count += 1
                ground.mark()
                raise MemoryError
            return train(runs, *arguments)

        symstudy.training.train_pack = hooked  # type: ignore[assignment]

    return f"more than {largest} runs, {times} times: ended {ground.run(setup)}"


def compaction_killed(ground: Ground, rng: random.Random) -> str:
    """Kill a compaction before a write."""
    half_trained(ground, rng)
    ground.has_happened()
    at = rng.randint(1, 7)

    def setup() -> None:
        from symstudy.store.files.compaction import compact

        def act(count: int, write: Callable[..., None], arguments: tuple[Any, ...]) -> None:
            if count == at:
                die(ground)
            write(*arguments)

        hook_writes(act)
        compact(ground.folder, grace_s=0.0)
        os._exit(0)

    return f"write {at}: ended {ground.run(setup)}"


KINDS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        killed_before_a_write,
        killed_after_a_write,
        killed_before_a_rename,
        killed_at_any_time,
        killed_again_and_again,
        disk_full,
        disk_full_for_a_moment,
        read_only,
        parquet_truncated,
        parquet_flipped,
        ledger_damaged,
        study_file_damaged,
        checkpoint_damaged,
        two_drivers,
        lane_of_nan,
        out_of_memory,
        compaction_killed,
    )
}
