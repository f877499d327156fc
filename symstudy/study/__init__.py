"""What to run: from a study file to runs and packs. Loads neither torch nor ray."""

from symstudy.study.cell import Cell, Run
from symstudy.study.expand import read_cell
from symstudy.study.packs import Pack, plan_packs
from symstudy.study.sections import PackConfig, ProbeConfig
from symstudy.study.study import Study, load_study, make_study
from symstudy.study.train import Train

__all__ = [
    "Cell",
    "Pack",
    "PackConfig",
    "ProbeConfig",
    "Run",
    "Study",
    "Train",
    "load_study",
    "make_study",
    "plan_packs",
    "read_cell",
]
