"""Nodes of a Ray cluster, and how many packs fit them at the same time."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from symstudy.study.packs import packs_per_gpu

__all__ = ["Node", "Room", "count_room", "read_node"]


class Node(NamedTuple):
    """What a node offers.

    Attributes:
        node_id: Ray's identifier.
        host: Name of the machine.
        cpus: Number of CPUs that Ray may use.
        gpus: Number of GPUs that Ray may use.
    """

    node_id: str
    host: str
    cpus: float
    gpus: float


class Room(NamedTuple):
    """How many packs fit a cluster at the same time.

    Attributes:
        packs: With the GPUs and CPUs that each reserves.
        left: Without a GPU, on the CPUs that those leave.
    """

    packs: int
    left: int


def read_node(node: Mapping[str, Any]) -> Node:
    """Return a node as `ray.nodes()` lists it."""
    offered = node["Resources"]
    return Node(
        node["NodeID"], node["NodeManagerHostname"], offered.get("CPU", 0), offered.get("GPU", 0)
    )


def count_room(nodes: Sequence[Node], *, cpus: int, gpus: float) -> Room:
    """Return how many packs fit, node by node: none is cut over two nodes or two GPUs.

    Args:
        nodes: Of the cluster.
        cpus: CPUs that a pack reserves.
        gpus: Share of a GPU that a pack reserves; 0 for packs of the CPU.
    """
    packs = left = 0
    for node in nodes:
        by_cpus = int(node.cpus // cpus)
        # A run of a program may take several whole GPUs.
        by_gpus = int(node.gpus // gpus) if gpus > 1 else int(node.gpus) * packs_per_gpu(gpus or 1)
        fit = min(by_cpus, by_gpus) if gpus else by_cpus
        packs += fit
        left += by_cpus - fit
    return Room(packs, left)
