"""symstudy: test theories of deep learning on thousands of packed trainings.

The names below are loaded when they are first used; everything else is imported from its noun, such
as
`symstudy.symmetry` or `symstudy.findings`.
"""

from typing import TYPE_CHECKING

from symstudy.on_demand import names_on_demand

if TYPE_CHECKING:
    from symstudy.findings import Finding, Verdict, claim
    from symstudy.interactive.results import Results, open_results
    from symstudy.interactive.train import run
    from symstudy.launch import run_study
    from symstudy.programs import ProgramRun, current_run, report
    from symstudy.store import Store, open_store
    from symstudy.study import Study, load_study, make_study, plan_packs
    from symstudy.training import train_pack

__all__ = [
    "Finding",
    "ProgramRun",
    "Results",
    "Store",
    "Study",
    "Verdict",
    "claim",
    "current_run",
    "load_study",
    "make_study",
    "open_results",
    "open_store",
    "plan_packs",
    "report",
    "run",
    "run_study",
    "train_pack",
]


if not TYPE_CHECKING:  # type checkers see the imports above and refuse any other name
    __getattr__ = names_on_demand(__name__)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
