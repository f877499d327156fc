"""Growth rates beside a symmetric state, and the weight decay at which they change sign."""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import Evidence

__all__ = ["crossing", "growth_rates", "line_through"]

Array = NDArray[np.float64]
MIN_GAMMAS = 4
MIN_TEMPERATURES = 4
WINDOW = 0.5


def growth_rates(runs: Evidence, condition: str) -> Evidence:
    """Return the growth rate of every run between its first settled and its last small probe.

    Rates are half the growth of ln|theta| per unit of lr times steps, between time 5 and the last
    probe at which the norm has always been within 1e-150 and 1e-3; they count where that is at
    least half of the steps. Columns: gamma, temperature, batch_size, seed, rate, input_dim,
    amplitude, input_scale, and temperatures, the number of them in the study.

    Args:
        runs: All runs of a study.
        condition: SQL over `history` that tells the runs.
    """
    query = f"""
        with probes as (
            select *, bool_and(theta_norm between 1e-150 and 1e-3)
                          over (partition by study, run_id order by step) as is_small
            from history
            where theta_norm is not null and step * lr >= 5 and ({condition})
        ),
        spans as (
            select study, run_id, seed, outcome, gamma, temperature, batch_size, lr, steps,
                   input_dim, amplitude, input_scale,
                   max(step) filter (where is_small) - min(step) as span,
                   arg_max(theta_norm, step) filter (where is_small) as last,
                   arg_min(theta_norm, step) filter (where is_small) as first
            from probes
            group by all
        )
        select *, ln(last / first) / nullif(span * lr, 0) / 2 as rate, span / steps as share,
               count(distinct temperature) over () as temperatures
        from spans
    """
    return (
        runs.of(query)
        .done()
        .where(f"share >= {WINDOW}", why=f"small for less than {WINDOW:.0%} of the steps")
    )


def crossing(gamma: Array, rate: Array, *, least: int = MIN_GAMMAS) -> float:
    """Return the gamma at which the line through growth rates crosses 0; NaN if they do not fall.

    Args:
        gamma: Weight decays.
        rate: Growth rate at each.
        least: Fewest different values of gamma.
    """
    if len(np.unique(gamma)) < least:
        return float("nan")
    slope, intercept = np.polyfit(gamma, rate, 1)
    return float(-intercept / slope) if slope < 0 else float("nan")


def line_through(temperature: Array, gamma_c: Array) -> tuple[float, float]:
    """Return slope and end at T = 0 of the line through critical gammas; NaN below 4 values."""
    known = np.isfinite(gamma_c)
    if known.sum() < MIN_TEMPERATURES:
        return float("nan"), float("nan")
    slope, end = np.polyfit(temperature[known], gamma_c[known], 1)
    return float(slope), float(end)
