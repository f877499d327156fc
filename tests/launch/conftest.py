"""A study of seconds and an observer that remembers."""

from typing import Any

import pytest

from symstudy.launch import Announcer, InlineLauncher, run_study
from symstudy.store import Store


class Remembering(Announcer):
    """Keeps all that it is told."""

    def __init__(self):
        self.launches: list[Any] = []
        self.orders: list[Any] = []
        self.losses: list[str] = []
        self.reports: list[Any] = []
        self.progress: list[tuple[str, int]] = []
        self.retries: list[str] = []

    def announced(self, launch):
        self.launches.append(launch)

    def ordered(self, order):
        self.orders.append(order)

    def lost(self, pack_id):
        self.losses.append(pack_id)

    def progressed(self, pack_id, run_steps):
        self.progress.append((pack_id, run_steps))

    def ended(self, report):
        self.reports.append(report)

    def retried(self, pack_id):
        self.retries.append(pack_id)


@pytest.fixture
def observer():
    return Remembering()


@pytest.fixture
def run_inline(tmp_path):
    """Run a study in this process and return what was done and SQL access to it."""

    def run(study, **options):
        launcher = InlineLauncher(device="cpu")
        summary = run_study(study, str(tmp_path), launcher, **options)
        from symstudy.launch import open_study_folder

        return summary, Store([open_study_folder(str(tmp_path), study)])

    return run
