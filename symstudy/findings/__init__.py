"""Claims: their contract, their statistics, their figures, and where they are found.

What a file of `analysis` needs is exported here.
"""

from symstudy.findings.claim import Claim, claim
from symstudy.findings.evidence import Evidence
from symstudy.findings.finding import Finding
from symstudy.findings.power import SeedTest
from symstudy.findings.rules import (
    AbstractRule,
    All,
    Bound,
    Every,
    Exact,
    Explained,
    Flat,
    Given,
    Grows,
    Match,
    Monotone,
    Needed,
    Paired,
    PowerLaw,
    Ratio,
    Reported,
    Settled,
    Shown,
)
from symstudy.plots.figures import (
    PALETTE,
    Figure,
    color_ramp,
    draw_heat_map,
    error_bars,
    legend_beside,
    log_ticks,
)
from symstudy.statistics.correlations import rank_correlations, spearman
from symstudy.statistics.families import Corrected, correct_family, holm
from symstudy.statistics.fits import fit_power_law, isotonic, log_slope, seed_slopes
from symstudy.statistics.intervals import (
    Interval,
    bootstrap,
    bootstrap_test,
    median_interval,
    student_interval,
    student_table,
)
from symstudy.statistics.part import Part, combine
from symstudy.statistics.sequential import Decision, LookPlan, judge_looks, p_of_looks, plan_looks
from symstudy.statistics.tests import (
    decide_median,
    drawn_p,
    fisher_p,
    median_part,
    permutation_p,
    seed_part,
)
from symstudy.statistics.verdict import Verdict

__all__ = [
    "PALETTE",
    "AbstractRule",
    "All",
    "Bound",
    "Claim",
    "Corrected",
    "Decision",
    "Every",
    "Evidence",
    "Exact",
    "Explained",
    "Figure",
    "Finding",
    "Flat",
    "Given",
    "Grows",
    "Interval",
    "LookPlan",
    "Match",
    "Monotone",
    "Needed",
    "Paired",
    "Part",
    "PowerLaw",
    "Ratio",
    "Reported",
    "SeedTest",
    "Settled",
    "Shown",
    "Verdict",
    "bootstrap",
    "bootstrap_test",
    "claim",
    "color_ramp",
    "combine",
    "correct_family",
    "decide_median",
    "draw_heat_map",
    "drawn_p",
    "error_bars",
    "fisher_p",
    "fit_power_law",
    "holm",
    "isotonic",
    "judge_looks",
    "legend_beside",
    "log_slope",
    "log_ticks",
    "median_interval",
    "median_part",
    "p_of_looks",
    "permutation_p",
    "plan_looks",
    "rank_correlations",
    "seed_part",
    "seed_slopes",
    "spearman",
    "student_interval",
    "student_table",
]
