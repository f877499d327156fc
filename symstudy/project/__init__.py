"""The folder of a user's studies and claims, what comes with symstudy, and what both declare.

Everything is read from files, and nothing is run: this package imports in milliseconds.
"""

from symstudy.project.folder import Project, check_own, find_project, shipped_project
from symstudy.project.listing import Listed, list_claims
from symstudy.project.shipping import copy_shipped, find_study

__all__ = [
    "Listed",
    "Project",
    "check_own",
    "copy_shipped",
    "find_project",
    "find_study",
    "list_claims",
    "shipped_project",
]
