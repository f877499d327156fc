"""Programs of the user's own: what they report, save and are told, and what runs them.

Importing this package loads nothing but Python's own modules: a program imports it.
"""

from symstudy.programs.run import ProgramRun, current_run, report

__all__ = ["ProgramRun", "current_run", "report"]
