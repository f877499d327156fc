"""Which GPUs there are, asked of the machines that have them before packs are planned.

Ray names the type of a node's GPUs, not their memory, nor whether torch can use them: a slice of a
GPU counts as the whole, and a build of torch for the CPU is not seen.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.errors import LaunchError
from symstudy.launch.cluster.check import listed
from symstudy.study.devices import Device, GpuFacts, describe_gpu, smallest_gpu
from symstudy.study.gpu_faults import why_not

__all__ = ["FoundGpu", "ask_nodes", "ask_this_machine", "choose_gpu", "find_fault"]

ANSWER_S = 120.0
"""Longest time for a machine to load torch and answer, in seconds."""

Report = dict[str, Any]
"""What a machine answers: `symstudy.training.gpu_report.read_report`, or `error`."""


class FoundGpu(NamedTuple):
    """The GPU that packs are planned for.

    Attributes:
        device: The GPU; None if none can be used.
        note: What to tell the user of it.
    """

    device: Device | None
    note: str


def ask_this_machine() -> Report:
    """Return what a new process of this machine says of its GPUs."""
    import symstudy

    file = Path(symstudy.__file__).parent / "training" / "gpu_report.py"
    # A task of Ray that reserves no GPU may have been forbidden to see any.
    seen = {k: v for k, v in os.environ.items() if (k, v) != ("CUDA_VISIBLE_DEVICES", "")}
    words = [sys.executable, "-P", str(file)]
    try:
        done = subprocess.run(  # noqa: S603  # the words are ours
            words, capture_output=True, text=True, timeout=ANSWER_S, check=True, env=seen
        )
        report: Report = json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        return {"error": (error.stderr.strip().splitlines() or ["no message"])[-1]}
    except (subprocess.TimeoutExpired, OSError, ValueError, IndexError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return report


def ask_nodes(nodes: Mapping[str, str]) -> dict[str, Report]:
    """Return the answers of nodes of the connected cluster, by their names.

    Args:
        nodes: Name of each node that has a GPU, by its identifier.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cluster: Any = ray
    question: Any = cluster.remote(num_cpus=0, max_retries=1)(ask_this_machine)
    asked = {
        question.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(): host
        for node, host in nodes.items()
    }
    _, late = cluster.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    reports: dict[str, Report] = {}
    for reference, host in asked.items():
        try:
            report = {"error": "no answer"} if reference in late else cluster.get(reference)
        except RayError as error:
            report = {"error": str(error).strip().splitlines()[-1]}
        # Nodes of one machine have one name; what is wrong on one of them must be told.
        if host not in reports or find_fault(report):
            reports[host] = report
    return reports


def find_fault(report: Report) -> str:
    """Return why the GPUs of a report cannot be trained on; empty if they can."""
    return f"says {report['error']}" if "error" in report else why_not(report)


def choose_gpu(reports: Mapping[str, Report], *, may_use_cpu: bool) -> FoundGpu:
    """Return the GPU that packs for all machines are planned for: the smallest.

    Args:
        reports: Answers of the machines that have GPUs, by name.
        may_use_cpu: Whether packs may train on the CPU where the GPUs cannot be used.

    Raises:
        LaunchError: If GPUs cannot be used and packs may not train on the CPU, or nothing is known
            of one.
    """
    faults = {host: fault for host, report in reports.items() if (fault := find_fault(report))}
    if faults and not may_use_cpu:
        raise LaunchError(
            f"every machine with a GPU must be able to train on it, but not so: {listed(faults)}."
        )
    if faults:
        (fault, *_) = faults.values()
        return FoundGpu(None, f"packs train on the CPU: this machine has a GPU, but it {fault}")
    gpus = [
        describe_gpu(GpuFacts(**facts)) for report in reports.values() for facts in report["gpus"]
    ]
    least = smallest_gpu(gpus)
    return FoundGpu(least, f"packs are planned for {least.name}: {least.source}")
