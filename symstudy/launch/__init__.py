"""Running packs: in this process, or on Ray Tune.

Importing this package loads neither ray nor torch.
"""

from symstudy.launch.control import read_progress, request_stop
from symstudy.launch.job import Job, PackReport
from symstudy.launch.launchers.base import AbstractLauncher, Capacity, InlineLauncher, Observer
from symstudy.launch.launchers.ray import RayLauncher
from symstudy.launch.lease import Lease, is_alive, may_be_alive, read_lease
from symstudy.launch.progress import Board, Snapshot
from symstudy.launch.session import Announcer, Launch, Summary, open_study_folder, run_study
from symstudy.launch.source import AbstractPackSource, Order, PlannedSource

__all__ = [
    "AbstractLauncher",
    "AbstractPackSource",
    "Announcer",
    "Board",
    "Capacity",
    "InlineLauncher",
    "Job",
    "Launch",
    "Lease",
    "Observer",
    "Order",
    "PackReport",
    "PlannedSource",
    "RayLauncher",
    "Snapshot",
    "Summary",
    "is_alive",
    "may_be_alive",
    "open_study_folder",
    "read_lease",
    "read_progress",
    "request_stop",
    "run_study",
]
