"""Claims: their contract, their statistics, their figures, and where they are found.

What a file of `analysis` needs is exported here.
"""

from symstudy.findings.claim import Claim, claim
from symstudy.findings.family import Corrected, correct_family
from symstudy.findings.finding import Finding, Interval, Part, Verdict, combine
from symstudy.findings.power import SeedTest
from symstudy.findings.statistics import (
    PowerLaw,
    bootstrap,
    bootstrap_test,
    fit_power_law,
    holm,
    log_slope,
    permutation_p,
    seed_part,
    seed_slopes,
    spearman,
    student_interval,
    student_table,
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
from symstudy.statistics.sequential import Decision, LookPlan, judge_looks, plan_looks

__all__ = [
    "PALETTE",
    "Claim",
    "Corrected",
    "Decision",
    "Figure",
    "Finding",
    "Interval",
    "LookPlan",
    "Part",
    "PowerLaw",
    "SeedTest",
    "Verdict",
    "bootstrap",
    "bootstrap_test",
    "claim",
    "color_ramp",
    "combine",
    "correct_family",
    "draw_heat_map",
    "error_bars",
    "fit_power_law",
    "holm",
    "judge_looks",
    "legend_beside",
    "log_slope",
    "log_ticks",
    "permutation_p",
    "plan_looks",
    "seed_part",
    "seed_slopes",
    "spearman",
    "student_interval",
    "student_table",
]
