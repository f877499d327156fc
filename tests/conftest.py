"""Fixtures of all tests."""

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from symstudy.study import Study, make_study

ROOT = Path(__file__).parent.parent
PACKAGES = ("components", "datasets", "losses", "measures", "models", "optimizers", "symmetry")
KEEPING = tuple(f"symstudy.{package}" for package in PACKAGES)
"""Packages whose functions keep what they have found in modules of the user's own."""

NOT_OWN: set[str] = set()
"""Modules that no test has written. To look at all of them after each test took a minute in all."""

# Processes that tests start share the compiled files of modules: without these each compiles all of
# symstudy. A core for each, as each worker of pytest has one: more threads wait for each other.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says how busy the machine is.
settings.register_profile("symstudy", deadline=None)
settings.load_profile("symstudy")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Have `-n auto` start one worker more than there are cores.

    Of the time of two workers on two cores a fifth went to waiting for Ray, for browsers and for
    programs.
    """
    return (yield) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say what group a test is in behind its name, by which xdist gives groups to workers.

    xdist 3.8 writes it where pytest 9.2 does not read any more: tests of one group ran on all
    workers, each of which started a Ray and a browser of its own.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        group = group_of(item)
        if group and not item.nodeid.endswith(f"@{group}"):
            node: Any = item
            node._id = type(node.id).parse(f"{item.nodeid}@{group}")


def group_of(item: pytest.Item) -> str:
    """Return what tests that stay on one worker have in common; empty if nothing.

    Either their mark `xdist_group`, or their module where it has a fixture that is made once.
    """
    mark = item.get_closest_marker("xdist_group")
    if mark is not None:
        return str(mark.args[0])
    fixtures = getattr(item, "_fixtureinfo", None)
    known = fixtures.name2fixturedefs.values() if fixtures else ()
    is_shared = any(each[-1].scope == "module" for each in known)
    return item.nodeid.partition("::")[0] if is_shared else ""


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Tell the garbage collector that modules and tests stay: it need not look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep arrays of data sets in a folder of this session."""
    os.environ["SYMSTUDY_CACHE"] = str(tmp_path_factory.mktemp("arrays"))
    os.environ.pop("SYMSTUDY_DATA", None)


@pytest.fixture(autouse=True, scope="session")
def disk_is_not_waited_for() -> Iterator[None]:
    """Let `os.fsync` do nothing: what tests write need not outlive a power cut.

    It took a third of the tests' time. That the product calls it, and when, is what
    `symstudy.testing.crashes` records.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True)
def forget_own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Drop modules that a test has written and imported: the next one may write others so called.

    A process keeps one module of a name, and what was found in it, as a user's process should.
    """
    places = list(sys.path)
    yield
    base = str(tmp_path_factory.getbasetemp())
    own = [
        name
        for name in sys.modules.keys() - NOT_OWN
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(base)
    ]
    NOT_OWN.update(sys.modules.keys() - set(own))
    sys.path[:] = places
    if not own:
        return
    for name in own:
        del sys.modules[name]
    for name, module in list(sys.modules.items()):
        if name.startswith(KEEPING):
            for kept in list(vars(module).values()):
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def study_of() -> Callable[..., Study]:
    """Make a small study; keywords win over its tables key by key, or whole if they name a kind."""

    def make(**tables: Any) -> Study:
        values: dict[str, Any] = {
            "schema": 1,
            "name": "small",
            "title": "A small study",
            "model": {"kind": "fcn", "depth": 2, "width": 8},
            "data": {"kind": "teacher_student", "samples": 40, "test_samples": 30},
            "train": {"lr": 0.01, "batch_size": 8, "steps": 20},
            "probe": {"num": 4, "detail": 2, "samples": 16},
        }
        for name, table in tables.items():
            merges = isinstance(table, dict) and name in values and "kind" not in table
            values[name] = {**values[name], **table} if merges else table
        return make_study(values)

    return make
