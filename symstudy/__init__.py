"""symstudy: test theories of deep learning on thousands of packed trainings.

The names below are loaded when they are first used; everything else is imported from its noun, such
as
`symstudy.symmetry` or `symstudy.findings`.
"""

import importlib
from typing import TYPE_CHECKING, Any

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

HOMES = {
    "Finding": "symstudy.findings",
    "ProgramRun": "symstudy.programs",
    "Results": "symstudy.interactive.results",
    "Store": "symstudy.store",
    "Study": "symstudy.study",
    "Verdict": "symstudy.findings",
    "claim": "symstudy.findings",
    "current_run": "symstudy.programs",
    "load_study": "symstudy.study",
    "make_study": "symstudy.study",
    "open_results": "symstudy.interactive.results",
    "open_store": "symstudy.store",
    "plan_packs": "symstudy.study",
    "report": "symstudy.programs",
    "run": "symstudy.interactive.train",
    "run_study": "symstudy.launch",
    "train_pack": "symstudy.training",
}


if not TYPE_CHECKING:  # type checkers see the imports above and refuse any other name

    def __getattr__(name: str) -> Any:
        """Return a public name, loading its home."""
        if name not in HOMES:
            raise AttributeError(f"module 'symstudy' has no attribute {name!r}")
        return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
