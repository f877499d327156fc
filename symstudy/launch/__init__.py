"""Running a study's packs: in this process, or on Ray Tune.

Importing this package loads neither ray nor torch.
"""

from typing import TYPE_CHECKING

from symstudy.on_demand import names_on_demand

if TYPE_CHECKING:
    from symstudy.launch.control import read_progress, request_stop
    from symstudy.launch.events import (
        Event,
        LaunchEnded,
        LaunchPlanned,
        Listener,
        PackEnded,
        PackLost,
        PackProgressed,
        PackRetried,
        PacksPlanned,
        PackStarted,
    )
    from symstudy.launch.launchers.auto import AutoLauncher
    from symstudy.launch.launchers.base import AbstractLauncher, Capacity
    from symstudy.launch.launchers.find import find_launcher, launcher_names
    from symstudy.launch.launchers.inline import InlineLauncher
    from symstudy.launch.launchers.ray import RayLauncher
    from symstudy.launch.lease import Lease, is_alive, may_be_alive, read_lease
    from symstudy.launch.messages import LaunchConfig, PackReport
    from symstudy.launch.progress import LaunchProgress, ProgressSnapshot
    from symstudy.launch.session import run_study
    from symstudy.launch.source import AbstractPackSource, PackAssignment, PlannedSource
    from symstudy.launch.study_record import drop_advice, earlier_form, open_study_folder
    from symstudy.launch.summary import Summary
    from symstudy.launch.tracebacks import read_traceback
    from symstudy.launch.worker import train_assigned_pack

__all__ = [
    "AbstractLauncher",
    "AbstractPackSource",
    "AutoLauncher",
    "Capacity",
    "Event",
    "InlineLauncher",
    "LaunchConfig",
    "LaunchEnded",
    "LaunchPlanned",
    "LaunchProgress",
    "Lease",
    "Listener",
    "PackAssignment",
    "PackEnded",
    "PackLost",
    "PackProgressed",
    "PackReport",
    "PackRetried",
    "PackStarted",
    "PacksPlanned",
    "PlannedSource",
    "ProgressSnapshot",
    "RayLauncher",
    "Summary",
    "drop_advice",
    "earlier_form",
    "find_launcher",
    "is_alive",
    "launcher_names",
    "may_be_alive",
    "open_study_folder",
    "read_lease",
    "read_progress",
    "read_traceback",
    "request_stop",
    "run_study",
    "train_assigned_pack",
]


if not TYPE_CHECKING:  # type checkers see the imports above and refuse any other name
    __getattr__ = names_on_demand(__name__)
