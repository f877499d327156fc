"""Running packs: in this process, or on Ray Tune.

Importing this package loads neither ray nor torch.
"""

from symstudy.launch.job import Job, PackReport
from symstudy.launch.launcher import AbstractLauncher, Capacity, InlineLauncher, Observer
from symstudy.launch.ray_tune import RayLauncher
from symstudy.launch.study_run import Announcer, Launch, Summary, open_study_folder, run_study

__all__ = [
    "AbstractLauncher",
    "Announcer",
    "Capacity",
    "InlineLauncher",
    "Job",
    "Launch",
    "Observer",
    "PackReport",
    "RayLauncher",
    "Summary",
    "open_study_folder",
    "run_study",
]
