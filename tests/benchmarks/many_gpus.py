"""How a launch keeps many GPUs busy: Ray with GPUs that are not there, and packs that wait.

    python tests/benchmarks/many_gpus.py [GPUS] [PACKS] [SECONDS]      8, 64 and 4 if not given

First it plans 100,000 packs of one run for 64 GPUs, and prints how long that takes. Then it trains
PACKS packs through Ray Tune into the store on GPUS workers, each with a GPU that Ray takes at its
word. A pack waits SECONDS in place of a GPU's work, and trains two runs of one step on the CPU. It
prints the share of the time in which GPUs had a pack, between the first pack and the last and
between the moment when all GPUs have had one and that when the first has its last; the driver's
processor time a pack and its share of the wall time; and its memory after half of the packs and at
the end. All workers start on the cores of this machine: where these are few, the start of many
takes minutes, which the second share leaves out.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from symstudy.launch import Event, PackEnded, RayLauncher, open_study_folder, run_study
from symstudy.launch.cluster.gpus import FoundGpu
from symstudy.store import verify
from symstudy.study import PackConfig, Study, make_study, plan_packs
from symstudy.study.devices import find_device

PLANNED, PLANNED_GPUS = 100_000, 64


class Turn(NamedTuple):
    """One pack on one GPU.

    Attributes:
        gpu: Which.
        start: When it began, in seconds.
        stop: When it ended.
    """

    gpu: str
    start: float
    stop: float


def waiting_hook(folder: str, seconds: float) -> Callable[[], None]:
    """Return what lets a process wait in place of a GPU's work; called as each worker starts.

    It is sent to workers as it stands, which know nothing of this file.
    """

    def hook() -> None:
        import os
        import time
        from pathlib import Path

        from symstudy.launch import worker

        real: Any = worker.train_assigned_pack

        def train(*arguments: Any, **options: Any) -> Any:
            start = time.time()
            time.sleep(seconds)
            report = real(*arguments, **{**options, "device": "cpu"})
            with (Path(folder) / f"{os.getpid()}").open("a") as file:
                gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
                file.write(f"{gpu} {start} {time.time()}\n")
            return report

        worker.train_assigned_pack = train

    return hook


class SimulatedGpus(RayLauncher):
    """A local Ray with GPUs that are not there."""

    def __init__(self, gpus: int, folder: str, seconds: float) -> None:
        """Prepare `gpus` of them; packs wait `seconds` and say in `folder` when."""
        super().__init__(PackConfig(device="cuda", gpus=1.0))
        self.count = gpus
        self.hook = waiting_hook(folder, seconds)

    def connect(self) -> None:
        """Start Ray."""
        import ray

        ray.init(
            address="local",
            num_cpus=self.count,
            num_gpus=self.count,
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={**self.environment, "worker_process_setup_hook": self.hook},
        )

    def find_gpu(self) -> FoundGpu:
        """Return an H200, whatever is there."""
        return FoundGpu(find_device("h200"), "")


class Memory:
    """A listener that notes the driver's memory as packs end.

    Attributes:
        at: Memory in MiB after each pack.
    """

    def __init__(self) -> None:
        """Begin without a pack."""
        self.at: list[float] = []

    def __call__(self, event: Event) -> None:
        """Note the memory if a pack has ended."""
        if isinstance(event, PackEnded):
            self.at.append(psutil.Process().memory_info().rss / 2**20)


def study_of(packs: int, size: int) -> Study:
    """Return a study of `packs` packs of `size` runs of one step."""
    return make_study(
        {
            "schema": 1,
            "name": "many_gpus",
            "model": {"kind": "fcn", "depth": 2, "width": 2},
            "data": {"kind": "teacher_student", "samples": 10, "test_samples": 10},
            "train": {"lr": 0.01, "batch_size": 10, "steps": 1},
            "probe": {"num": 2, "detail": 1, "samples": 8},
            "sweep": {"seed": packs * size},
            "pack": {"size": size, "certify": 0, "device": "cuda", "gpus": 1.0},
        }
    )


def simulate(gpus: int, packs: int, seconds: float) -> tuple[list[Turn], float, list[float]]:
    """Train packs on simulated GPUs.

    Returns:
        The turns of all packs, the driver's processor seconds, and its memory as packs ended.
    """
    study, memory = study_of(packs, 2), Memory()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as results:
        start = time.process_time()
        launcher = SimulatedGpus(gpus, folder, seconds)
        summary = run_study(study, results, launcher, listeners=[memory])
        spent = time.process_time() - start
        assert summary.done == 2 * packs, summary
        assert verify(open_study_folder(results, study)).is_proven
        lines = [line.split() for file in Path(folder).iterdir() for line in file.open()]
    return [Turn(gpu, float(a), float(b)) for gpu, a, b in lines], spent, memory.at


def busy_share(turns: list[Turn], *, all_started: bool = False) -> float:
    """Return the share of the time from the first to the last pack in which GPUs had one.

    Args:
        turns: The turns of all packs.
        all_started: Look only at the time in which every GPU has begun its first pack and none has
            ended its last.
    """
    gpus = {turn.gpu for turn in turns}
    first = [min(turn.start for turn in turns if turn.gpu == gpu) for gpu in gpus]
    last = [max(turn.stop for turn in turns if turn.gpu == gpu) for gpu in gpus]
    begin, end = (max(first), min(last)) if all_started else (min(first), max(last))
    busy = sum(max(0.0, min(turn.stop, end) - max(turn.start, begin)) for turn in turns)
    return busy / ((end - begin) * len(gpus))


def main() -> None:
    """Print what the plan and the launch take."""
    words = sys.argv[1:] + [8, 64, 4][len(sys.argv) - 1 :]
    gpus, packs, seconds = int(words[0]), int(words[1]), float(words[2])
    runs = study_of(PLANNED, 1).runs()
    start = time.process_time()
    planned = plan_packs(
        runs, PackConfig(size=1, device="cuda"), workers=PLANNED_GPUS, device="h200"
    )
    spent = time.process_time() - start
    print(f"  {len(planned):,} packs planned for {PLANNED_GPUS} GPUs: {spent:.1f} s", flush=True)
    turns, driver, memory = simulate(gpus, packs, seconds)
    span = max(turn.stop for turn in turns) - min(turn.start for turn in turns)
    print(
        f"  {packs} packs of {seconds:g} s on {gpus} simulated GPUs: busy {busy_share(turns):.1%} "
        f"from the first pack to the last, {busy_share(turns, all_started=True):.1%} while all had "
        f"begun and none was done; driver's processor {1e3 * driver / packs:.0f} ms a pack, "
        f"{driver / span:.1%} of the wall time, its start included; its memory "
        f"{memory[len(memory) // 2]:.0f} MiB after half and {memory[-1]:.0f} MiB at the end"
    )


if __name__ == "__main__":
    main()
