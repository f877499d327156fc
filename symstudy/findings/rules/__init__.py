"""Decision rules of claims: frozen declarations over evidence.

From a rule are derived its prose, its parts with verdict, effect, interval and p-value, what
`symstudy plan` says of its seeds, and the default figure. Every test is of one number a seed, by
exact sign tests of the median seed, so that its level holds for normal, skewed and discrete values
and for values that are the same in all seeds.
"""

from symstudy.findings.rules.base import AbstractRule, Data, Tested
from symstudy.findings.rules.combined import All, Needed, Reported, Settled, Shown
from symstudy.findings.rules.every import Every
from symstudy.findings.rules.exact import Exact, Match
from symstudy.findings.rules.explained import Explained
from symstudy.findings.rules.given import Given
from symstudy.findings.rules.level import Bound, Paired
from symstudy.findings.rules.power_law import PowerLaw
from symstudy.findings.rules.ratio import Ratio
from symstudy.findings.rules.sweep import Flat, Grows, Monotone

__all__ = [
    "AbstractRule",
    "All",
    "Bound",
    "Data",
    "Every",
    "Exact",
    "Explained",
    "Flat",
    "Given",
    "Grows",
    "Match",
    "Monotone",
    "Needed",
    "Paired",
    "PowerLaw",
    "Ratio",
    "Reported",
    "Settled",
    "Shown",
    "Tested",
]
