"""A check of every node of a Ray cluster before anything is trained.

A task on each node reports its package versions and tries to write the results: what would
otherwise be an error in every pack, or rows on a disk that nobody reads, is one message at the
start.
"""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from symstudy.errors import LaunchError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.store.tables.provenance import PACKAGES

__all__ = ["check_cluster"]

ANSWER_S = 90.0
"""Longest time for a node to start a worker, import and answer, in seconds."""

SEE_S = 15.0
"""Longest time until other nodes see a new file, as on network file systems, in seconds."""

VERSIONS = (*PACKAGES, "numba")
"""Packages whose versions decide what a run computes."""

SHOWN = 3
"""Number of nodes that are named in a message."""


class Answer(NamedTuple):
    """What a node reports of itself.

    Attributes:
        host: Name of the machine.
        versions: Version of each package, empty if it is not there; `python`; `sources`, a hash of
            the files of symstudy.
        lacking: Modules that cannot be imported there.
        results: What is wrong with the results there; empty if nothing.
    """

    host: str
    versions: dict[str, str]
    lacking: list[str]
    results: str


def check_cluster(location: str, modules: Sequence[str] = (), *, is_shared: bool = False) -> None:
    """Check that every node of the connected cluster can train packs of a study.

    Args:
        location: Path or URI of the study's folder.
        modules: Top-level modules that the workers must be able to import.
        is_shared: Whether Ray was connected before the launch, so that no module can travel.

    Raises:
        LaunchError: If a node has other versions than this process, lacks a module, does not see
            the results, or does not answer.
        StoreError: If the results cannot be written from here.
    """
    import ray

    filesystem, path = open_location(location)
    folder = StudyFolder(filesystem, path)
    name = f"probe-{uuid.uuid4().hex}"
    folder.write_bytes(name.encode(), "control", name)
    cluster: Any = ray
    try:
        nodes = {
            node["NodeID"]: node["NodeManagerHostname"]
            for node in cluster.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) > 0
        }
        here = Answer(*make_question()(location, name, [], list(VERSIONS), SEE_S))
        answers = ask(nodes, location, name, modules)
    finally:
        folder.delete("control", name)
    check_versions(answers, here.versions)
    check_modules(answers, is_shared=is_shared)
    check_results(answers, location, is_local=folder.is_local)


def ask(nodes: dict[str, str], location: str, name: str, modules: Sequence[str]) -> list[Answer]:
    """Return the answers of all nodes that are still there.

    Raises:
        LaunchError: If a node does not answer.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cluster: Any = ray
    question: Any = cluster.remote(num_cpus=0, max_retries=1)(make_question())
    asked = {
        question.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(location, name, list(modules), list(VERSIONS), SEE_S): node
        for node in nodes
    }
    _, late = cluster.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    answers = []
    silent = {nodes[asked[reference]]: "no answer" for reference in late}
    for reference, node in asked.items():
        if reference in late:
            continue
        try:
            answers.append(Answer(*cluster.get(reference)))
        except RayError as error:
            if any(other["NodeID"] == node and other["Alive"] for other in cluster.nodes()):
                silent[nodes[node]] = str(error).strip().splitlines()[-1]
    if silent:
        raise LaunchError(
            f"every node must answer within {ANSWER_S:.0f} s, but these do not: {listed(silent)}. "
            "Look at them with `ray status` and in /tmp/ray/session_latest/logs of the node."
        )
    return answers


def make_question() -> Callable[..., tuple[str, dict[str, str], list[str], str]]:
    """Return the function that a node runs.

    It is made here, inside another, so that Ray sends its code and not its name: a node without
    symstudy must be able to say so.
    """

    def question(
        location: str, name: str, modules: list[str], packages: list[str], see_s: float
    ) -> tuple[str, dict[str, str], list[str], str]:
        import hashlib
        import importlib.metadata
        import importlib.util
        import platform
        import time
        from pathlib import Path

        versions = {"python": ".".join(platform.python_version_tuple()[:2]), "sources": ""}
        for package in packages:
            try:
                versions[package] = importlib.metadata.version(package).partition("+")[0]
            except importlib.metadata.PackageNotFoundError:
                versions[package] = ""
        lacking = [module for module in modules if importlib.util.find_spec(module) is None]
        spec = importlib.util.find_spec("symstudy")
        results = ""
        if spec is not None and spec.origin:
            digest = hashlib.blake2b(digest_size=8)
            for path in sorted(Path(spec.origin).parent.rglob("*.py")):
                digest.update(path.read_bytes())
            versions["sources"] = digest.hexdigest()
            try:
                from symstudy.store.files.folder import StudyFolder
                from symstudy.store.files.locations import open_location

                folder = StudyFolder(*open_location(location))
                deadline = time.monotonic() + see_s
                seen = b""
                while seen != name.encode():
                    try:
                        seen = folder.read_bytes("control", name)
                    except OSError:
                        if time.monotonic() >= deadline or not folder.is_local:
                            raise
                        time.sleep(0.2)
                own = f"{name}-{platform.node()}-{time.monotonic_ns()}"
                folder.write_bytes(b"", "control", own)
                folder.delete("control", own)
            except Exception as error:  # noqa: BLE001  # told to the driver, whatever it is
                results = f"{type(error).__name__}: {error}"
        return platform.node(), versions, lacking, results

    return question


def check_versions(answers: Sequence[Answer], wanted: dict[str, str]) -> None:
    """Check that every node has the Python, package versions and sources of this process.

    Raises:
        LaunchError: If not.
    """
    wrong = {
        answer.host: ", ".join(differences(answer.versions, wanted))
        for answer in answers
        if answer.versions != wanted
    }
    if not wrong:
        return
    if all(text.startswith("sources ") for text in wrong.values()):
        raise LaunchError(
            f"all nodes must run the same symstudy {wanted['symstudy']}, but its sources differ on "
            f"{', '.join(list(wrong)[:SHOWN])} from those here. Install the same wheel on all "
            "(make wheel), and start Ray there again."
        )
    raise LaunchError(
        f"all nodes must have the versions of this machine, but these differ: {listed(wrong)}. "
        f"On each type: pip install -c constraints.txt symstudy=={wanted['symstudy']}, and start "
        "Ray there again; for another Python make the environment anew with "
        f"python{wanted['python']}."
    )


def differences(versions: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """Return what differs, a phrase each; the sources only where the version does not."""
    wrong = [
        f"{name} {versions[name] or 'not installed'} for {wanted[name]}"
        for name in ("python", *VERSIONS)
        if versions[name] != wanted[name]
    ]
    return wrong or [f"sources {versions['sources']} for {wanted['sources']}"]


def check_modules(answers: Sequence[Answer], *, is_shared: bool = False) -> None:
    """Check that every node can import the modules of the study.

    Raises:
        LaunchError: If not.
    """
    wrong = {answer.host: ", ".join(answer.lacking) for answer in answers if answer.lacking}
    if not wrong:
        return
    remedy = (
        "They cannot travel to a Ray session that was there before the launch: type ray.shutdown() "
        "first, or install them."
        if is_shared
        else "Install them there too, or put them beside the study file: they then travel with it."
    )
    raise LaunchError(
        f"all nodes must have the modules of [model], but these lack some: {listed(wrong)}. "
        f"{remedy}"
    )


def check_results(answers: Sequence[Answer], location: str, *, is_local: bool) -> None:
    """Check that every node can read and write the results.

    Raises:
        LaunchError: If not.
    """
    wrong = {answer.host: answer.results for answer in answers if answer.results}
    if not wrong:
        return
    if is_local:
        raise LaunchError(
            f"--results must be a folder that all nodes see and may write to, but {location!r} is "
            f"not on these: {listed(wrong)}. Name a shared folder or an object store "
            "(s3://bucket/folder), and start Ray everywhere as a user who may write there."
        )
    raise LaunchError(
        f"--results must be reachable from all nodes, but {location!r} is not from these: "
        f"{listed(wrong)}. Credentials do not travel with a study: give every node its own role, "
        "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY before its `ray start`."
    )


def listed(wrong: dict[str, str]) -> str:
    """Return the first few nodes with what is wrong there."""
    some = [f"{host} ({what})" for host, what in list(wrong.items())[:SHOWN]]
    left = len(wrong) - len(some)
    return ", ".join(some) + (f" and {left} more" if left else "")
